"""Figures and explorers of notebook 05."""

import numpy as np
import pytest
from numpy.testing import assert_allclose

from helpers.gradient_bounds import explore, plots, spectra, toy
from helpers.initialization import draw_stack, kaiming_normal


def labels(ax):
    return {line.get_label() for line in ax.lines if not line.get_label().startswith("_")}


def test_the_ellipse_is_the_image_of_the_circle():
    A = np.array([[1.5, 0.9], [-0.2, 0.8]])
    ax = plots.circle_to_ellipse(A)
    image = ax.lines[0].get_xydata()
    assert_allclose(np.linalg.norm(np.linalg.solve(A, image.T), axis=0), 1)
    s = np.linalg.svd(A)[1]
    assert np.linalg.norm(image, axis=1).max() == pytest.approx(s[0], rel=1e-3)
    tips = [line.get_xydata()[1] for line in ax.lines[1:3]]
    assert_allclose(np.linalg.norm(tips, axis=1), s)


def test_zeros_are_marked_on_a_logarithmic_axis():
    ax = plots.by_layer({"bound": [0.0, 0.0, 2.0], "gradient": [1.0, 2.0, 3.0]})
    assert ax.get_yscale() == "log" and labels(ax) == {"bound", "gradient"}
    marks = [line for line in ax.lines if line.get_label() == "_bound: 0"]
    assert marks[0].get_xdata().tolist() == [1, 2]
    assert [text.get_text() for text in ax.texts] == ["exactly 0"]


def test_panels_share_one_legend_and_bounds_keep_their_looks():
    series = {name: [3.0, 2.0] for name in plots.BOUNDS}
    ax = plots.panels({"left": series, "right": {"relu": [1.0, 2.0]}}, first=(0, 1))
    left, right = ax.figure.axes
    assert left.get_legend() and not right.get_legend() and ax.get_title() == "right"
    for line, look in zip(left.lines, plots.BOUNDS.values(), strict=True):
        assert line.get_color() == look["color"] and line.get_xdata().tolist() == [0, 1]
    assert labels(right) == {"ReLU"} and right.lines[0].get_xdata().tolist() == [1, 2]


def test_bars_stack_to_the_whole_loss():
    ax = plots.losses_by_layer(np.array([0.3, 0.2]), np.array([0.1, 0.15]))
    tops = [bar.get_y() + bar.get_height() for bar in ax.patches]
    assert_allclose(tops, [0.3, 0.2, 0.4, 0.35])
    assert "log" in ax.get_ylabel() and ax.get_xlabel()


def test_depth_grid_draws_gradient_and_bound_for_every_setting():
    settings = {"a": ([1.0, 0.1], [2.0, 1.0]), "b": ([1.0, 0.01], [3.0, 1.0])}
    ax = plots.depth_grid([2, 4], {"relu": settings, "tanh": settings})
    assert ax.get_title() == "Tanh" and labels(ax) == {"a", "b"} and len(ax.lines) == 4
    assert_allclose(ax.lines[3].get_ydata(), [3.0, 1.0])


def test_ratio_histogram_counts_every_network_on_its_side():
    ax = plots.ratio_histogram(np.array([-200.0, -3.2, -0.1]), np.array([0.3, 4.0]))
    left = [p for p in ax.patches if p.get_x() < 0 and p.get_height() > 0]
    right = [p for p in ax.patches if p.get_x() >= 0 and p.get_height() > 0]
    assert sum(p.get_height() for p in left) == 3
    assert sum(p.get_height() for p in right) == 2
    assert ax.get_xticklabels()[0].get_text() == "≤ −16"


def test_singular_values_stand_under_the_law_between_ticks_at_their_ends():
    values = np.linalg.svdvals(np.random.default_rng(0).normal(size=(60, 40)) / 40**0.5)
    ax = plots.drawn_and_law({(40, 60): values})
    low, high = spectra.edges(40, 60, 1 / 40)
    assert low < ax.lines[0].get_xdata().min() and ax.lines[0].get_xdata().max() < high
    assert_allclose(ax.lines[1].get_xdata(), [values.min(), values.max()])


def test_products_are_drawn_from_their_largest_to_their_smallest():
    ax = plots.product_spectra({"one": np.ones((5, 3)) * [3.0, 2.0, 1.0]})
    assert labels(ax) == {"one, largest", "one, median"} and ax.get_yscale() == "log"
    assert_allclose([line.get_ydata()[-1] for line in ax.lines], [3.0, 2.0])
    assert {text.get_text() for text in ax.texts} == labels(ax)


@pytest.fixture(scope="module")
def trained():
    data = toy.circles(40, np.random.default_rng(0))
    start = draw_stack((2, 6, 6, 6, 1), kaiming_normal, range(2))
    factors = {"zero": 0.0, "right": 1.0, "too large": 40.0}
    starts = {name: [factor * W for W in start] for name, factor in factors.items()}
    return toy.train_each(starts, data, lr=0.3, steps=40, record=[0, 5, 20, 40]), data


def test_loss_curves_show_median_range_and_diverged_runs():
    losses = np.array([[1.0, 2.0, 3.0], [np.nan, np.nan, 0.5]])
    ax = plots.loss_curves({"right": losses})
    assert_allclose(ax.lines[0].get_ydata(), [2.0, 1e12])  # NaN does not vanish
    assert len(ax.collections) == 1 and ax.get_xscale() == ax.get_yscale() == "log"
    ax = plots.loss_curves(dict.fromkeys(plots.STARTS, np.ones((3, 2))))
    assert [line.get_color() for line in ax.lines] == [s["color"] for s in plots.STARTS.values()]


def test_pictures_of_training(trained):
    histories, data = trained
    logits = {name: np.zeros((2, len(plots.PLANE))) for name in histories}
    logits["right"][1] = 1.0
    ax = plots.decision_regions(logits, ["start", "end"], data)
    figure = ax.figure
    assert [a.get_title(loc="center") for a in figure.axes[:2]] == ["start", "end"]
    assert figure.axes[3].images[0].get_array().all() and not ax.images[0].get_array().any()
    samples = {name: list(run.weights[1][[0, 2, 3]]) for name, run in histories.items()}
    ax = plots.histogram_grid(samples, ["0", "20", "40"], "weight")
    assert ax.get_title() == "too large" and len(ax.patches) == 3


def test_lines_end_where_the_axis_ends_with_their_labels_beyond_it():
    curves = {"a": np.ones((4, 3)), "b": np.full((4, 3), 2.0)}
    ax = plots.range_panels(np.arange(4), {"left": curves, "right": curves}, ylabel="loss")
    assert [drawn.get_title() for drawn in ax.figure.axes] == ["left", "right"]
    assert ax.get_xlim() == (0, 3) and {text.get_text() for text in ax.texts} == {"a", "b"}
    assert "left: a 1 to 1, b 2 to 2" in ax.figure.get_label()
    dip = {"a": np.array([[3.0, 3.0], [0.5, 0.7], [2.0, 2.0]])}
    ax = plots.range_panels(np.arange(3), {"one": dip, "two": {"b": 9 * dip["a"]}}, sharey=False)
    assert ax.get_ylim()[1] > ax.figure.axes[0].get_ylim()[1]
    assert "one: a 3 to 2 (least 0.6)" in ax.figure.get_label()


def test_what_coincides_is_told_and_what_is_drawn_against_what():
    curves = {"a": np.ones((4, 3)), "b": np.ones((4, 3))}
    names = {"xlabel": "layer $l$", "ylabel": plots.GRADIENT}
    ax = plots.range_panels(np.arange(4), {"left": curves, "right": {"a": curves["a"]}}, **names)
    assert ax.figure.get_label().startswith("‖∂L/∂W(l)‖ against layer l: medians")
    left, right = ({text.get_text() for text in drawn.texts} for drawn in ax.figure.axes)
    assert "all 2 coincide" in left and right == {"a"}


def axes_of(explorer):
    return explorer._painter._figure.axes


def sizes_drawn(explorer):
    return {line.get_label(): line.get_ydata() for line in axes_of(explorer)[1].lines}


def test_bounds_explorer_shows_what_the_functions_compute():
    explorer = explore.bounds()
    values, sizes = explore.three_sizes("tanh", explorer.controls["rule"].value, 1.0, 12)
    assert sizes_drawn(explorer).keys() == plots.BOUNDS.keys()
    for name, drawn in sizes_drawn(explorer).items():
        assert_allclose(drawn, sizes[name])
    lower, true, upper = (sizes[name] for name in reversed(plots.BOUNDS))
    assert (lower <= true).all() and (true <= upper).all() and lower[0] > 0
    assert_allclose(axes_of(explorer)[0].lines[1].get_ydata(), values[:, 0])
    assert f"{true[0]:.2g}" in explorer.sentence


@pytest.mark.parametrize("unit", ["relu", "sigmoid", "identity"])
@pytest.mark.parametrize(("scale", "depth"), [(0.25, 2), (3.0, 20)])
def test_bounds_explorer_at_both_ends(unit, scale, depth):
    explorer = explore.bounds()
    explorer.set(unit=unit, scale=scale, depth=depth)
    assert not explorer.sentence.startswith("!"), explorer.sentence
    left, right = axes_of(explorer)
    upper, true, lower = (sizes_drawn(explorer)[name] for name in plots.BOUNDS)
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
    upper, true, lower = (sizes_drawn(explorer)[name] for name in plots.BOUNDS)
    assert_allclose(upper, true, rtol=1e-9)
    assert_allclose(lower, true, rtol=1e-9)


def test_training_explorer_shows_the_recorded_step(trained):
    histories, data = trained
    explorer = explore.training(histories, data)
    for time in (0, 20, 40):
        for seed in (0, 1):
            for start in histories:
                explorer.set(time=time, seed=seed, start=start)
                assert not explorer.sentence.startswith("!"), explorer.sentence
                loss = histories["right"].losses[time, seed]
                assert f"right {loss:.3g}" in explorer.sentence
                for ax in axes_of(explorer)[2:]:
                    shares = ax.patches[0].get_data().values
                    assert shares.sum() == pytest.approx(1)
                    assert shares.max() <= ax.get_ylim()[1]
    explorer.set(time=40, seed=1, start="zero")
    assert "differ by up to 0;" in explorer.sentence
    regions, curves, *_ = axes_of(explorer)
    expected = toy.evaluate(*histories["right"].at(3), plots.PLANE)[-1][1] > 0
    assert (regions.images[1].get_array().ravel() == expected).all()
    assert curves.lines[-1].get_xdata()[0] == 41
