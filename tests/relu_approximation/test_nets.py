"""The exact sup error, and every claim of notebook 01 that can be computed."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose

from helpers.relu_approximation.nets import (
    ReluNet,
    best_net,
    equal_pieces,
    hinges,
    sawtooth_net,
    sup_error,
)

GREEDY = ReluNet([[0.2], [0.6], [0.8]], [0, -0.12, -0.48], [[1, 1, 1]], 0)  # the assignment's


def random_net(rng, units=None):
    """Slopes of both signs, breakpoints inside and outside, coinciding ones, w = 0, output bias."""
    units = units or int(rng.integers(1, 9))
    w = rng.normal(size=units) * rng.choice([0.3, 1, 5])
    b = -w * rng.uniform(-0.5, 1.5, size=units)
    if rng.random() < 0.3:
        b = -w * rng.choice([0.0, 0.25, 0.5, 1.0], size=units)  # coinciding, and on the ends
    if rng.random() < 0.3:
        w[rng.integers(units)] = 0
    return ReluNet(w[:, None], b, rng.normal(size=(1, units)), rng.normal(size=1))


def by_refinement(net):
    """The sup error by a fine grid whose most promising cells are divided again and again."""

    def size(x):
        return np.abs(x**2 - net(x))

    left, width = np.arange(2000) / 2000, 1 / 2000
    best = 0.0
    for _ in range(8):
        here, there = size(left), size(np.minimum(left + width, 1))
        best = max(best, here.max(), there.max())
        left = left[np.argsort(np.maximum(here, there))[-32:]]
        width /= 10
        left = (left[:, None] + width * np.arange(10)).ravel()
    return best


def test_sup_error_agrees_with_refined_grid_on_1000_random_nets():
    rng = np.random.default_rng(0)
    for _ in range(1000):
        net = random_net(rng)
        error = sup_error(net)
        assert abs(error.value - by_refinement(net)) < 1e-9
        assert_allclose(np.abs(error.points**2 - net(error.points)), error.value, atol=2e-9)
        assert (np.diff(error.points) > 0).all()
        assert 0 <= error.points[0] and error.points[-1] <= 1


def test_a_spike_between_grid_points_is_found():
    width, height = 1e-6, 1.5
    spike = hinges([0.3, 0.3 + width, 0.3 + 2 * width], np.array([-1, 2, -1]) * height / width)
    x = np.linspace(0, 1, 10_001)
    assert np.abs(x**2 - spike(x)).max() < 1.0001
    error = sup_error(spike)
    assert_allclose(error.value, height + 0.09, atol=1e-5)
    assert_allclose(error.points, [0.3 + width], atol=1e-9)


def test_the_net_computes_what_its_formula_says():
    rng = np.random.default_rng(1)
    net = random_net(rng, units=5)
    x = rng.uniform(-1, 2, size=(4, 3))
    W1, b1, W2, b2 = net
    for i, j in np.ndindex(x.shape):
        expected = W2 @ np.maximum(W1 @ [x[i, j]] + b1, 0) + b2
        assert_allclose(net(x)[i, j], expected[0])
    assert net(0.5).shape == ()
    assert net.units == 5 and net.parameters == 16
    assert repr(net) == "ReluNet(5 units, 16 parameters)"


def test_a_point_computed_in_two_ways_is_told_once():
    twice = hinges([0.2, 0.6, np.nextafter(0.6, 1)], [0.8, 0.4, 0.4], 0.02)
    assert len(twice.breakpoints) == 3
    error = sup_error(twice)
    assert_allclose(error.value, 0.02)
    assert_allclose(error.points, [0, 0.2, 0.4, 0.6, 0.8, 1], atol=1e-12)


def test_breakpoints_are_those_inside():
    net = ReluNet(
        [[1.0], [-2.0], [0.0], [1.0], [1.0], [1e-320]],
        [-0.5, 0.5, 3, -1.5, 0, -1.0],
        np.ones((1, 6)),
        0,
    )
    assert_allclose(net.breakpoints, [0.25, 0.5])


@pytest.mark.parametrize(
    ("answer", "named"),
    [
        (([[1, 1]], [0, 0], [[1, 1]], 0), r"W1 has shape \(1, 2\); b1 .* 2, so W1 .* \(2, 1\)"),
        (([[1], [1]], [0, 0], [[1], [1]], 0), "W2 has shape"),
        (([[1], [1]], [[0], [0]], [[1, 1]], 0), r"b1 has shape \(2, 1\); it needs .* \(2,\)"),
        (([[1]], [0], [[1]], [0, 0]), r"b2 has shape \(2,\); it needs the shape \(1,\)"),
        (([[np.nan]], [0], [[1]], 0), "W1 is .*finite"),
    ],
)
def test_a_net_that_does_not_fit_is_refused(answer, named):
    with pytest.raises(ValueError, match=named):
        ReluNet(*answer)


# Claims of the notebook


def test_the_assignments_net_errs_by_its_bound_at_two_points():
    for net in (GREEDY, hinges([0, 0.2, 0.6], [0.2, 0.6, 0.8])):
        error = sup_error(net)
        assert_allclose(error.value, 0.04)
        assert_allclose(error.points, [0.4, 0.8])


@pytest.mark.parametrize(
    ("place", "slope", "residual", "steepest"),
    [(0, 0, 0, 0.4), (0.2, 0.2, 0, 0.6), (0.6, 0.8, 0, 0.8)],
)
def test_each_step_of_the_greedy_construction_is_steepest_but_the_first(
    place, slope, residual, steepest
):
    assert_allclose(2 * place - slope + 2 * np.sqrt(residual + 0.04), steepest)
    t = np.linspace(0, 2, 200_001)
    arc = t**2 + (2 * place - slope - steepest) * t + residual
    assert_allclose(arc.min(), -0.04, atol=1e-9)  # any steeper would go below


def test_waiting_for_the_upper_edge_saves_a_unit():
    first = 0.4
    place = 0.2 + np.sqrt(0.08)
    second = 2 * place - first + 2 * np.sqrt(0.08)
    assert_allclose(place**2 - first * place, 0.04)
    assert_allclose(sup_error(hinges([0, place], [first, second])).value, 0.04)


def test_lines():
    for offset, error, points in (
        (0, 1 / 4, [0.5]),
        (-1 / 6, 1 / 6, [0, 1]),
        (-1 / 8, 1 / 8, [0, 0.5, 1]),
    ):
        line = sup_error(lambda x, offset=offset: x + offset, [])
        assert_allclose(line.value, error)
        assert_allclose(line.points, points)


@given(st.floats(-3, 3), st.floats(-3, 3))
def test_no_line_beats_one_eighth(slope, offset):
    assert sup_error(lambda x: slope * x + offset, []).value >= 1 / 8 - 1e-12


@pytest.mark.parametrize("units", [1, 2, 3, 4, 7, 16, 64])
def test_nets_of_equal_pieces_and_the_best_nets(units):
    equal, best = equal_pieces(units), best_net(units)
    assert equal.units == best.units == units
    assert_allclose(sup_error(equal).value, 1 / (8 * units**2), rtol=1e-9)
    assert_allclose(sup_error(best).value, 1 / (2 * (2 * units + 1) ** 2), rtol=1e-9)
    assert len(sup_error(equal).points) == 2 * units + 1
    assert len(sup_error(best).points) == 2 * units + 2
    assert len(equal.breakpoints) == units - 1 and len(best.breakpoints) == units


@pytest.mark.parametrize("made", [equal_pieces, best_net, sawtooth_net])
def test_a_number_below_one_is_refused(made):
    name = "layers" if made is sawtooth_net else "units"
    for value in (0, -2):
        with pytest.raises(ValueError, match=f"^{name} is {value}; give at least 1"):
            made(value)


@pytest.mark.parametrize("units", [1, 2, 3, 5])
def test_no_net_of_n_units_beats_the_bound(units):
    bound = 1 / (2 * (2 * units + 1) ** 2) - 1e-12
    rng = np.random.default_rng(units)
    best = best_net(units)
    for _ in range(300):
        assert sup_error(random_net(rng, units)).value >= bound
        sign = rng.choice([-1, 1], size=units)  # also units that look to the left
        noise = [10 ** rng.uniform(-6, -1) * rng.normal(size=part.shape) for part in best]
        near = ReluNet(*(part + step for part, step in zip(best, noise, strict=True)))
        assert sup_error(near).value >= bound
        turned = ReluNet(sign[:, None] * near.W1, sign * near.b1, near.W2, near.b2)
        assert sup_error(turned).value >= bound


@pytest.mark.parametrize("layers", [1, 2, 3, 5, 8])
def test_the_sawtooth_net(layers):
    net = sawtooth_net(layers)
    knots = np.linspace(0, 1, 2**layers + 1)
    x = np.linspace(0, 1, 1001)
    assert_allclose(net(x) + 4.0**-layers / 8, np.interp(x, knots, knots**2), atol=1e-14)
    assert_allclose(sup_error(net, knots).value, 4.0**-layers / 8, rtol=1e-6)
    assert net.parameters == 12 * layers - 2
    shallow = equal_pieces(2**layers)
    assert shallow.parameters == 3 * 2**layers + 1
    assert_allclose(sup_error(shallow).value, 4.0**-layers / 8, rtol=1e-6)
    if layers > 1:  # one unit fewer would not do, however its hinges are placed
        assert sup_error(best_net(2**layers - 1)).value > 4.0**-layers / 8


def test_depth_pays_from_four_layers_on():
    cheaper = [sawtooth_net(m).parameters < equal_pieces(2**m).parameters for m in range(1, 11)]
    assert cheaper == [False] * 3 + [True] * 7
    assert sawtooth_net(10).parameters == 118 and equal_pieces(1024).parameters == 3073
