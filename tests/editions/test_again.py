"""Every notebook runs: as it is handed out, and each cell again, answered in any order.

No name gets another meaning further down, and none is read above the cell that gives it one.
"""

import builtins

import pytest
from nbclient import NotebookClient
from nbformat.v4 import new_code_cell, new_notebook
from nbgrader import utils

from tests.editions.notebooks import NAMES, ROOT, STUDENTS, codes, read, solution_of
from tools.build_site import names


def ambiguous(notebook):
    """Return the names that some cell reads and more than one other gives a meaning."""
    each = [names(cell.source) for cell in codes(notebook)]
    needed = set().union(*(outside for outside, _ in each))
    return sorted(
        name for name in needed if sum(name in assigned for _, assigned in each) > 1
    )  # fmt: skip


def unknown(notebook):
    """Return the names that some cell reads before any cell has given them a meaning."""
    known, found = {*dir(builtins), "display", "__name__"}, set()
    for cell in codes(notebook):
        outside, assigned = names(cell.source)
        found |= outside - known
        known |= assigned
    return sorted(found)


@pytest.mark.parametrize("name", NAMES)
def test_a_name_that_other_cells_read_has_one_meaning_given_above(name):
    assert set(ambiguous(solution_of(name))) <= {"check"}  # each check cell imports it
    assert unknown(solution_of(name)) == unknown(read(STUDENTS / f"{name}.ipynb")) == []


@pytest.mark.parametrize(
    ("sources", "twice", "early"),
    [
        (["g = 1", "print(g)", "g = 2"], ["g"], []),
        (["g = 1", "def f():\n    return g", "for g in (2, 3):\n    print(g)"], ["g"], []),
        (["g = 1", "g = g + 1"], ["g"], []),
        (["g = 1\nprint(g)", "g = 2\nprint(g)"], [], []),
        (["g = 1", "print(g, [g for g in range(3)])"], [], []),
        (["print(g)", "g = 1"], [], ["g"]),
        (["g = g + 1", "def f():\n    return h()", "h = f"], [], ["g", "h"]),
    ],
)
def test_a_second_or_a_late_meaning_is_found(sources, twice, early):
    notebook = new_notebook(cells=[new_code_cell(source) for source in sources])
    assert ambiguous(notebook) == twice and unknown(notebook) == early


# Each figure is drawn once, with the answers: as handed out, all that is asked of it is no error.
UNDRAWN = "import helpers.plotting as _here; _png, _here.png = _here.png, lambda figure: b''"
DRAWN = "_here.png = _png"


@pytest.mark.timeout(0)  # each cell has a limit of its own
@pytest.mark.parametrize("name", NAMES)
def test_a_notebook_runs_and_every_cell_again_after_the_answers(name, monkeypatch):
    """A student runs all, answers from the last exercise to the first, and runs each cell again."""
    for variable in ("QUICK_RUN", "TQDM_DISABLE", "SEARCH_WORKERS"):
        monkeypatch.setenv(variable, "1")
    notebook, solution = read(STUDENTS / f"{name}.ipynb"), solution_of(name)
    cells = {True: [], False: []}
    for cell in codes(solution):
        cells[utils.is_solution(cell)].append(new_code_cell(cell.source))
    solved, again = cells[True][::-1], cells[False]  # those of the solution: hidden tests, too
    notebook.cells.insert(0, new_code_cell(UNDRAWN))
    notebook.cells += [new_code_cell(DRAWN), *solved, *again]
    NotebookClient(notebook, timeout=600, resources={"metadata": {"path": ROOT}}).execute()
    shown = ["".join(output.get("text", "") for output in cell.outputs) for cell in again]
    assert "".join(shown).count("✓ right") == len(solved) and "This waits for" not in str(shown)
    assert shown[-1] == "".join(output.text for output in codes(solution)[-1].outputs)
