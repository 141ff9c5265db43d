"""The page a student meets: verdicts, explorers under the hand, a finger, and the next day."""

import re
from functools import partial

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_notebook

from tests.browser.conftest import PICTURES
from tests.browser.lab import ANSWER

SIZES = [(1024, 700), (1280, 800), (1920, 1080)]
IMPORTS = """import torch
from helpers.activation_derivatives import check, explore
from helpers.mnist_comparison.explore import DigitPad
from helpers.networks import MNIST_SIZES, mlp
from helpers.plotting import use_style
from helpers.relu_approximation.explore import hinges_explorer

use_style()"""
PAD = """torch.manual_seed(0)
digits = torch.zeros(5, 28, 28)
digits[:, 4:24, 12:16] = 255
DigitPad({unit: mlp(MNIST_SIZES, unit) for unit in ("relu", "tanh")},
         digits.reshape(5, 784), torch.ones(5, dtype=int))"""
RIGHT = "def relu_derivative(z):\n    return (z > 0) * 1.0"
CHECK = "from helpers.activation_derivatives import check\n\ncheck.relu(relu_derivative)"
TANGENTS = "from helpers.activation_derivatives import explore\n\nexplore.tangents()"
LATER = "explore.tangents(made_above)"


@pytest.fixture
def page(served, open_notebook):
    """A notebook of an answer, its check, and three explorers, open and run."""

    def opened(size, **options):
        sources = [IMPORTS, RIGHT, CHECK, TANGENTS, PAD, "hinges_explorer()", "check.progress()"]
        cells = [new_code_cell(source) for source in sources]
        for place, cell in enumerate(cells):
            cell.metadata["nbgrader"] = {"grade_id": f"cell-{place}"}
        kernel = {"display_name": "Python 3", "language": "python", "name": "python3"}
        made = new_notebook(cells=cells, metadata={"kernelspec": kernel})
        nbformat.write(made, served / "page.ipynb")
        notebook = open_notebook("page.ipynb", size, **options)
        notebook.run_all()
        assert notebook.faults() == []
        return notebook

    return opened


# Counts an explorer's pictures from now on, in `window.drawn`.
COUNT = """img => {
    window.drawn = 0;
    new MutationObserver(() => window.drawn += 1).observe(img, {attributeFilter: ['src']});
}"""


def drag(notebook, explorer, name):
    """Drag a slider; return how many pictures came before and after the button was let go."""
    image, mouse = explorer.locator("img.widget-image"), notebook.page.mouse
    slider = explorer.locator(".widget-slider", has_text=name).locator(".noUi-handle")
    slider.scroll_into_view_if_needed()
    image.evaluate(COUNT)
    box = slider.bounding_box()
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    mouse.move(x, y)
    mouse.down()
    for step in range(20):
        mouse.move(x - 3 * step, y)
        notebook.page.wait_for_timeout(100)
    during = notebook.page.evaluate("window.drawn")
    mouse.up()
    notebook.page.wait_for_timeout(3000)
    return during, notebook.page.evaluate("window.drawn") - during


def test_the_front_door(open_notebook):
    notebook = open_notebook("00_start_here.ipynb", SIZES[0])
    notebook.run_all()
    assert notebook.faults() == [] and len(notebook.explorers()) == 1
    files = notebook.page.locator(".jp-DirListing-itemText")
    assert {"00_start_here.ipynb", "05_gradient_bounds.ipynb"} <= set(files.all_text_contents())
    assert "solutions" not in files.all_text_contents()
    for theme in ("JupyterLab Dark", "JupyterLab Light"):
        assert notebook.faint(theme) == []
    notebook.page.get_by_role("link", name="On to 1 · ReLU approximation").click()
    notebook.page.get_by_role("tab", name="01_relu_approximation.ipynb").wait_for()
    assert notebook.troubles == []


@pytest.mark.parametrize("size", SIZES, ids=str)
def test_the_page_at_its_sizes(page, size):
    notebook = page(size)
    tangents, pad, hinges = notebook.explorers()

    during, after = drag(notebook, hinges, "Slope k₁")
    assert during >= 3, "nothing moves while the slider is dragged"
    assert after <= 5, "pictures were queued"  # the one on its way, the last value's, fine ones

    fine = "img => img.width < 900 && img.naturalWidth >= 2 * img.width"
    for explorer in (tangents, pad, hinges):
        drawn = partial(explorer.locator("img.widget-image").evaluate, fine)
        notebook.until(drawn, ANSWER, "a fine picture, not stretched")

    beta = tangents.locator(".widget-slider", has_text="β").locator(".noUi-target")
    assert beta.get_attribute("disabled") is not None
    tangents.locator("select").select_option("Swish")
    notebook.until(lambda: beta.get_attribute("disabled") is None, ANSWER, "β switched on")

    card = notebook.cell("cell-2").locator("[role=status]")
    assert "✓ right" in card.text_content() and "1 of " in card.text_content()
    for theme in ("JupyterLab Dark", "JupyterLab Light"):
        assert notebook.faint(theme, fewest=10) == []
        name = f"page-{size[0]}-{theme[11:]}"
        for cell, explorer in (("card", card), ("tangents", tangents), ("pad", pad)):
            explorer.scroll_into_view_if_needed()
            notebook.page.screenshot(path=PICTURES / f"{name}-{cell}.png")
    assert notebook.troubles == []


def test_the_pad_takes_a_finger_and_a_test_image_and_says_where_to_draw(page):
    notebook = page((1280, 800), has_touch=True)
    pad = notebook.explorers()[1]
    canvas, image = pad.locator("canvas"), pad.locator("img.widget-image")
    pixel = "(c, [x, y]) => c.getContext('2d').getImageData(x, y, 1, 1).data[0]"
    canvas.scroll_into_view_if_needed()
    left, right = canvas.bounding_box(), image.bounding_box()
    assert abs(left["y"] - right["y"]) < 60 and right["x"] > left["x"] + left["width"] - 1
    assert pad.bounding_box()["height"] < 600
    assert canvas.evaluate(pixel, [140, 140]) > 200, "the test image is not on the pad"

    pad.get_by_role("button", name="Clear").click()
    ink = (
        "c => c.getContext('2d').getImageData(60, 120, 160, 40).data.some((v, i) => i % 4 < 1 && v)"
    )
    notebook.until(lambda: canvas.evaluate(pixel, [140, 60]) == 0, ANSWER, "an empty pad")
    notebook.until(lambda: canvas.evaluate(ink), ANSWER, "the words on an empty pad")

    hand = notebook.page.context.new_cdp_session(notebook.page)
    for y in range(50, 230, 15):
        kind = "touchStart" if y == 50 else "touchMove"
        at = [{"x": left["x"] + 140, "y": left["y"] + y}]
        hand.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": at})
    hand.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})
    said = "Your digit; the networks say:"
    notebook.until(lambda: notebook.sentence(pad).startswith(said), ANSWER, "an answer")
    assert canvas.evaluate(pixel, [140, 140]) > 200

    pad.get_by_role("button", name="Another test image").click()
    said = "Test image 1, a 1; "
    notebook.until(lambda: notebook.sentence(pad).startswith(said), ANSWER, "another image")
    assert notebook.troubles == []


def test_the_next_day(page, open_notebook):
    notebook = page((1280, 800))
    tangents = notebook.explorers()[0]
    tangents.locator("select").select_option("Swish")
    notebook.until(lambda: "Swish" in notebook.sentence(tangents), ANSWER, "another unit")
    said = notebook.sentence(tangents)
    assert tangents.page.locator(".explorer-saved:visible").count() == 0
    notebook.page.wait_for_timeout(3000)
    notebook.save()
    notebook.close()

    again = open_notebook("page.ipynb", (1280, 800))
    saved = again.page.locator(".explorer-saved")
    saved.nth(2).wait_for()
    assert said in saved.first.text_content()
    assert saved.first.locator("img").get_attribute("alt") == said
    assert saved.first.locator("img").evaluate("img => img.naturalWidth") > 1000
    assert again.page.get_by_text("Error displaying widget").filter(visible=True).count() == 0
    again.page.screenshot(path=PICTURES / "next-day.png")

    assert "No module" not in again.run_cell(again.cell("cell-3"))
    assert again.page.locator(".explorer-live img.widget-image").count() == 1
    again.run_cell(again.cell("cell-0"))
    told = again.run_cell(again.cell("cell-6"))
    assert re.search("1?\\d not checked since the kernel started: Run > Run All Cells", told)
    again.type_into(again.cell("cell-5"), LATER)
    told = again.run_cell(again.cell("cell-5"))
    assert told.startswith("○ This needs the cells above, for `made_above`")
    lost = [one for one in again.troubles if "model not found" not in one]
    assert lost == []  # the widgets' own manager says so of each in the console
