"""Notebook 02: its figures and explorers, and every claim of its text that can be computed."""

import math
from pathlib import Path

import matplotlib.pyplot as plt
import nbformat
import numpy as np
import pytest
import torch

from helpers import activations
from helpers.activation_derivatives import explore, plots
from helpers.activations import UNITS
from helpers.plotting import use_style
from helpers.settings import one_thread

NOTEBOOK = Path(__file__).parents[2] / "notebooks/solutions/02_activation_derivatives.ipynb"
Z = np.linspace(-3, 3, 121)


@pytest.fixture(autouse=True)
def style():
    use_style()


@pytest.fixture(scope="module")
def cells():
    return nbformat.read(NOTEBOOK, 4).cells


@pytest.fixture(scope="module")
def text(cells):
    return "\n".join(cell.source for cell in cells if cell.cell_type == "markdown")


def labels(ax):
    return {line.get_label() for line in ax.lines} | {text.get_text() for text in ax.texts}


# --- figures -------------------------------------------------------------------------------------


def test_value_and_slope_draws_tangents_and_marks_their_slopes():
    left, right = plots.value_and_slope("tanh", Z, at=(0, 1)).axes
    assert left.get_xlabel() == right.get_xlabel() == "pre-activation $z$"
    assert left.get_ylabel() != right.get_ylabel()
    np.testing.assert_array_equal(left.lines[0].get_ydata(), np.tanh(Z))
    tangent = np.diff(left.lines[1].get_xydata(), axis=0)[0]
    assert tangent[1] / tangent[0] == pytest.approx(1)
    assert [text.get_text() for text in right.texts] == ["1", "0.42"]


def test_a_jump_is_a_gap_and_all_else_is_drawn():
    ax = plots.unit_curves(Z, {"relu": activations.relu_derivative(Z)})
    assert np.isnan(ax.lines[0].get_ydata()).sum() == 1
    assert labels(ax) == {"ReLU"}
    assert np.isfinite(plots.with_gaps(activations.swish_derivative(Z))).all()


def test_a_log_axis_hides_no_zero():
    with pytest.raises(ValueError, match="'relu' has values <= 0"):
        plots.unit_curves(Z, {"relu": activations.relu(Z)}, yscale="log")
    ax = plots.unit_curves([1, 2, 3], {"sigmoid": [1e-1, 1e-9, 1e-18]}, yscale="log")
    exponents = np.log10(ax.get_yticks())
    np.testing.assert_allclose(exponents, np.round(exponents), atol=1e-9)
    assert len(exponents) >= 3


def test_panels_have_their_titles_and_one_scale():
    left, right = plots.panels(Z, {"a": {"tanh": Z}, "b": {"relu": 2 * Z}}, ylabel="f").axes
    assert [ax.get_title(loc="left") for ax in (left, right)] == ["a", "b"]
    assert left.get_ylim() == right.get_ylim()
    assert labels(left) == {"Tanh"} and left.get_ylabel() == "f"


def test_four_units_are_drawn_by_the_student_and_an_empty_stub_leaves_no_figure():
    drawn = []
    units = dict.fromkeys("abcd", (np.tanh, np.cosh))
    plots.four_units(lambda ax, z, value, slope, name: drawn.append((name, slope[0])), Z, units)
    assert drawn == [(name, np.cosh(-3)) for name in "abcd"]

    def stub(*_):
        raise NotImplementedError

    with pytest.raises(NotImplementedError):
        plots.four_units(stub, Z, units)
    assert not plt.get_fignums()


def test_step_errors_marks_both_smallest():
    errors = {"one-sided": np.array([3, 1, 2]), "central": np.array([2, 4, 0.5])}
    ax = plots.step_errors(np.array([1e-3, 1e-2, 1e-1]), errors)
    assert labels(ax) == {"one-sided", "central", "1e+00", "5e-01"}
    assert ax.get_xscale() == ax.get_yscale() == "log"


def test_lost_digits_are_lifted_to_the_floor():
    groups = {"usual": {"tanh": np.array([0, 1e-9, 0.5])}, "stable": {"tanh": np.zeros(3)}}
    ax, _ = plots.lost_digits([0, 1, 2], groups, 1e-7).axes
    np.testing.assert_allclose(ax.lines[0].get_ydata(), [1e-7, 1e-7, 0.5])
    assert ax.get_ylim()[0] < 1e-7


def test_beta_family_tells_betas_apart_without_colour():
    curves = {b: activations.swish(Z, b) for b in (0.0, 0.5, 1.0, 10.0)}
    for ax in plots.beta_family(Z, curves, curves).axes:
        assert [line.get_label() for line in ax.lines] == ["β = 0", "β = 0.5", "β = 1", "β = 10"]
        assert len({line.get_linestyle() for line in ax.lines}) == 4


def test_gradients_by_layer_and_by_scale_show_median_and_spread():
    sizes = np.array([[1e-3, 1e-1], [1e-2, 1e-1], [1e-1, 1e-1]])
    ax = plots.gradient_by_layer({"tanh": [1e-2, 1e-1]}, {"tanh": sizes})
    (points,) = ax.containers
    np.testing.assert_allclose(points.lines[0].get_ydata(), [1e-2, 1e-1])
    bar = points.lines[2][0].get_segments()[0]
    np.testing.assert_allclose(bar[:, 1], [1e-3, 1e-1])
    assert "Tanh 1.0e-02 and 1.0e-02 (1.0e-03 to 1.0e-01)" in ax.figure.get_label()
    ax = plots.gradient_by_scale([0.5, 2], {"relu": sizes * [1, 100]}, {"Xavier": 1.0})
    assert "ReLU at c = 1.3" in ax.figure.get_label()
    assert {"ReLU", "Xavier"} <= labels(ax)
    np.testing.assert_allclose(ax.lines[0].get_ydata(), [1e-2, 10])


def test_the_balance_is_where_a_ratio_last_rises_through_one():
    scales = np.array([1.0, 2.0, 4.0, 8.0])
    assert plots.balance(scales, scales**5 / 3**5) == pytest.approx(3)
    assert plots.balance(scales, np.array([0.1, 10.0, 0.5, 2.0])) == pytest.approx(32**0.5)


@pytest.mark.parametrize(
    ("kept", "said"),
    [(11.0, "up to 55 times slower"), (0.3, "does not mind subnormals")],
    ids=["slow", "fast"],
)
def test_the_figure_of_subnormals_says_what_this_processor_does(kept, said):
    ax = plots.subnormal_times([1, 80], [0, 0.083], [0.2, kept], [0.2, 0.2])
    assert said in ax.get_title(loc="left") and said in ax.figure.get_label()
    assert "8.3%" in ax.figure.get_label() and labels(ax) >= {"kept", "flushed to 0"}


def test_alternative_texts_are_made_from_the_data():
    up, down = ({"tanh": np.array([0, 3, k])} for k in (2.0, 1.0))
    for draw in (plots.typical_slopes, lambda x, y: plots.panels(x, {"a": y, "b": y}).axes[0]):
        texts = [draw(np.arange(1, 4), each).figure.get_label() for each in (up, down)]
        assert "Tanh 0 at 1 and 2 at 3, between 0 and 3" in texts[0] != texts[1]
    assert (
        "smallest: one 1e-02 at h = 1e-01"
        in plots.step_errors(
            np.array([0.01, 0.1]), dict.fromkeys(("one", "two"), np.array([0.5, 0.01]))
        ).figure.get_label()
    )
    assert "0.42 at z = 1" in plots.value_and_slope("tanh", Z, at=(0, 1)).get_label()


# --- explorers -----------------------------------------------------------------------------------


def axes_of(explorer):
    return explorer._painter._figure.axes


def test_tangents_knows_the_best_slope_even_out_of_sight(one_tangents):
    one_tangents.set(unit="swish", z=0, beta=0.1)
    assert "at best, 1.1 times" in one_tangents.sentence


def test_tangents_starts_with_a_saturated_sigmoid():
    explorer = explore.tangents()
    assert "Sigmoid at z = 4: value 0.982, slope 0.01766" in explorer.sentence
    assert "at best, 0.25 times" in explorer.sentence
    value, slope = axes_of(explorer)
    np.testing.assert_allclose(
        value.lines[0].get_ydata(), activations.sigmoid(value.lines[0].get_xdata())
    )
    (x0, x1), (y0, y1) = value.lines[1].get_data()
    assert (y1 - y0) / (x1 - x0) == pytest.approx(activations.sigmoid_derivative(4.0))
    assert slope.lines[1].get_xydata()[0] == pytest.approx([4, 0.01766], abs=1e-5)


@pytest.fixture(scope="module")
def one_tangents():
    return explore.tangents()


@pytest.fixture(scope="module")
def one_depth():
    return explore.depth()


@pytest.mark.parametrize("unit", UNITS)
def test_tangents_goes_everywhere(one_tangents, unit):
    for z, beta in ((-8, 0), (0, 1), (8, 5)):
        one_tangents.set(unit=unit, z=z, beta=beta)
        assert one_tangents.sentence.startswith(activations.get(unit).label)
        assert f"at z = {z}:" in one_tangents.sentence
        assert (f"β = {beta}" in one_tangents.sentence) == (unit == "swish")
        options = {"beta": beta} if unit == "swish" else {}
        slope = axes_of(one_tangents)[1].lines[1].get_ydata()[0]
        assert slope == pytest.approx(activations.get(unit).derivative(z, **options))


def test_beta_moves_only_swish(one_tangents):
    explorer = one_tangents
    explorer.set(unit="sigmoid", z=1, beta=1)
    before = explorer.sentence
    explorer.controls["beta"].value = 3
    assert explorer.sentence == before
    explorer.set(unit="swish", z=1, beta=0)
    assert "slope 0.5" in explorer.sentence


def test_depth_starts_with_ten_sigmoid_layers():
    explorer = explore.depth()
    assert "10 layers leave 1.8e-07" in explorer.sentence
    assert "everywhere it would be 9.5e-07" in explorer.sentence
    _, products = axes_of(explorer)
    sigmoid = products.lines[UNITS.index("sigmoid")].get_ydata()
    assert sigmoid[10] == pytest.approx(explore.typical_slope("sigmoid", 1.0) ** 10)
    assert products.lines[len(UNITS)].get_xydata()[0] == pytest.approx([10, sigmoid[10]])
    picture = explorer._picture.value
    explorer.controls["layers"].value = 20
    assert explorer._picture.value != picture


@pytest.mark.parametrize("unit", UNITS)
def test_depth_goes_everywhere(one_depth, unit):
    explorer = one_depth
    for layers, spread, scale in ((1, 0.1, 16), (30, 10**1.5, 0.25), (30, 0.1, 16)):
        explorer.set(unit=unit, layers=layers, spread=spread, scale=scale)
        rate = scale * explore.typical_slope(unit, spread)
        assert f"{rate**layers:.2g} of it" in explorer.sentence
        _, products = axes_of(explorer)
        low, high = products.get_ylim()
        for line in products.lines[: len(UNITS)]:
            assert low < line.get_ydata().min()
            assert line.get_ydata().max() < high


# --- what the text says --------------------------------------------------------------------------

NEAR, FAR = np.linspace(-6, 6, 120_000), np.linspace(-60, 60, 120_000)


def peak(name):
    return activations.get(name).derivative(np.linspace(-6, 6, 1_200_001)).max()


def flat(name, z):
    return np.mean(np.abs(activations.get(name).derivative(z)) < 0.1)


def test_largest_slopes(text):
    assert peak("sigmoid") == 0.25
    assert peak("tanh") == peak("relu") == peak("leaky_relu") == 1
    for name in ("swish", "mish"):
        assert f"at most {peak(name):.5f}" in text
    for beta in (0.3, 4.0):  # the same for every β > 0
        z = np.linspace(0, 6 / beta, 1_000_001)
        assert activations.swish_derivative(z, beta).max() == pytest.approx(peak("swish"))


def test_flat_shares(text):
    saturating, others = ("sigmoid", "tanh"), ("relu", "leaky_relu", "swish", "mish")
    shares = {name: flat(name, NEAR) for name in UNITS}
    assert [round(100 * shares[name]) for name in saturating] == [66, 70]
    assert min(shares[name] for name in others) == pytest.approx(0.34, abs=0.005)
    assert max(shares[name] for name in others) == pytest.approx(0.5, abs=0.001)
    assert "66 to 70 %" in text
    assert "34 to 50 %" in text
    assert all(flat(name, FAR) > 0.96 for name in saturating)
    assert all(0.48 < flat(name, FAR) < 0.51 for name in others)


def test_typical_slopes(text):
    typical = explore.typical_slope
    for spread in (0.1, 1, 10, 30):
        assert typical("relu", spread) == pytest.approx(math.sqrt(0.5), rel=1e-6)
    assert f"{typical('tanh', 10):.2f}" == "0.23"
    assert f"{typical('sigmoid', 10):.2f}" == "0.08"
    assert "down to 0.23, the sigmoid to 0.08" in text
    for name in ("tanh", "sigmoid"):  # falls like one over the root of the spread
        assert typical(name, 30) / typical(name, 10) == pytest.approx(3**-0.5, rel=0.01)
    assert typical("tanh", 0.1) == pytest.approx(1, abs=0.011)


def test_products_over_thirty_layers(text):
    assert 0.25**30 == pytest.approx(9e-19, rel=0.05)
    assert r"9 \cdot 10^{-19}" in text
    ordinary = {name: explore.typical_slope(name, 1.0) ** 30 for name in UNITS}
    assert all(product < 1e-4 for product in ordinary.values())
    best = min(product for name, product in ordinary.items() if name != "sigmoid")
    assert 13.5 < math.log10(best / ordinary["sigmoid"]) < 16


def test_lowest_point_of_swish_is_lambert():
    w = 0.2784645427610738  # W(1/e), the solution of w e^w = 1/e
    assert w * math.exp(w) == pytest.approx(math.exp(-1), rel=1e-14)
    assert activations.swish_derivative(-1 - w) == pytest.approx(0, abs=1e-14)
    assert activations.swish(-1 - w) == pytest.approx(-w, rel=1e-14)
    assert activations.swish(np.linspace(-50, 50, 100_001)).min() >= -w
    assert activations.mish(np.linspace(-50, 50, 100_001)).min() == pytest.approx(-0.3088, abs=1e-4)


# --- the networks of the notebook, run by the notebook's own cell --------------------------------


def from_notebook(cells, name):
    """Return the function that a cell of the notebook defines."""
    (cell,) = [cell for cell in cells if f"def {name}" in cell.source]
    names = {"torch": torch, "np": np, "activations": activations}
    exec(cell.source, names)
    return names[name]


@pytest.fixture(scope="module")
def pass_through(cells):
    with one_thread():
        yield from_notebook(cells, "pass_through")


def test_the_number_at_the_kink_decides_only_where_zeros_are_built_in(cells):
    loss_left = from_notebook(cells, "loss_left")
    for seed in (5, 6):
        assert loss_left(8**-0.5, 0, seed) == loss_left(8**-0.5, 1, seed) < 0.2
        assert loss_left(0, 0, seed) == 1 and loss_left(0, 1, seed) < 0.2


SEEDS = range(3)


@pytest.mark.parametrize("name", ["tanh", "relu", "swish", "sigmoid"])
def test_slopes_of_the_forward_pass_predict_the_gradient(pass_through, name):
    runs = [pass_through(name, 1.0, seed) for seed in SEEDS]
    slopes, gradients = (
        np.median([run[0] for run in runs], 0),
        np.median([run[1] for run in runs], 0),
    )
    predicted = np.cumprod(slopes[::-1])[::-1]
    assert len(predicted) == 30
    assert np.all(np.abs(np.log(gradients / predicted)) < np.log(3))
    if name == "sigmoid":
        assert gradients[0] < 0.25**30 * 1.5
    assert np.argmax(gradients) > 25


def first(pass_through, name, scale):
    return np.median([pass_through(name, scale, seed)[1][0] for seed in SEEDS])


def test_tanh_does_best_at_scale_one(pass_through):
    ends = {name: first(pass_through, name, 1.0) for name in ("tanh", "relu", "swish", "sigmoid")}
    assert sorted(ends, key=ends.get) == ["sigmoid", "swish", "relu", "tanh"]
    assert ends["tanh"] > 0.03


def test_the_weights_alone_decide_between_vanishing_and_exploding(pass_through):
    assert first(pass_through, "sigmoid", 8.0) < 1 < first(pass_through, "sigmoid", 16.0)
    assert first(pass_through, "tanh", 1.0) < 1 < first(pass_through, "tanh", 2**0.5)
    assert 0.1 < first(pass_through, "relu", 2**0.5) < 10
    assert first(pass_through, "relu", 3**-0.5) < 1e-9
    # Without biases a ReLU network is homogeneous: the gradient passes 29 matrices of weights.
    ratio = first(pass_through, "relu", 2.0) / first(pass_through, "relu", 1.0)
    assert ratio == pytest.approx(2**29, rel=1e-6)
    small, large = (np.median(pass_through("sigmoid", g, 0)[0]) for g in (1.0, 16.0))
    assert large / small == pytest.approx(1 / 3, rel=0.15)
