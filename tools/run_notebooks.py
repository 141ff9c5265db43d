"""Executes the solution notebooks in full, without a browser: `make run`.

Executed copies and an HTML page of each go to build/; with --in-place the outputs also go back to
notebooks/solutions/, as the ones that readers see. Cells, ids and metadata stay as written.
"""

import argparse
import os
import sys
import time
from pathlib import Path

import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError, DeadKernelError
from nbconvert import HTMLExporter
from nbformat import NotebookNode

ROOT = Path(__file__).resolve().parent.parent
WIDGET = "application/vnd.jupyter.widget-view+json"


class Runner(NotebookClient):
    """Executes a notebook in its own folder, without time limits, and reports on each cell."""

    def __init__(self, notebook: NotebookNode, path: Path) -> None:
        super().__init__(
            notebook,
            timeout=None,
            kernel_name="python3",
            record_timing=False,
            coalesce_streams=True,
            resources={"metadata": {"path": str(path.parent)}},
        )
        self.name = path.stem
        self.on_cell_start = self.say

    def say(self, cell: NotebookNode, cell_index: int) -> None:
        """Prints which cell is running."""
        if cell.cell_type == "code" and sys.stdout.isatty():
            print(f"\r{self.name}: cell {cell_index + 1}/{len(self.nb.cells)} ", end="", flush=True)


def keep_static(notebook: NotebookNode) -> None:
    """Leaves a figure where an output holds a widget and the widget's figure.

    A saved widget needs a running kernel, or scripts from the network, to be seen at all.
    """
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", [])]
    bundles = [output.data for output in outputs if "data" in output]
    for data in bundles:
        if "image/png" in data:
            data.pop(WIDGET, None)
    if not any(WIDGET in data for data in bundles):
        notebook.metadata.pop("widgets", None)


def save(text: str, path: Path) -> None:
    """Writes `text` to `path` in one step: an interruption leaves the old file whole."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(path.name + ".part")
    part.write_text(text, encoding="utf-8", newline="\n")
    os.replace(part, path)


def run(path: Path, build: Path, in_place: bool) -> str | None:
    """Executes the notebook at `path` and saves the results.

    Returns:
        None, or what went wrong in one line. A notebook that failed is saved to `build` as far as
        it came, and never in place.
    """
    notebook = nbformat.read(path, as_version=nbformat.NO_CONVERT)
    metadata = notebook.metadata.copy()
    start, fault = time.monotonic(), None
    try:
        Runner(notebook, path).execute()
    except CellExecutionError as error:
        fault = f"{error.ename}: {error.evalue}"
    except DeadKernelError as error:
        fault = str(error)
    # The kernel's version and the like would change with every machine.
    notebook.metadata = NotebookNode(
        metadata,
        **{key: notebook.metadata[key] for key in ("widgets",) if key in notebook.metadata},
    )
    keep_static(notebook)
    text = nbformat.writes(notebook) + "\n"
    page, _ = HTMLExporter().from_notebook_node(notebook)
    save(text, build / path.name)
    save(page, build / f"{path.stem}.html")
    if in_place and fault is None:
        save(text, path)
    print(
        "\r" * sys.stdout.isatty()
        + f"{path.stem}: {fault or 'done'} after {time.monotonic() - start:.0f} s"
    )
    return fault


def main(arguments: list[str] | None = None) -> int:
    """Runs the notebooks named, or all of them; returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "names", nargs="*", help="such as 03 or 03_mnist.ipynb; all, if none is given"
    )
    parser.add_argument("--in-place", action="store_true", help="also save to notebooks/solutions")
    parser.add_argument("--quick", action="store_true", help="shorten the long loops (QUICK_RUN=1)")
    options = parser.parse_args(arguments)
    if options.quick and options.in_place:
        parser.error("--in-place keeps results of the full run only; leave --quick out")

    os.environ.pop("QUICK_RUN", None)
    os.environ["TQDM_DISABLE"] = "1"
    if options.quick:
        os.environ["QUICK_RUN"] = "1"
    if options.in_place:
        os.environ["MNIST_REQUIRE_REAL"] = "1"

    folder = ROOT / "notebooks" / "solutions"
    paths = sorted(folder.glob("*.ipynb"))
    if options.names:
        unknown = [
            name for name in options.names if not any(p.name.startswith(name) for p in paths)
        ]
        if unknown:
            parser.error(
                f"no notebook {unknown[0]!r}; choose from {', '.join(p.stem for p in paths)}"
            )
        paths = [p for p in paths if p.name.startswith(tuple(options.names))]
    faults = [run(path, ROOT / "build", options.in_place) for path in paths]
    print(f"Executed copies and HTML pages: {ROOT / 'build'}")
    return 1 if any(faults) else 0


if __name__ == "__main__":
    sys.exit(main())
