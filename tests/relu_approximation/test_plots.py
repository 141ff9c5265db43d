"""Notebook 01's figures and explorer: what they draw, from the data of their artists."""

import matplotlib.pyplot as plt
import numpy as np
import pytest
from numpy.testing import assert_allclose

from helpers import activations
from helpers.plotting import use_style
from helpers.relu_approximation import explore, plots
from helpers.relu_approximation.explore import MOST_UNITS
from helpers.relu_approximation.nets import ReluNet, best_net, hinges, sup_error

GREEDY = hinges([0, 0.2, 0.6], [0.2, 0.6, 0.8])


@pytest.fixture(autouse=True)
def style():
    use_style()


def line(ax, label):
    return next(each for each in ax.lines if each.get_label() == label)


def words(ax):
    return {text.get_text() for text in ax.texts}


def test_the_sample_holds_every_breakpoint():
    x = plots.sample(GREEDY, 11)
    assert {0.2, 0.6} <= set(x) and x[0] == 0 and x[-1] == 1 and (np.diff(x) > 0).all()


def test_bends_hold_zero_only_where_a_unit_starts_there():
    assert_allclose(plots.bends(GREEDY), [0, 0.2, 0.6])
    assert_allclose(plots.bends(best_net(2)), [0.2, 0.6])
    assert_allclose(plots.bends(ReluNet([[-1.0]], [0.0], [[1.0]], 0)), [])


def test_fit_draws_the_net_in_relu_style_over_the_square():
    ax = plots.fit(GREEDY, plt.figure().subplots(), before=hinges([0], [0.2]))
    x = line(ax, "_net").get_xdata()
    for label, y in (("_net", GREEDY(x)), ("_x²", x**2), ("_before", 0.2 * x)):
        assert_allclose(line(ax, label).get_ydata(), y)
    assert line(ax, "_net").get_color() == activations.get("relu").color
    assert_allclose(line(ax, "_bends").get_xdata(), [0, 0.2, 0.6])
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("x", "y, ŷ")
    assert plt.get_fignums() == [ax.figure.number]


def test_residual_marks_where_the_error_is_reached():
    ax = plots.residual(GREEDY, plt.figure().subplots(), 0.1, sup_error(GREEDY))
    x, y = line(ax, "_net").get_data()
    assert_allclose(y, x**2 - GREEDY(x))
    assert_allclose(line(ax, "_reached").get_xydata(), [(0.4, -0.04), (0.8, -0.04)], atol=1e-12)


def test_residuals_name_net_and_error():
    nets = {"greedy": GREEDY, "best": best_net(2)}
    figure = plots.residuals(nets, {name: sup_error(net) for name, net in nets.items()})
    assert [ax.get_title(loc="left") for ax in figure.axes] == ["greedy: 1/25", "best: 1/50"]


def test_step_shows_net_residual_and_next_hinge():
    left, right = plots.step(hinges([0], [0.2]), bend=0.2).axes
    assert_allclose(line(left, "_next").get_xydata(), [(0.2, 0.04)])
    assert_allclose(line(right, "_next").get_xydata(), [(0.2, 0)], atol=1e-12)
    assert {"next hinge: p = 0.2", "±0.04"} <= words(right)
    left, right = plots.step(GREEDY, before=hinges([0, 0.2], [0.2, 0.6])).axes
    assert "_next" not in [each.get_label() for each in right.lines]
    assert "dashed" in left.get_title(loc="left")


def test_candidates_are_told_apart_by_marker():
    ax = plots.candidates(GREEDY, sup_error(GREEDY), [0, 0.2, 0.6, 1], [0.1, 0.4, 0.8])
    assert line(ax, "ends of pieces").get_marker() != line(ax, "vertices").get_marker()
    assert_allclose(line(ax, "vertices").get_ydata(), [-0.01, -0.04, -0.04], atol=1e-12)
    labels = [text.get_text() for text in ax.get_legend().get_texts()]
    assert set(labels) == {"ends of pieces", "vertices", "sup error reached"}


def test_units_add_up_to_the_net():
    parts, total = plots.units_and_sum(ReluNet([[1], [-1]], [-0.2, 0.4], [[0.6, 1]], 0.1)).axes
    shares = [line(parts, f"unit {i}").get_ydata() for i in (1, 2)]
    assert_allclose(np.sum(shares, axis=0) + 0.1, line(total, "_net").get_ydata())
    assert {"unit 1", "unit 2"} <= words(parts)


def test_curves_are_labelled_and_marked():
    x = np.linspace(0, 1, 5)
    named = {"chord": x**2 - x, "best": x**2 - x + 1 / 8}
    ax = plots.curves(x, named, plots.largest)
    assert {"chord", "best"} <= words(ax)
    marked = [each.get_xdata() for each in ax.lines if each.get_label() == "_marked"]
    assert_allclose(marked[0], [0.5])
    assert_allclose(marked[1], [0, 0.5, 1])
    assert line(ax, "chord").get_linestyle() != line(ax, "best").get_linestyle()
    left, right = plots.panels(x, {"bent": named, "straight": {"line": x}}, "output").axes
    assert [left.get_title(loc="left"), right.get_title(loc="left")] == ["bent", "straight"]
    assert words(right) == {"line"} and right.get_ylabel() == "output"


def test_dips_mark_the_bottom_and_name_the_strip():
    x = np.linspace(0, 1, 101)
    ax = plots.dips(x, {"m = 1": x**2 - x})
    assert_allclose(line(ax, "_marked").get_xydata(), [(0.5, -0.25)])
    assert any("0.08" in text for text in words(ax))


def test_one_unit_marks_the_best_breakpoint():
    places = np.linspace(0, 1, 4)
    errors = {"left": np.array([0.12, 0.06, 0.2, 0.5]), "right": np.array([0.5, 0.4, 0.3, 0.12])}
    ax = plots.one_unit(places, errors, 0.04)
    best = [each.get_xydata()[0] for each in ax.lines if each.get_label() == "_marked"]
    assert_allclose(best, [(1 / 3, 0.06), (1, 0.12)])
    assert {"left", "right", "allowed: 0.04"} <= words(ax)


def test_errors_are_on_log_axes_with_plain_ticks():
    ax = plots.errors({"a": ([1, 2], [0.1, 0.02]), "b": ([1, 2], [0.2, 0.1])}, "N", [1, 2], 0.04)
    assert ax.get_xscale() == ax.get_yscale() == "log"
    assert_allclose(line(ax, "a").get_xydata(), [(1, 0.1), (2, 0.02)])
    ax.figure.draw_without_rendering()
    assert [tick.get_text() for tick in ax.get_xticklabels()] == ["1", "2"]
    assert {"a", "b", "0.04"} <= words(ax)


def test_errors_are_drawn_by_a_students_function_and_named_in_its_colours():
    def drawn(ax, sizes, errors):
        ax.plot(sizes, errors, "o-")
        ax.set(xlabel="mine", ylabel="my error")

    named = {"a": ([1, 2], [0.1, 0.02]), "b": ([1, 2], [0.2, 0.1])}
    ax = plots.errors(named, "N", [1, 2], draw=drawn)
    assert_allclose([each.get_ydata() for each in ax.lines[::2]], [[0.1, 0.02], [0.2, 0.1]])
    assert (ax.get_xlabel(), ax.get_ylabel(), words(ax)) == ("mine", "my error", {"a", "b"})
    assert ax.lines[0].get_color() != ax.lines[2].get_color() == line(ax, "b").get_color()


def test_alternative_texts_say_what_the_data_are():
    label = plots.step(hinges([0], [0.4])).get_label()
    assert "x = 0.2, where it is -0.04; at x = 1 it is 0.6" in label
    x = np.linspace(0, 1, 5)
    figure = plots.panels(x, {"left": {"a": x, "b": x**2}, "right": {"c": 2 * x}}, "output")
    assert (
        figure.get_label()
        == "left: 1 straight lines of 2 curves; right: 1 straight lines of 1 curves"
    )
    figure = plots.curves(x, {"chord": x**2 - x}, plots.largest).figure
    assert "chord: -0.25 at 0.5" in figure.get_label()
    figure = plots.residuals(
        {"best": best_net(1), "b": GREEDY}, {"best": sup_error(best_net(1)), "b": sup_error(GREEDY)}
    )
    assert (
        "best, 0.05556 at x = 0, 0.3333, 0.6667, 1; b, 0.04 at x = 0.4, 0.8" in figure.get_label()
    )


def test_folded_teeth_keep_their_shapes_and_arches_their_names():
    x = np.linspace(0, 1, 5)
    teeth = [1 - np.abs(1 - 2 * x), np.array([0, 1, 0, 1, 0])]
    left, right = plots.folding(x, teeth, {"high": x - x**2, "low": (x - x**2) / 16}).axes
    for i, tooth in enumerate(teeth, start=1):
        drawn = line(left, f"_T{i}").get_ydata()
        assert_allclose(drawn - drawn.min(), tooth)
    high, low = (text.get_position()[1] for text in right.texts)
    assert words(right) == {"high", "low"} and high > 1 / 4 and low < 0


def test_trained_nets_show_every_seed_and_the_median():
    found = {2: np.array([0.1, 0.2, 0.6]), 4: np.array([0.03, 0.04, 0.05])}
    ax = plots.trained(found, best=[0.02, 0.006], polished=[0.03, 0.01])
    seeds = [each.get_ydata() for each in ax.lines if each.get_label() == "_seeds"]
    assert_allclose(seeds, list(found.values()))
    medians = line(ax, "trained from random\n(median; ○ seeds in order)")
    assert_allclose(medians.get_ydata(), [0.2, 0.04])
    assert_allclose(line(ax, "best possible").get_ydata(), [0.02, 0.006])


def test_where_they_bend_counts_each_row():
    rows = {"seed 0": [], "seed 1": [0.2, 0.7], "seed 2": [0.2, 0.2001, 0.2002, 0.7]}
    ax = plots.where_they_bend(rows, [0.1, 0.5, 0.9])
    assert {"0", "2", "3", "4, in 2 places", "bends"} <= words(ax)
    ticks = [tick.get_text() for tick in ax.get_yticklabels()]
    assert ticks == ["best", "seed 2", "seed 1", "seed 0"]


# The explorer


@pytest.fixture
def explorer():
    return explore.hinges_explorer()


def axes_of(explorer):
    return explorer._painter._figure.axes


def pictured(explorer):
    left, right = axes_of(explorer)
    return line(left, "_net"), line(right, "_net"), line(right, "_reached")


def press(explorer, name):
    next(each for each in explorer.children[0].children if each.description == name).click()


def test_the_explorer_starts_with_the_assignments_net(explorer):
    net_line, rest, reached = pictured(explorer)
    assert_allclose(net_line.get_ydata(), GREEDY(net_line.get_xdata()))
    assert_allclose(rest.get_ydata(), rest.get_xdata() ** 2 - GREEDY(rest.get_xdata()))
    assert_allclose(reached.get_xdata(), [0.4, 0.8])
    assert "3 units: sup error 0.0400, reached at x = 0.400, 0.800; inside" in explorer.sentence
    assert "0.0102" in explorer.sentence


def test_moving_a_slider_moves_the_net_and_reset_moves_it_back(explorer):
    first = explorer._picture.value, explorer.sentence
    explorer.controls["place2"].value = 0.3
    x, y = pictured(explorer)[0].get_data()
    assert_allclose(y, hinges([0, 0.3, 0.6], [0.2, 0.6, 0.8])(x))
    for ax in axes_of(explorer):
        assert_allclose(line(ax, "_bends").get_xdata(), [0, 0.3, 0.6])
    assert "outside" in explorer.sentence
    assert explorer._picture.value != first[0]
    press(explorer, "Reset")
    assert (explorer._picture.value, explorer.sentence) == first


@pytest.mark.parametrize("end", ["min", "max"])
def test_every_slider_works_at_both_ends(explorer, end):
    explorer.set(**{name: getattr(each, end) for name, each in explorer.controls.items()})
    assert not explorer.sentence.startswith("!"), explorer.sentence
    rest = pictured(explorer)[1]
    low, high = rest.axes.get_ylim()
    assert low <= rest.get_ydata().min() and rest.get_ydata().max() <= high


@pytest.mark.parametrize("units", range(1, MOST_UNITS + 1))
def test_show_optimum_sets_the_best_net_of_the_sliders_in_use(explorer, units):
    explorer.controls["units"].value = units
    press(explorer, "Show optimum")
    x, y = pictured(explorer)[0].get_data()
    assert_allclose(y, best_net(units)(x), atol=1e-12)
    assert len(pictured(explorer)[2].get_xdata()) == 2 * units + 2
    assert f"sup error {1 / (2 * (2 * units + 1) ** 2):.4f}" in explorer.sentence
    for i in range(1, MOST_UNITS + 1):
        for name in (f"place{i}", f"slope{i}"):
            assert explorer.controls[name].layout.display == ("" if i <= units else "none")


def test_two_explorers_do_not_share_anything(explorer):
    two = explore.hinges_explorer()
    explorer.controls["units"].value = 1
    assert two.controls["units"].value == 3
    assert two.sentence.startswith("3 units") and explorer.sentence.startswith("1 unit:")
