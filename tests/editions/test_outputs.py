"""The rule on outputs, held by `make test`, `make lint` and pre-commit.

Student notebooks are handed out blank. Solutions are read without being run: every cell has been
run, in order, without complaint.
"""

import pytest
from nbformat.v4 import new_code_cell, new_notebook, new_output

from tests.editions.notebooks import ROOT, SOLUTIONS, read

PATHS = sorted((ROOT / "notebooks").glob("*.ipynb")) + sorted(
    (ROOT / "notebooks/solutions").glob("*.ipynb")
)


def faults(notebook, solved):
    """Return what is wrong with the notebook's outputs."""
    cells = [cell for cell in notebook.cells if cell.cell_type == "code" and cell.source.strip()]
    counts = [cell.execution_count for cell in cells]
    outputs = [output for cell in cells for output in cell.outputs]
    if not solved:
        return ["holds results of a run: make release"] if outputs or any(counts) else []
    once = counts == list(range(1, len(cells) + 1)) and outputs
    return ([] if once else ["not run once from top to bottom: make run ARGS=--in-place"]) + [
        output.get("text") or f"{output.ename}: {output.evalue}"
        for output in outputs
        if output.output_type == "error" or output.get("name") == "stderr"
    ]


@pytest.mark.parametrize("path", PATHS, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_notebook_keeps_the_rule(path):
    assert faults(read(path), path.parent == SOLUTIONS) == []


ERROR = new_output("error", ename="ZeroDivisionError", evalue="division by zero", traceback=[])


@pytest.mark.parametrize(
    ("counts", "output", "solution", "student"),
    [
        ((1, 2), new_output("stream", text="1\n"), "", "results of a run"),
        ((1, 7), new_output("stream", text="1\n"), "not run once", "results of a run"),
        ((1, 2), ERROR, "ZeroDivisionError: division by zero", "results of a run"),
        ((1, 2), new_output("stream", name="stderr", text="oh\n"), "oh", "results of a run"),
        ((1, None), None, "not run once", "results of a run"),
        ((1, 2), None, "not run once", "results of a run"),
        ((None, None), None, "not run once", ""),
    ],
)
def test_a_fault_is_found(counts, output, solution, student):
    cells = [new_code_cell("print(1)", execution_count=count) for count in counts]
    cells[1].outputs = [output] if output else []
    for solved, told in [(True, solution), (False, student)]:
        found = faults(new_notebook(cells=[*cells, new_code_cell("")]), solved)
        assert told in "".join(found) and len(found) == bool(told)
