"""A JupyterLab of one's own, and a notebook in it that a test reads, runs and clicks through."""

import json
import os
import secrets
import subprocess
import sys
import time
from contextlib import contextmanager

START = 240  # seconds for the server, and for a page of it, on a busy machine
RUN = 400  # seconds for all cells of one notebook
ANSWER = 120  # seconds for one redraw or one cell

# What a reader is asked or told on the first start is not what these tests are about.
QUIET = {"fetchNews": "false", "checkForUpdates": False, "doNotDisturbMode": True}


@contextmanager
def serving(root, scratch, **environment):
    """Serve the folder `root` with a JupyterLab of its own; yields its address and its token.

    What the server writes goes into the folder `scratch`.
    """
    token, log, runtime = secrets.token_hex(16), scratch / "jupyterlab.log", scratch / "runtime"
    quiet = scratch / "config/lab/user-settings/@jupyterlab/apputils-extension"
    quiet.mkdir(parents=True)
    (quiet / "notification.jupyterlab-settings").write_text(json.dumps(QUIET))
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("JUPYTER", "JPY_"))}
    own = {
        "JUPYTER_CONFIG_DIR": str(scratch / "config"),
        "JUPYTER_DATA_DIR": str(scratch / "data"),
        "JUPYTER_RUNTIME_DIR": str(runtime),
        "IPYTHONDIR": str(scratch / "ipython"),
        "JUPYTER_PREFER_ENV_PATH": "1",
    }
    options = [
        "--no-browser",
        f"--ServerApp.root_dir={root}",
        "--ServerApp.ip=127.0.0.1",
        f"--IdentityProvider.token={token}",
        "--LabApp.extension_manager=readonly",  # the other one asks a registry
        "--LabApp.expose_app_in_browser=True",  # lets the tests read cells and kernel states
    ]
    if hasattr(os, "geteuid") and os.geteuid() == 0:
        options.append("--allow-root")
    with log.open("w") as said:
        process = subprocess.Popen(
            [sys.executable, "-m", "jupyterlab", *options],
            env=kept | own | environment,
            cwd=root,
            stdin=subprocess.DEVNULL,
            stdout=said,
            stderr=subprocess.STDOUT,
        )
    try:
        yield address(process, runtime / f"jpserver-{process.pid}.json", log), token
    finally:
        process.terminate()
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def address(process, path, log):
    """Return the server's address, which it writes to `path` once it has found a free port."""
    end = time.monotonic() + START
    while time.monotonic() < end and process.poll() is None:
        try:
            return json.loads(path.read_text())["url"]
        except (OSError, ValueError):  # not written, or not to its end yet
            time.sleep(0.2)
    raise TimeoutError(f"JupyterLab did not start; it said:\n{log.read_text()[-3000:]}")


# In the page: `panel` is the open notebook, `codes` its code cells with something in them.
PANEL = """
const panel = window.jupyterapp.shell.currentWidget;
const cells = panel && panel.content && panel.content.widgets ? panel.content.widgets : [];
const codes = cells.filter(c => c.model.type === 'code' && c.model.sharedModel.source.trim());
const outputs = c => Array.from({length: c.model.outputs.length},
                                (_, i) => c.model.outputs.get(i).toJSON());
const kernel = panel && panel.sessionContext && panel.sessionContext.session
    ? panel.sessionContext.session.kernel : null;
"""

# Pieces of text in prose and outputs whose contrast with what is behind them (WCAG 2) is too low.
FAINT = """least => {
    const channel = c => c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4;
    const light = ([r, g, b]) => 0.2126 * channel(r) + 0.7152 * channel(g) + 0.0722 * channel(b);
    const rgba = text => {
        const numbers = text.match(/[\\d.]+/g).map(Number);
        const parts = numbers.slice(0, 3).map(c => text.startsWith('rgb') ? c / 255 : c);
        return [...parts, numbers.length > 3 ? numbers[3] : 1];
    };
    const over = (below, top) => below.map((c, i) => top[i] * top[3] + c * (1 - top[3]));
    const behind = element => {
        const layers = [];
        for (; element; element = element.parentElement)
            layers.unshift(rgba(getComputedStyle(element).backgroundColor));
        return layers.reduce(over, [1, 1, 1]);
    };
    const seen = {texts: 0, faint: []};
    for (const area of document.querySelectorAll('.jp-OutputArea-output, .jp-MarkdownOutput')) {
        const walker = document.createTreeWalker(area, NodeFilter.SHOW_TEXT);
        while (walker.nextNode()) {
            const {textContent, parentElement: home} = walker.currentNode;
            const text = textContent.trim();
            // Links to headings show on hover; code in prose has JupyterLab's colours.
            const other = home.closest('.jp-InternalAnchorLink, pre code');
            if (!text || other || !home.checkVisibility())
                continue;
            const below = behind(home), ink = over(below, rgba(getComputedStyle(home).color));
            const [dark, bright] = [light(below), light(ink)].sort((a, b) => a - b);
            const contrast = (bright + 0.05) / (dark + 0.05);
            seen.texts += 1;
            if (contrast < least) seen.faint.push([text.slice(0, 60), contrast.toFixed(2)]);
        }
    }
    return seen;
}"""


class Notebook:
    """A notebook open in the browser.

    Attributes:
        page: Playwright's page.
        troubles: what the browser's console called an error, and exceptions in the page.
    """

    def __init__(self, page, url, token, name):
        """Open the notebook `name` of the served folder and wait for its kernel."""
        self.page, self.troubles = page, []
        page.set_default_timeout(ANSWER * 1e3)
        page.on("console", self._listen)
        page.on("pageerror", lambda error: self.troubles.append(f"exception: {error}"))
        page.goto(f"{url}lab/tree/{name}?token={token}&reset", timeout=START * 1e3)
        page.wait_for_function(
            f"() => {{ if (!window.jupyterapp) return false; {PANEL} "
            "return codes.length && kernel && kernel.status === 'idle'; }",
            timeout=START * 1e3,
            polling=250,
        )

    def _listen(self, message):
        if message.type == "error":
            where = (message.location or {}).get("url", "")
            self.troubles.append(f"console: {message.text} ({where})")

    def read(self, expression, *arguments):
        """Return the value of a JavaScript expression over `PANEL`'s names; a list is `given`."""
        return self.page.evaluate(f"given => {{ {PANEL} return {expression}; }}", list(arguments))

    def until(self, condition, seconds, what):
        """Wait till `condition()` is true and return its value."""
        end = time.monotonic() + seconds
        while not (value := condition()):
            if time.monotonic() > end:
                raise TimeoutError(f"{what} has not happened in {seconds} seconds")
            self.page.wait_for_timeout(200)
        return value

    def run_all(self):
        """Run all cells by the menu; return when the kernel has nothing left to do."""
        self.page.get_by_role("menuitem", name="Run", exact=True).click()
        self.page.get_by_role("menuitem", name="Run All Cells", exact=True).click()
        self.until(self._has_run, RUN, "the end of Run All Cells")

    def _has_run(self):
        return self.read(
            "codes.every(c => c.model.executionCount) && kernel.status === 'idle'"
            " || codes.some(c => outputs(c).some(o => o.output_type === 'error'))"
        )

    def faults(self):
        """Return what went wrong in any cell: errors, and whatever was written to stderr."""
        return self.read(
            "codes.flatMap(c => outputs(c).filter(o => o.output_type === 'error' "
            "|| o.name === 'stderr').map(o => [c.model.sharedModel.source.slice(0, 60), "
            "o.ename ? o.ename + ': ' + o.evalue : o.text].join(' -> ')))"
        )

    def faint(self, theme, least=4.5, fewest=50):
        """Return text in prose and outputs that the theme shows with too little contrast."""
        self.page.evaluate(
            "theme => window.jupyterapp.commands.execute('apputils:change-theme', {theme})", theme
        )
        name = "document.body.dataset.jpThemeName"
        self.until(lambda: self.page.evaluate(name) == theme, ANSWER, f"the theme {theme}")
        self.page.wait_for_timeout(1000)  # colours fade into each other
        seen = self.page.evaluate(FAINT, least)
        assert seen["texts"] > fewest, "hardly any text was looked at"
        return seen["faint"]

    def cell(self, grade_id, before=0):
        """Return the locator of the cell with this nbgrader name, or of one `before` it."""
        index = self.read(
            "cells.findIndex(c => (c.model.getMetadata('nbgrader') || {}).grade_id === given[0])",
            grade_id,
        )
        assert index >= 0, f"no cell is called {grade_id}"
        at = f"[data-windowed-list-index='{index - before}']"
        return self.page.locator(f".jp-Notebook .jp-Cell{at}")

    def output(self, cell):
        """Return what stands below a code cell, as text, whether in view or not."""
        return "\n".join(cell.locator(".jp-OutputArea-output").all_text_contents())

    def run_cell(self, cell):
        """Run a cell with Shift+Enter, the pointer in its editor; return its text output."""
        prompt = cell.locator(".jp-InputArea-prompt")
        before = prompt.text_content()
        cell.locator(".cm-content").click()
        self.page.keyboard.press("Shift+Enter")
        self.until(
            lambda: prompt.text_content() not in (before, "[*]:"), ANSWER, "the run of a cell"
        )
        return self.output(cell)

    def type_into(self, cell, source):
        """Replace what stands in a code cell, as a hand at the keyboard does."""
        cell.locator(".cm-content").click()
        self.page.keyboard.press("ControlOrMeta+a")
        self.page.keyboard.insert_text(source)

    def explorers(self):
        """Return the explorers' locators, in order."""
        return self.page.locator(".jp-OutputArea-output:has(img.widget-image)").all()

    def picture(self, explorer):
        """Return the bytes of an explorer's picture, as text."""
        return explorer.locator("img.widget-image").evaluate(
            "async img => (await fetch(img.src)).text()"
        )

    def sentence(self, explorer):
        """Return the sentence below an explorer's picture."""
        return explorer.locator(".widget-html-content").last.text_content()

    def save(self):
        """Write the notebook to its file."""
        self.page.evaluate(f"async () => {{ {PANEL} await panel.context.save(); }}")

    def close(self):
        """End the kernel, so that the next notebook has the machine to itself."""
        self.page.evaluate(
            f"async () => {{ {PANEL} if (kernel) await panel.sessionContext.shutdown(); }}"
        )
