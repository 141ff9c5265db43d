"""The notebooks in a browser: run all cells, move a control, draw a digit, answer an exercise."""

from pathlib import Path

import pytest

from tests.browser.lab import ANSWER

ROOT = Path(__file__).resolve().parents[2]
SOLUTIONS = sorted((ROOT / "notebooks" / "solutions").glob("*.ipynb"))


def move(notebook, explorer):
    """Move an explorer's first slider or number by keyboard and wait for another picture."""
    image = explorer.locator("img.widget-image")
    image.scroll_into_view_if_needed()
    before = notebook.picture(explorer), notebook.sentence(explorer)
    control = explorer.locator("[role=slider]:visible, input[type=number]:visible").first
    control.focus()
    key = "ArrowUp" if control.get_attribute("type") == "number" else "ArrowLeft"
    for _ in range(2):
        notebook.page.keyboard.press(key)
    notebook.until(
        lambda: (
            notebook.picture(explorer) != before[0] and notebook.sentence(explorer) != before[1]
        ),
        ANSWER,
        f"a change of the figure after {key} on {control.get_attribute('aria-label')}",
    )
    assert not notebook.sentence(explorer).startswith("! ")
    notebook.until(
        lambda: image.get_attribute("title") == notebook.sentence(explorer),
        ANSWER,
        "a description of the new figure for those who cannot see it",
    )


@pytest.mark.parametrize("path", SOLUTIONS, ids=lambda path: path.stem)
def test_a_solution_runs_and_its_explorers_answer(open_notebook, path):
    notebook = open_notebook(f"solutions/{path.name}")
    notebook.run_all()
    assert notebook.faults() == []
    explorers = notebook.explorers()
    assert explorers, "no explorer"
    for explorer in explorers:
        move(notebook, explorer)
    without = notebook.page.locator(".jp-OutputArea-output img:not([alt], [title])")
    assert without.count() == 0, "a figure without alternative text"
    for theme in ("JupyterLab Dark", "JupyterLab Light"):
        assert notebook.faint(theme) == []
    assert notebook.faults() == []
    assert notebook.troubles == []
    if path.stem.startswith("03"):
        draw_a_digit(notebook)
        assert notebook.troubles == []


def draw_a_digit(notebook):
    """Draw a 1 with the mouse; the picture, the sentence and the pad have to show it."""
    (pad,) = (each for each in notebook.explorers() if each.locator("canvas").count())
    canvas = pad.locator("canvas")
    canvas.scroll_into_view_if_needed()
    ink = "c => c.getContext('2d').getImageData(140, 60, 1, 160).data.filter(v => v > 200).length"
    before = notebook.picture(pad)
    box, mouse = canvas.bounding_box(), notebook.page.mouse
    mouse.move(box["x"] + 140, box["y"] + 50)
    mouse.down()
    mouse.move(box["x"] + 140, box["y"] + 230, steps=12)
    mouse.up()
    notebook.until(
        lambda: (
            notebook.sentence(pad).startswith("Your digit; the networks say:")
            and notebook.picture(pad) != before
        ),
        ANSWER,
        "the networks' answer to a drawn digit",
    )
    assert canvas.evaluate(ink) > 2 * 160, "the stroke is not on the pad"


def test_a_student_answers_wrongly_reads_a_hint_and_answers_rightly(open_notebook):
    notebook = open_notebook("02_activation_derivatives.ipynb")
    notebook.run_all()
    assert notebook.faults() == [], "the untouched notebook should run from top to bottom"
    exercise, check = notebook.cell("sigmoid"), notebook.cell("check-sigmoid")
    assert "○ not attempted yet" in notebook.output(check)

    notebook.type_into(exercise, "def sigmoid(z):\n    return 1 / (1 + np.exp(z))")
    notebook.run_cell(exercise)
    told = notebook.run_cell(check)
    assert "✗ wrong value" in told and "expected" in told

    hint = notebook.cell("sigmoid", before=1).locator("details").first
    hint.locator("summary").scroll_into_view_if_needed()
    assert not hint.locator("p").is_visible()
    hint.locator("summary").click()
    hint.locator("p").wait_for(state="visible")

    right = "    e = np.exp(-np.abs(z))\n    return np.where(z >= 0, 1, e) / (1 + e)"
    notebook.type_into(exercise, f"def sigmoid(z):\n{right}")
    notebook.run_cell(exercise)
    assert "✓ right" in notebook.run_cell(check)
    assert notebook.faults() == []
    assert notebook.troubles == []
