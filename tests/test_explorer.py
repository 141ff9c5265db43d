"""What all explorers share: their shell, and redraws that are quick and still whole."""

import asyncio
import io
from unittest.mock import Mock, call

import ipywidgets as widgets
import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from PIL import Image

from benchmarks import explorers as measured
from helpers.explorer import Explorer, Painter


def pixels(png):
    return np.asarray(Image.open(io.BytesIO(png)).convert("RGB")).astype(int)


def drawn_whole(figure):
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    return np.asarray(canvas.buffer_rgba())[..., :3].astype(int)


def unlike(one, other):
    """Return the share of pixels that differ visibly."""
    return np.mean(np.abs(one - other).max(axis=-1) > 64)


@pytest.fixture(scope="module")
def explorers():
    return measured.explorers()


NAMES = (
    "01 hinges, 02 tangents, 02 depth, 03 runs, 03 digit pad, 04 layers, 05 bounds, 05 training"
).split(", ")


def test_every_explorer_is_measured(explorers):
    assert list(explorers) == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_a_redraw_is_what_drawing_it_whole_would_be(explorers, name):
    explorer = explorers[name]
    for i, change in enumerate(measured.changes(explorer, 6, seed=1)):
        change()
        assert not explorer.sentence.startswith("! "), explorer.sentence
        if i % 3 == 2:  # frames are kept from the third drawing on
            shown = pixels(explorer._picture.value)
            assert unlike(shown, drawn_whole(explorer._painter._figure)) < 0.001


def test_strokes_on_the_pad_are_answered(explorers):
    pad = explorers["03 digit pad"]
    row = measured.timed(pad, measured.strokes(pad, 2))
    assert row["changes"] == 2 and 0 < row["median_ms"] <= row["p95_ms"]


@pytest.fixture
def drawing():
    """A line in a figure, and a painter that has kept its frame."""
    figure = Figure(figsize=(4, 3), dpi=60)
    ax = figure.add_axes((0.2, 0.3, 0.7, 0.5))
    ax.plot([1, 2, 3])
    painter = Painter(figure)
    return ax, painter, [pixels(painter.png()) for _ in range(3)][-1]


@pytest.mark.parametrize(
    "change",
    [
        {"xlim": (0, 5)},
        {"yscale": "log"},
        {"title": "another title"},
        {"xlabel": "another name"},
        {"xticks": [0.5, 1.5]},
    ],
    ids=str,
)
def test_a_changed_frame_is_drawn_anew(drawing, change):
    ax, painter, before = drawing
    ax.set(**change)
    after = pixels(painter.png())
    assert unlike(before, after) > 0
    assert unlike(after, drawn_whole(ax.figure)) < 0.001


def test_a_kept_frame_is_not_drawn_again(drawing, monkeypatch):
    ax, painter, before = drawing
    monkeypatch.setattr(ax.xaxis, "draw", Mock(side_effect=AssertionError("drawn again")))
    assert unlike(before, pixels(painter.png())) == 0
    ax.lines[0].set_ydata([3, 2, 1])
    assert unlike(before, pixels(painter.png())) > 0.01
    ax.set_xlim(0, 9)
    with pytest.raises(AssertionError, match="drawn again"):
        painter.png()


# --- the shell -----------------------------------------------------------------------------------


def shell(redraw=lambda a, b: f"a is {a}, b is {b}", **options):
    figure = Figure(figsize=(2, 1), dpi=50)
    figure.subplots()
    controls = {
        "a": widgets.IntSlider(1, 0, 9, description="a"),
        "b": widgets.Dropdown(options=["x", "y"], description="b"),
    }
    return Explorer(figure, redraw, controls, **options)


def test_reset_and_actions_set_several_controls_and_redraw_once():
    redraw = Mock(side_effect=lambda a, b: f"{a} {b}")
    explorer = shell(redraw, actions={"Best": lambda: {"a": 7, "b": "y"}})
    for label in ["Best", "Reset"]:
        (button,) = [one for one in explorer.children[0].children if one.description == label]
        button.click()
    assert redraw.call_args_list == [call(a=1, b="x"), call(a=7, b="y"), call(a=1, b="x")]
    assert explorer.sentence == "1 x"


def test_an_error_is_told_and_the_next_change_goes_on():
    explorer = shell(lambda a, b: f"{1 / (a - 5)}")
    explorer.controls["a"].value = 5
    assert explorer.sentence == "! ZeroDivisionError: division by zero"
    explorer.controls["a"].value = 6
    assert explorer.sentence == "1.0"


def test_a_figure_without_front_end_and_words_for_those_who_cannot_see_it():
    explorer = shell()
    data, metadata = explorer._repr_mimebundle_()
    assert {"image/png", "application/vnd.jupyter.widget-view+json"} <= set(data)
    assert metadata["image/png"]["alt"] == explorer.sentence == "a is 1, b is x"
    explorer.controls["a"].value = 2
    assert explorer._picture.tooltip == explorer.sentence == "a is 2, b is x"


def test_once_the_hand_rests_the_figure_is_drawn_fine_and_saved_once(monkeypatch):
    kept = Mock()
    monkeypatch.setattr("helpers.explorer.DisplayHandle", lambda: kept)
    monkeypatch.setattr("helpers.explorer.REST", 0.05)
    monkeypatch.setenv("JPY_SESSION_NAME", "01.ipynb")
    explorer = shell()

    def width():
        return pixels(explorer._picture.value).shape[1]

    async def use():
        assert "image/png" not in explorer._repr_mimebundle_()  # it would not be the last one
        kept.reset_mock()
        assert width() == 200
        for value in (2, 3):
            explorer.controls["a"].value = value
            assert width() == 100
        while not kept.update.called:  # else the test's own time limit ends it
            await asyncio.sleep(0.01)
        await asyncio.sleep(0.1)  # in which a second one would come
        assert width() == 200 and explorer._picture.layout.width == "100px"

    asyncio.run(use())
    (page,) = kept.update.call_args_list[0].args
    assert kept.update.call_count == 1 and page["text/plain"] == "a is 3, b is x"
    assert 'alt="a is 3, b is x"' in page["text/html"]


def test_a_control_that_does_nothing_for_a_unit_is_off(explorers):
    controls = explorers["02 tangents"].controls
    for unit, off in [("swish", False), ("tanh", True)]:
        controls["unit"].value = unit
        assert controls["beta"].disabled is off


def test_a_control_without_a_name_is_refused():
    figure = Figure()
    with pytest.raises(ValueError, match="control 'a' has no description"):
        Explorer(figure, lambda a: "", {"a": widgets.IntSlider()})
