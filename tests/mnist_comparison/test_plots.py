"""Figures and explorers of notebook 03, with runs and networks made up for the purpose."""

from collections import Counter

import numpy as np
import pytest
import torch
from matplotlib.colors import to_hex
from PIL import Image

from helpers import activations
from helpers.activations import UNITS
from helpers.mnist_comparison import explore, plots
from helpers.mnist_comparison.records import Run, Spec
from helpers.networks import mlp
from helpers.training import History

EPOCHS = np.array([0, 10, 20, 30])


def history(end=0.9, nan_from=None):
    loss = np.array([2.3, 1.0, 0.5, 0.2])
    accuracy = np.linspace(0.1, end, 4)
    if nan_from is not None:
        loss[nan_from:] = np.nan
        accuracy[nan_from:] = 0.1
    return History(EPOCHS, loss, accuracy, loss + 0.1, accuracy - 0.02)


@pytest.fixture(scope="module")
def runs():
    found = {}
    for unit in UNITS:
        for rate, nan_from in ((0.001, None), (0.1, 2)):
            torch.manual_seed(len(found))
            state = mlp((784, 4, 10), unit).state_dict()
            spec = Spec(unit, rate, 0, 30, 10, (784, 4, 10), "float32", "x")
            parameters = {name: value.numpy() for name, value in state.items()}
            found[unit, rate, 0] = Run(spec, history(nan_from=nan_from), parameters)
    return found


@pytest.fixture(scope="module")
def images():
    generator = torch.Generator().manual_seed(0)
    return torch.randint(0, 256, (50, 784), generator=generator).float(), torch.arange(50) % 10


def test_a_diverged_curve_stays_visible_and_ends_in_a_cross():
    figure = plots.curves_by_unit({"relu": history(nan_from=2), "tanh": history()}, "title")
    loss = figure.axes[0]
    drawn = next(line for line in loss.lines if line.get_label() == "ReLU")
    np.testing.assert_allclose(drawn.get_ydata(), [2.3, 1.0, plots.CLIP, plots.CLIP])
    crosses = [line for line in loss.lines if line.get_marker() == "x"]
    assert [line.get_ydata()[0] for line in crosses] == [plots.CLIP]
    assert to_hex(crosses[0].get_color()).upper() == activations.get("relu").color


def test_every_rate_has_a_curve_in_every_panel_and_its_outcome_in_the_legend():
    ends = {0.001: ("learned", history()), 0.01: ("diverged", history(nan_from=2))}
    ends[0.1] = ("diverged", history(nan_from=2))
    curves, outcomes = {k: run for k, (_, run) in ends.items()}, [how for how, _ in ends.values()]
    figure = plots.curves_by_rate(curves, outcomes, "Swish at three rates")
    named = ["0.0010 learned", "0.0100 diverged", "0.1000 diverged"]
    for ax in figure.axes[:4]:
        lines = [line for line in ax.lines if line.get_label()[0] != "_"]
        assert [line.get_label() for line in lines] == named
        assert lines[1].get_linewidth() > lines[2].get_linewidth()
        assert ax.get_ylabel()
    assert figure.get_suptitle() == "Swish at three rates"
    assert "0.0010 learned 0.880, 0.0100 diverged 0.080" in figure.get_label()


def test_accuracies_have_more_room_near_1():
    ax = plots.curves_by_unit({"relu": history()}, "title").axes[3]
    low, middle, high = ax.transData.transform([(0, 0.1), (0, 0.85), (0, 0.95)])[:, 1]
    assert (high - middle) / 0.1 > 2 * (middle - low) / 0.75


def test_what_was_recorded_stands_beside_what_is_displayed():
    curves = {0.001: history(), 0.01: history(nan_from=2)}
    figure = plots.as_recorded_and_displayed(curves, plots.clipped, "title")
    assert (
        figure.get_label()
        == "as recorded: 1 of 2 lines are whole; displayed: 2 of 2 lines are whole"
    )
    np.testing.assert_allclose(figure.axes[1].lines[1].get_ydata(), [2.3, 1.0, 100, 100])


def test_the_grid_says_what_failed_and_frames_what_was_chosen():
    accuracy = {"relu": [0.9, 0.1], "tanh": [0.1, 0.8]}
    outcomes = {"relu": ["learned", "at chance"], "tanh": ["diverged", "learned"]}
    ax = plots.rate_grid(accuracy, outcomes, [0.1, 1.0], {"relu": 0.1, "tanh": 1.0})
    assert [text.get_text() for text in ax.texts] == ["0.900", "–", "×", "0.800"]
    corners = [(round(frame.get_x()), round(frame.get_y())) for frame in ax.patches]
    assert corners == [(0, 0), (1, 1)]


def test_published_and_ours_stand_side_by_side():
    ax = plots.published_beside_ours({"relu": 0.93}, {"relu": [0.92, 0.94]})
    dots, mark = ax.lines
    assert list(dots.get_xdata()) == [0.92, 0.94]
    assert mark.get_xdata()[0] == 0.93


def test_learned_swish_draws_each_beta_where_z_lies():
    z = [np.linspace(-50, 100, 1000), np.linspace(-3, 3, 1000)]
    figure = plots.learned_swish([0.5, -0.2], z, "title")
    for ax, beta, own in zip(figure.axes[:2], (0.5, -0.2), z, strict=True):
        line = next(line for line in ax.lines if line.get_label() == "Swish")
        np.testing.assert_allclose(line.get_ydata(), activations.swish(line.get_xdata(), beta))
        assert own[0] < line.get_xdata()[0] < own[20]
        assert f"β = {beta:.3f}" in ax.get_title()
    assert "layer 2 has β = -0.200" in figure.get_label()


def test_before_and_after_joins_hollow_and_filled_dots():
    array = np.array([[[0.1, 0.2], [0.3, 0.4]], [[0.5, 0.6], [0.7, 0.8]]])  # 2 seeds, 2 layers
    panels = {name: {"relu": array, "tanh": array} for name in "abcd"}
    figure = plots.before_and_after(panels, "title", log=["d"])
    assert [ax.get_yscale() for ax in figure.axes] == ["linear"] * 3 + ["log"]
    dots = [line for line in figure.axes[0].lines if line.get_marker() == "o"]
    hollow = [to_hex(line.get_markerfacecolor()) == "#ffffff" for line in dots]
    assert hollow == [True, True, False, False] * 2
    np.testing.assert_allclose(dots[2].get_ydata(), array[1, :, 0])
    assert "a ReLU 0.2 to 0.6, Tanh 0.2 to 0.6; b" in figure.get_label()


def test_words_name_the_units():
    assert plots.by_unit({"relu": 0.93, "tanh": 0.9}, ".3f") == "ReLU 0.930, Tanh 0.900"


def test_runs_explorer_at_both_ends(runs, images):
    explorer = explore.runs(runs, *images, {unit: 0.001 for unit in UNITS})
    assert "ReLU at 0.0010: learned" in explorer.sentence
    said = runs["relu", 0.001, 0].model()(images[0]).argmax(1)
    pairs = zip(images[1].tolist(), said.tolist(), strict=True)
    errors = Counter(pair for pair in pairs if pair[0] != pair[1])
    (digit, taken), times = errors.most_common(1)[0]
    assert f"confusion: {digit} taken for {taken}, {times} times of 5." in explorer.sentence
    first = explorer.children[1].value
    explorer.controls["rate"].value = 0.1
    assert "diverged" in explorer.sentence
    explorer.controls["unit"].value = "swish"
    assert "Swish at 0.1000" in explorer.sentence
    assert explorer.children[1].value != first
    assert "!" not in explorer.sentence


@pytest.fixture
def pad(runs, images):
    return explore.DigitPad({unit: runs[unit, 0.001, 0].model() for unit in UNITS}, *images)


def click(pad, label):
    next(one for one in pad.children[0].children if one.description == label).click()


def draw(pad, points):
    pad.press(*points[0])
    for point in points[1:]:
        pad.move(*point)
    pad.release(*points[-1])


def test_the_pad_begins_with_a_test_image_and_takes_strokes(pad, images):
    np.testing.assert_array_equal(pad.pixels, images[0][0].reshape(28, 28))
    assert "Test image 0, a 0; the networks say: ReLU" in pad.sentence
    pad.move(10, 10)  # without the button: draws nothing
    np.testing.assert_array_equal(pad.pixels, images[0][0].reshape(28, 28))
    draw(pad, [(140, 30), (140, 140), (140, 250)])
    assert "Your digit" in pad.sentence
    ink = pad.pixels
    assert ink.max() == 255
    rows, columns = np.nonzero(ink)
    assert rows.min() == 4
    assert rows.max() == 23, "the ink fills MNIST's box of 20 rows"
    assert abs(columns.mean() - 13.5) <= 1, "and stands in the middle"


def test_clear_reset_and_another_image(pad, images):
    draw(pad, [(30, 30), (200, 200)])
    click(pad, "Clear")
    assert "The pad is empty" in pad.sentence
    assert not pad.pixels.any()
    pad.controls["image"].value = 7
    np.testing.assert_array_equal(pad.pixels, images[0][7].reshape(28, 28))
    draw(pad, [(30, 30), (200, 200)])
    for _ in range(2):  # the second time image 0 is chosen already
        click(pad, "Reset")
        np.testing.assert_array_equal(pad.pixels, images[0][0].reshape(28, 28))
        draw(pad, [(30, 30), (200, 200)])


@pytest.mark.parametrize("box", [(0, 0, 20, 250), (250, 5, 279, 12), (3, 3, 279, 279)])
def test_any_ink_is_scaled_and_kept_inside(box):
    drawing = Image.new("L", (explore.PAD, explore.PAD))
    drawing.paste(255, box)
    places = np.array(np.nonzero(explore.centred(drawing)))
    assert np.ptp(places, axis=1).max() + 1 == explore.INK_BOX
    assert np.abs(places.mean(1) - 13.5).max() <= 1
