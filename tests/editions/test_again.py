"""Any cell runs again, in any order of answering: no name gets another meaning further down."""

import pytest
from nbclient import NotebookClient
from nbformat.v4 import new_code_cell, new_notebook

from tests.editions.notebooks import NAMES, ROOT, STUDENTS, answered, codes, read, solution_of
from tools.build_site import names


def ambiguous(notebook):
    """Return the names that some cell reads and more than one other gives a meaning."""
    each = [names(cell.source) for cell in codes(notebook)]
    needed = set().union(*(outside for outside, _ in each))
    return sorted(
        name for name in needed if sum(name in assigned for _, assigned in each) > 1
    )  # fmt: skip


@pytest.mark.parametrize("name", NAMES)
def test_a_name_that_other_cells_read_has_one_meaning(name):
    assert set(ambiguous(solution_of(name))) <= {"check"}  # each check cell imports it


@pytest.mark.parametrize(
    ("sources", "found"),
    [
        (["g = 1", "print(g)", "g = 2"], ["g"]),
        (["g = 1", "def f():\n    return g", "for g in (2, 3):\n    print(g)"], ["g"]),
        (["g = 1", "g = g + 1"], ["g"]),
        (["g = 1\nprint(g)", "g = 2\nprint(g)"], []),
        (["g = 1", "print(g, [g for g in range(3)])"], []),
    ],
)
def test_a_second_meaning_is_found(sources, found):
    assert ambiguous(new_notebook(cells=[new_code_cell(source) for source in sources])) == found


@pytest.mark.parametrize("name", NAMES)
def test_every_cell_runs_again_after_the_answers(name, monkeypatch):
    """A student runs all, answers from the last exercise to the first, and runs each cell again."""
    monkeypatch.setenv("QUICK_RUN", "1")
    monkeypatch.setenv("TQDM_DISABLE", "1")
    student, solution = read(STUDENTS / f"{name}.ipynb"), solution_of(name)
    solved = [new_code_cell(solution.cells[i].source) for i in answered(solution, "code")[::-1]]
    blank = {student.cells[i].id for i in answered(student, "code")}
    again = [new_code_cell(cell.source) for cell in codes(student) if cell.id not in blank]
    student.cells += solved + again
    client = NotebookClient(student, timeout=300, resources={"metadata": {"path": ROOT}})
    client.execute()
    shown = "".join(o.get("text", "") for c in student.cells[-len(again) :] for o in c.outputs)
    assert shown.count("✓ right") == len(solved) and "This waits for" not in shown
