"""Holds the notebooks to one rule on outputs, for pre-commit, `make lint` and the tests.

Student notebooks are handed out blank: no outputs, no execution counts. Solution notebooks are
read without being run, so every cell has been run, in order, and none ends in an error (unless it
is tagged `raises-exception`, where the error is the point).
"""

import json
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def code_cells(notebook: dict) -> list[dict]:
    """Returns the code cells that hold any code."""
    cells = notebook["cells"]
    return [
        cell for cell in cells if cell["cell_type"] == "code" and "".join(cell["source"]).strip()
    ]


def student_faults(notebook: dict) -> list[str]:
    """Returns what keeps `notebook` from being a blank student notebook."""
    return [
        f"code cell {number} holds results of a run; clear them (make release does)"
        for number, cell in enumerate(code_cells(notebook), start=1)
        if cell["outputs"] or cell["execution_count"] is not None
    ]


def solution_faults(notebook: dict) -> list[str]:
    """Returns what keeps `notebook` from being a solution run from top to bottom."""
    cells = code_cells(notebook)
    counts = [cell["execution_count"] for cell in cells]
    faults = []
    if counts != list(range(1, len(cells) + 1)):
        faults.append("was not run once from top to bottom; run it (make run ARGS=--in-place)")
    if cells and not any(cell["outputs"] for cell in cells):
        faults.append("has no outputs; run it (make run ARGS=--in-place)")
    for number, cell in enumerate(cells, start=1):
        if "raises-exception" in cell["metadata"].get("tags", []):
            continue
        for output in cell["outputs"]:
            if output["output_type"] == "error":
                faults.append(f"code cell {number} ends in {output['ename']}: {output['evalue']}")
    return faults


def faults_of(path: Path) -> list[str]:
    """Returns the faults of the notebook at `path`, each with the path before it."""
    try:
        notebook = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        return [f"{path}: is not a notebook ({error})"]
    judge = solution_faults if path.resolve().parent.name == "solutions" else student_faults
    return [f"{path}: {fault}" for fault in judge(notebook)]


def main(arguments: list[str]) -> int:
    """Checks the notebooks named, or all of them; prints the faults; returns the exit status."""
    folder = ROOT / "notebooks"
    paths = [Path(name) for name in arguments] or sorted(
        [*folder.glob("*.ipynb"), *folder.glob("solutions/*.ipynb")]
    )
    faults = [fault for path in paths for fault in faults_of(path)]
    print("\n".join(faults) or f"{len(paths)} notebooks keep the rule on outputs")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
