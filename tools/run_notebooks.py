"""Execute the solution notebooks in full, without a browser: `make run`, `make recorded`.

What data/runs does not hold is trained; `make recorded` then packs what notebook 03 asked for into
the package. Executed copies and an HTML page of each go to build/; with --in-place the outputs also
go back to notebooks/solutions/, as the ones that readers see, and the README's figure is taken from
them. Cells, ids and metadata stay as written.
"""

import argparse
import base64
import os
import sys
import time
from pathlib import Path

import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError, DeadKernelError
from nbconvert import HTMLExporter
from nbformat import NotebookNode
from nbformat.v4 import new_code_cell

ROOT = Path(__file__).resolve().parent.parent
WIDGET = "application/vnd.jupyter.widget-view+json"
RECORD = """from helpers.mnist_comparison import recorded

whole = [*(final[unit, best[unit], 0] for unit in UNITS), best_swish]
recorded.write(whole, runs.values(), split.validation_x)"""
README_FIGURE = "plots.rate_grid("  # the first cell that calls it draws docs/forty_eight_runs.png


def execute(notebook: NotebookNode, path: Path) -> str | None:
    """Execute the notebook in the folder of `path`; return what went wrong in one line, or None."""

    def say(cell: NotebookNode, cell_index: int) -> None:
        if cell.cell_type == "code" and sys.stdout.isatty():
            print(
                f"\r{path.stem}: cell {cell_index + 1}/{len(notebook.cells)} ", end="", flush=True
            )

    client = NotebookClient(
        notebook,
        timeout=None,
        kernel_name="python3",
        record_timing=False,
        coalesce_streams=True,
        store_widget_state=False,
        resources={"metadata": {"path": str(path.parent)}},
        on_cell_start=say,
    )
    metadata = notebook.metadata.copy()
    try:
        client.execute()
    except CellExecutionError as error:
        return f"{error.ename}: {error.evalue}"
    except DeadKernelError as error:
        return str(error)
    finally:
        notebook.metadata = metadata  # the kernel's version would change with every machine
    return None


def pictures(cell: NotebookNode) -> list[NotebookNode]:
    """Return the data of the cell's outputs that hold a picture."""
    data = [output.get("data", {}) for output in cell.get("outputs", [])]
    return [each for each in data if "image/png" in each]


def run(path: Path, in_place: bool, then: str = "") -> bool:
    """Execute the notebook at `path`, save the results, and return whether all went well.

    The code of `then` runs as a last cell, whose output is printed. A notebook that failed is
    saved to build/ as far as it came, and never in place.
    """
    notebook = nbformat.read(path, as_version=nbformat.NO_CONVERT)
    start = time.monotonic()
    last = new_code_cell(then)
    notebook.cells.append(last)
    fault = execute(notebook, path)
    notebook.cells.pop()
    print(*(output.get("text", "") for output in last.outputs), sep="", end="")
    for cell in notebook.cells:
        for data in pictures(cell):  # a saved widget needs a running kernel to be seen at all
            data.pop(WIDGET, None)
    build = ROOT / "build"
    build.mkdir(exist_ok=True)
    text = nbformat.writes(notebook) + "\n"
    page, _ = HTMLExporter().from_notebook_node(notebook)
    (build / path.name).write_text(text, encoding="utf-8", newline="\n")
    (build / f"{path.stem}.html").write_text(page, encoding="utf-8", newline="\n")
    if in_place and fault is None:
        path.write_text(text, encoding="utf-8", newline="\n")
        for cell in [c for c in notebook.cells if README_FIGURE in c.source][:1]:
            for data in pictures(cell):
                figure = ROOT / "docs" / "forty_eight_runs.png"
                figure.write_bytes(base64.b64decode(data["image/png"]))
    took = f"{fault or 'done'} after {time.monotonic() - start:.0f} s"
    print("\r" * sys.stdout.isatty() + f"{path.stem}: {took}")
    return fault is None


def main(arguments: list[str] | None = None) -> int:
    """Run the notebooks named, or all of them; return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", help="such as 03 or 03_mnist; all, if none is given")
    parser.add_argument("--in-place", action="store_true", help="also save to notebooks/solutions")
    parser.add_argument("--record", action="store_true", help="03 only: pack its runs, see above")
    options = parser.parse_args(arguments)
    if options.record:
        options.names = ["03"]

    os.environ.pop("QUICK_RUN", None)
    os.environ["TQDM_DISABLE"] = os.environ["TRAIN_AFRESH"] = "1"
    if options.in_place or options.record:
        os.environ["MNIST_REQUIRE_REAL"] = "1"
    paths = sorted((ROOT / "notebooks" / "solutions").glob("*.ipynb"))
    for name in options.names:
        if not any(path.name.startswith(name) for path in paths):
            parser.error(f"no notebook {name!r}; choose from {', '.join(p.stem for p in paths)}")
    chosen = [path for path in paths if path.name.startswith(tuple(options.names) or "")]
    fine = [run(path, options.in_place, RECORD * options.record) for path in chosen]
    print(f"Executed copies and HTML pages: {ROOT / 'build'}")
    return 0 if all(fine) else 1


if __name__ == "__main__":
    sys.exit(main())
