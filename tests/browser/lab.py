"""A JupyterLab of one's own, and a notebook in it that a test reads, runs and clicks through."""

import json
import os
import secrets
import socket
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path

import nbformat

START = 240  # seconds for the server, and for a page of it, on a busy machine
RUN = 400  # seconds for all cells of one notebook
ANSWER = 120  # seconds for one redraw or one cell

# What a reader is asked or told on the first start is not what these tests are about.
SETTINGS = {
    "@jupyterlab/apputils-extension/notification": {
        "fetchNews": "false",
        "checkForUpdates": False,
        "doNotDisturbMode": True,
    }
}

# Errors in the console that say nothing about the course; each with its reason.
NOISE: dict[str, str] = {}


class Lab:
    """A JupyterLab server on a free port, with its own token, settings and runtime folder."""

    def __init__(self, root, scratch, **environment):
        """Starts serving the folder `root`; what the server writes goes into `scratch`."""
        self.token = secrets.token_hex(16)
        self.log = scratch / "jupyterlab.log"
        settings = scratch / "settings"
        for name, values in SETTINGS.items():
            path = settings / f"{name}.jupyterlab-settings"
            path.parent.mkdir(parents=True)
            path.write_text(json.dumps(values))
        kept = {k: v for k, v in os.environ.items() if not k.startswith(("JUPYTER", "JPY_"))}
        folders = {
            "JUPYTER_CONFIG_DIR": scratch / "config",
            "JUPYTER_DATA_DIR": scratch / "data",
            "JUPYTER_RUNTIME_DIR": scratch / "runtime",
            "JUPYTERLAB_SETTINGS_DIR": settings,
            "JUPYTERLAB_WORKSPACES_DIR": scratch / "workspaces",
            "IPYTHONDIR": scratch / "ipython",
        }
        command = [
            *[sys.executable, "-m", "jupyterlab", "--no-browser"],
            f"--ServerApp.root_dir={root}",
            "--ServerApp.ip=127.0.0.1",
            f"--ServerApp.port={free_port()}",
            f"--IdentityProvider.token={self.token}",
            "--LabApp.extension_manager=readonly",  # the other one asks a registry
            "--LabApp.expose_app_in_browser=True",  # lets the tests read cells and kernel states
        ]
        if hasattr(os, "geteuid") and os.geteuid() == 0:
            command.append("--allow-root")
        with self.log.open("w") as log:
            self.process = subprocess.Popen(
                command,
                env=kept
                | {name: str(folder) for name, folder in folders.items()}
                | {"JUPYTER_PREFER_ENV_PATH": "1"}
                | environment,
                cwd=root,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        try:
            self.url = self._address(folders["JUPYTER_RUNTIME_DIR"])
        except BaseException:
            self.close()
            raise

    def _address(self, runtime):
        # The port that was free may be gone by now; the server then takes another and says so here.
        end = time.monotonic() + START
        while time.monotonic() < end and self.process.poll() is None:
            for path in runtime.glob(f"jpserver-{self.process.pid}.json"):
                try:
                    return json.loads(path.read_text())["url"]
                except ValueError:
                    pass  # not written to its end yet
            time.sleep(0.2)
        raise TimeoutError(f"JupyterLab did not start; it said:\n{self.log.read_text()[-3000:]}")

    def close(self):
        """Ends the server, and with it its kernels."""
        self.process.terminate()
        try:
            self.process.wait(30)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


def free_port():
    """Returns a port of this machine that nobody listens on."""
    with closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def without_outputs(source: Path, target: Path):
    """Copies a notebook as one that nobody has run yet."""
    notebook = nbformat.read(source, as_version=4)
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = [], None
    nbformat.write(notebook, target)


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

# The bytes of an <img>, boiled down to a number that another picture will not share by chance.
SUM = """async img => {
    const data = new Uint8Array(await (await fetch(img.src)).arrayBuffer());
    return data.reduce((sum, byte) => (sum * 31 + byte) % 4294967291, data.length);
}"""

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

    def __init__(self, page, lab, name):
        """Opens the notebook `name` of the served folder and waits for its kernel."""
        self.page, self.troubles = page, []
        page.set_default_timeout(ANSWER * 1e3)
        page.on("console", self._listen)
        page.on("pageerror", lambda error: self.troubles.append(f"exception: {error}"))
        page.goto(f"{lab.url}lab/tree/{name}?token={lab.token}&reset", timeout=START * 1e3)
        page.wait_for_function(
            f"() => {{ if (!window.jupyterapp) return false; {PANEL} "
            "return codes.length && kernel && kernel.status === 'idle'; }",
            timeout=START * 1e3,
            polling=250,
        )

    def _listen(self, message):
        if message.type == "error" and not any(part in message.text for part in NOISE):
            where = (message.location or {}).get("url", "")
            self.troubles.append(f"console: {message.text} ({where})")

    def read(self, expression, *arguments):
        """Returns the value of a JavaScript expression over `PANEL`'s names; a list is `given`."""
        return self.page.evaluate(f"given => {{ {PANEL} return {expression}; }}", list(arguments))

    def until(self, condition, seconds, what):
        """Waits till `condition()` is true and returns its value."""
        end = time.monotonic() + seconds
        while not (value := condition()):
            if time.monotonic() > end:
                raise TimeoutError(f"{what} has not happened in {seconds} seconds")
            self.page.wait_for_timeout(200)
        return value

    def run_all(self):
        """Runs all cells by the menu; returns when the kernel has nothing left to do."""
        self.page.get_by_role("menuitem", name="Run", exact=True).click()
        self.page.get_by_role("menuitem", name="Run All Cells", exact=True).click()
        self.until(self._has_run, RUN, "the end of Run All Cells")

    def _has_run(self):
        return self.read(
            "codes.every(c => c.model.executionCount) && kernel.status === 'idle'"
            " || codes.some(c => outputs(c).some(o => o.output_type === 'error'))"
        )

    def faults(self):
        """Returns what went wrong in any cell: errors, and whatever was written to stderr."""
        return self.read(
            "codes.flatMap(c => outputs(c).filter(o => o.output_type === 'error' "
            "|| o.name === 'stderr').map(o => [c.model.sharedModel.source.slice(0, 60), "
            "o.ename ? o.ename + ': ' + o.evalue : o.text].join(' -> ')))"
        )

    def faint(self, theme, least=4.5):
        """Returns text in prose and outputs that the theme shows with too little contrast."""
        self.page.evaluate(
            "theme => window.jupyterapp.commands.execute('apputils:change-theme', {theme})", theme
        )
        name = "document.body.dataset.jpThemeName"
        self.until(lambda: self.page.evaluate(name) == theme, ANSWER, f"the theme {theme}")
        self.page.wait_for_timeout(1000)  # colours fade into each other
        seen = self.page.evaluate(FAINT, least)
        assert seen["texts"] > 50, "hardly any text was looked at"
        return seen["faint"]

    def cell(self, grade_id, before=0):
        """Returns the locator of the cell with this nbgrader name, or of one `before` it."""
        index = self.read(
            "cells.findIndex(c => (c.model.getMetadata('nbgrader') || {}).grade_id === given[0])",
            grade_id,
        )
        assert index >= 0, f"no cell is called {grade_id}"
        at = f"[data-windowed-list-index='{index - before}']"
        return self.page.locator(f".jp-Notebook .jp-Cell{at}")

    def output(self, cell):
        """Returns what stands below a code cell, as text, whether in view or not."""
        return "\n".join(cell.locator(".jp-OutputArea-output").all_text_contents())

    def run_cell(self, cell):
        """Runs a cell with Shift+Enter, the pointer in its editor; returns its text output."""
        prompt = cell.locator(".jp-InputArea-prompt")
        before = prompt.text_content()
        cell.locator(".cm-content").click()
        self.page.keyboard.press("Shift+Enter")
        self.until(
            lambda: prompt.text_content() not in (before, "[*]:"), ANSWER, "the run of a cell"
        )
        return self.output(cell)

    def type_into(self, cell, source):
        """Replaces what stands in a code cell, as a hand at the keyboard does."""
        cell.locator(".cm-content").click()
        self.page.keyboard.press("ControlOrMeta+a")
        self.page.keyboard.insert_text(source)

    def explorers(self):
        """Returns the explorers' locators, in order."""
        return self.page.locator(".jp-OutputArea-output:has(img.widget-image)").all()

    def picture(self, explorer):
        """Returns a number that stands for the bytes of an explorer's picture."""
        return explorer.locator("img.widget-image").evaluate(SUM)

    def sentence(self, explorer):
        """Returns the sentence below an explorer's picture."""
        return explorer.locator(".widget-html-content").last.text_content()

    def close(self):
        """Ends the kernel, so that the next notebook has the machine to itself."""
        self.page.evaluate(
            f"async () => {{ {PANEL} if (kernel) await panel.sessionContext.shutdown(); }}"
        )
