"""Fixtures: the server, the browser, and a picture of each page as a test left it."""

import os
import re
import shutil
from pathlib import Path

import nbformat
import pytest
from playwright.sync_api import sync_playwright

from tests.browser.lab import Notebook, serving

ROOT = Path(__file__).resolve().parents[2]
PICTURES = ROOT / "build" / "browser"
NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
FLAGS = [
    "--no-sandbox",  # a container's root may not make one
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


def find_chromium(playwright):
    """Return the path of a Chromium: $CHROMIUM, one on the PATH, or Playwright's own; or None."""
    candidates = [os.environ.get("CHROMIUM"), *map(shutil.which, NAMES)]
    candidates.append(playwright.chromium.executable_path)
    return next((path for path in candidates if path and Path(path).exists()), None)


@pytest.fixture(scope="session")
def browser():
    with sync_playwright() as playwright:
        path = find_chromium(playwright)
        if path is None:
            reason = "no Chromium: install one, or set CHROMIUM to its path"
            pytest.fail(reason) if os.environ.get("CI") else pytest.skip(reason)
        browser = playwright.chromium.launch(executable_path=path, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def served(tmp_path_factory):
    """A folder of copies of the notebooks, both editions, as nobody has run them yet."""
    root = tmp_path_factory.mktemp("served")
    for source in (ROOT / "notebooks").glob("**/*.ipynb"):
        notebook = nbformat.read(source, as_version=4)
        for cell in notebook.cells:
            if cell.cell_type == "code":
                cell.outputs, cell.execution_count = [], None
        target = root / source.relative_to(ROOT / "notebooks")
        target.parent.mkdir(parents=True, exist_ok=True)
        nbformat.write(notebook, target)
    return root


@pytest.fixture(scope="session")
def lab(served, tmp_path_factory):
    """A server of that folder."""
    own = {
        "QUICK_RUN": "1",
        "TQDM_DISABLE": "1",
        "JUPYTER_CONFIG_PATH": str(ROOT / "tools/jupyter"),
    }
    with serving(served, tmp_path_factory.mktemp("jupyter"), **own) as lab:
        yield lab


@pytest.fixture
def open_notebook(request, lab, browser):
    """A function that opens a notebook in a fresh window; at the end its kernel is shut down."""
    opened, name = [], re.sub(r"\W+", "-", request.node.name).strip("-")

    def open_it(path, size=(1280, 900), **options):
        context = browser.new_context(viewport={"width": size[0], "height": size[1]}, **options)
        opened.append(Notebook(context.new_page(), *lab, path))
        return opened[-1]

    yield open_it
    for i, notebook in enumerate(opened):
        notebook.page.screenshot(path=PICTURES / f"{name}{'-' * i}.png")
        notebook.close()
        notebook.page.context.close()
