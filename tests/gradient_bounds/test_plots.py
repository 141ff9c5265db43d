"""Figures and explorers of notebook 05."""

import matplotlib.pyplot as plt
import numpy as np
import pytest
from numpy.testing import assert_allclose

from helpers.explorer import Explorer
from helpers.gradient_bounds import bounds, explore, plots, spectra, toy
from helpers.gradient_bounds import toy_plots as pictures


@pytest.fixture(autouse=True)
def close_figures():
    yield
    plt.close("all")


def labels(ax):
    return {line.get_label() for line in ax.lines if not line.get_label().startswith("_")}


def test_the_ellipse_is_the_image_of_the_circle():
    A = np.array([[1.5, 0.9], [-0.2, 0.8]])
    ax = plots.circle_to_ellipse(A)
    image = ax.lines[0].get_xydata()
    assert_allclose(np.linalg.norm(np.linalg.solve(A, image.T), axis=0), 1)
    s = np.linalg.svd(A)[1]
    assert np.linalg.norm(image, axis=1).max() == pytest.approx(s[0], rel=1e-3)
    tips = [line.get_xydata()[1] for line in ax.lines[2:]]
    assert_allclose(np.linalg.norm(tips, axis=1), s)


def test_zeros_are_marked_on_a_logarithmic_axis():
    ax = plots.by_layer({"bound": [0.0, 0.0, 2.0], "gradient": [1.0, 2.0, 3.0]})
    assert ax.get_yscale() == "log" and labels(ax) == {"bound", "gradient"}
    marks = [line for line in ax.lines if line.get_label() == "_bound: 0"]
    assert marks[0].get_xdata().tolist() == [1, 2]
    assert [text.get_text() for text in ax.texts] == ["exactly 0"]


def test_bars_stack_to_the_whole_loss():
    ax = plots.losses_by_layer([0.3, 0.2], [0.1, 0.15])
    tops = [bar.get_y() + bar.get_height() for bar in ax.patches]
    assert_allclose(tops, [0.3, 0.2, 0.4, 0.35])
    assert "log" in ax.get_ylabel() and ax.get_xlabel()


def test_depth_grid_draws_gradient_and_bound_for_every_setting():
    settings = {"a": ([1.0, 0.1], [2.0, 1.0]), "b": ([1.0, 0.01], [3.0, 1.0])}
    ax = plots.depth_grid([2, 4], {"relu": settings, "tanh": settings})
    assert ax.get_title() == "Tanh" and labels(ax) == {"a", "b"} and len(ax.lines) == 4
    assert_allclose(ax.lines[3].get_ydata(), [3.0, 1.0])


def test_ratio_histogram_counts_every_network_on_its_side():
    ax = plots.ratio_histogram([-200.0, -3.2, -0.1], [0.3, 4.0])
    left = [p for p in ax.patches if p.get_x() < 0 and p.get_height() > 0]
    right = [p for p in ax.patches if p.get_x() >= 0 and p.get_height() > 0]
    assert sum(p.get_height() for p in left) == 3
    assert sum(p.get_height() for p in right) == 2
    assert ax.get_xticklabels()[0].get_text() == "≤ −16"


def test_spectrum_and_products_draw_their_data():
    values = spectra.singular_values(np.random.default_rng(0).normal(size=(60, 40)) / 40**0.5)
    ax = plots.spectrum(values, 40, 60, 1 / 40)
    low, high = spectra.edges(40, 60, 1 / 40)
    assert low < ax.lines[0].get_xdata().min() and ax.lines[0].get_xdata().max() < high
    assert_allclose(ax.lines[1].get_xdata(), [values.min(), values.max()])
    ax = plots.product_spectra({"one": np.ones((5, 3))})
    assert labels(ax) == {"one, largest", "one, median"} and ax.get_yscale() == "log"


@pytest.fixture(scope="module")
def trained():
    data = toy.circles(40, np.random.default_rng(0))
    names = {"zero": [0, 1], "right": [2, 3], "too large": [4, 5]}
    runs = []
    for factor in (0.0, 1.0, 40.0):
        for seed in range(2):
            W = spectra.layers((2, 6, 6, 6, 1), "2/n_in", np.random.default_rng(seed), 1.0)
            runs.append([factor * layer for layer in W])
    start = [np.stack(layer) for layer in zip(*runs, strict=True)]
    history = toy.train(start, data, lr=0.3, steps=40, record=[0, 5, 20, 40])
    return history, names, data


def test_loss_curves_show_median_range_and_diverged_runs():
    losses = np.array([[1.0, 2.0, 3.0], [np.nan, np.nan, 0.5]])
    ax = pictures.loss_curves({"right": losses})
    assert_allclose(ax.lines[0].get_ydata(), [2.0, 1e12])  # NaN does not vanish
    assert len(ax.collections) == 1 and ax.get_xscale() == ax.get_yscale() == "log"


def test_pictures_of_training(trained):
    history, names, data = trained
    logits = {name: np.zeros((2, len(pictures.PLANE))) for name in names}
    logits["right"][1] = 1.0
    ax = pictures.decision_regions(logits, ["start", "end"], data)
    figure = ax.figure
    assert [a.get_title(loc="center") for a in figure.axes[:2]] == ["start", "end"]
    assert figure.axes[3].images[0].get_array().all() and not ax.images[0].get_array().any()
    samples = {
        name: [history.weights[1][t, runs[0]] for t in (0, 2, 3)] for name, runs in names.items()
    }
    ax = pictures.histogram_grid(samples, ["0", "20", "40"], "weight")
    assert ax.get_title() == "too large" and len(ax.patches) == 3
    ax = pictures.through_training(history.steps, {"a": history.losses[history.steps]}, "loss")
    assert_allclose(ax.lines[0].get_ydata(), np.median(history.losses[history.steps], 1))


class WithFigure(Explorer):
    """An explorer that lets the tests see its figure."""

    def __init__(self, figure, *args):
        self.figure = figure
        super().__init__(figure, *args)


@pytest.fixture(autouse=True)
def figures_seen(monkeypatch):
    monkeypatch.setattr(explore, "Explorer", WithFigure)


def axes_of(explorer):
    return explorer.figure.axes


def test_bounds_explorer_shows_what_the_functions_compute():
    explorer = explore.bounds()
    left, right = axes_of(explorer)
    values, lower, true, upper = explore.three_sizes("tanh", "2/(n_in + n_out)", 1.0, 12)
    drawn = {line.get_label(): line.get_ydata() for line in right.lines}
    assert_allclose(drawn["upper bound"], upper)
    assert_allclose(drawn["true gradient"], true)
    assert_allclose(drawn["lower bound"], lower)
    assert (lower <= true).all() and (true <= upper).all() and lower[0] > 0
    assert_allclose(left.lines[1].get_ydata(), [s[0] for s in values])
    assert f"{true[0]:.2g}" in explorer.sentence


@pytest.mark.parametrize("unit", ["relu", "sigmoid", "identity"])
@pytest.mark.parametrize(("scale", "depth"), [(0.25, 2), (3.0, 20)])
def test_bounds_explorer_at_both_ends(unit, scale, depth):
    explorer = explore.bounds()
    explorer.set(unit=unit, scale=scale, depth=depth)
    assert not explorer.sentence.startswith("!"), explorer.sentence
    left, right = axes_of(explorer)
    upper, true, lower = (line.get_ydata() for line in right.lines[:3])
    assert len(upper) == len(true) == depth
    if unit == "relu":
        assert np.isnan(lower[0]) and "lower bound is 0" in explorer.sentence
    assert left.get_xlim()[1] > depth
    low, high = right.get_ylim()
    assert low <= np.nanmin(true) and high >= upper.max()


def test_bounds_explorers_button_makes_bounds_meet():
    explorer = explore.bounds()
    button = explorer.children[0].children[4]
    assert button.description == "Bounds meet"
    button.click()
    upper, true, lower = (line.get_ydata() for line in axes_of(explorer)[1].lines[:3])
    assert_allclose(upper, true, rtol=1e-9)
    assert_allclose(lower, true, rtol=1e-9)


def test_training_explorer_shows_the_recorded_step(trained):
    history, names, data = trained
    explorer = explore.training(history, names, data)
    controls = explorer.controls
    for time in (0, 40):
        for seed in (1, 2):
            for start in names:
                explorer.set(time=time, seed=seed, start=start)
                assert not explorer.sentence.startswith("!"), explorer.sentence
                run = names["right"][seed - 1]
                assert f"right {history.losses[time, run]:.3g}" in explorer.sentence
    explorer.set(time=40, seed=2, start="zero")
    assert "differ by up to 0;" in explorer.sentence
    axes = axes_of(explorer)
    index, run = 3, names["right"][1]
    weights, biases = (
        [W[index, [run]] for W in history.weights],
        [b[index, [run]] for b in history.biases],
    )
    expected = toy.evaluate(weights, biases, pictures.PLANE, "relu")[-1][0] > 0
    assert (axes[0].images[1].get_array().ravel() == expected).all()
    assert controls["time"].value == 40 and axes[1].lines[-1].get_xdata()[0] == 41


@pytest.mark.parametrize(("value", "size"), [(0.11, 0.2), (1, 1), (2.1, 5), (7, 10), (300, 500)])
def test_limits_move_in_steps(value, size):
    assert explore._next_size(value) == pytest.approx(size)


def test_the_histogram_shows_every_weight(trained):
    history, names, data = trained
    explorer = explore.training(history, names, data)
    for start in names:
        explorer.set(start=start, time=20)
        for ax in axes_of(explorer)[2:]:
            shares = ax.patches[0].get_data().values
            assert shares.sum() == pytest.approx(1)
            assert shares.max() <= ax.get_ylim()[1]


def test_training_explorer_names_unequal_numbers_of_runs(trained):
    history, _, data = trained
    with pytest.raises(ValueError, match=r"runs has \[1, 2\] runs a name"):
        explore.training(history, {"zero": [0, 1], "right": [2]}, data)


def test_the_gradient_norms_of_the_explorer_are_those_of_bounds():
    rng = np.random.default_rng(0)
    x, g = rng.normal(size=(2, explore.WIDTH))
    weights = spectra.layers([explore.WIDTH] * 5, "orthogonal", rng, 1.5)
    passed = bounds.forward(weights, x, "relu")
    expected = bounds.gradient_norms(weights, passed, g / np.linalg.norm(g))
    assert_allclose(explore.three_sizes("relu", "orthogonal", 1.5, 4)[2], expected)
