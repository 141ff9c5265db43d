"""Grading: one real nbgrader course, and the three submissions of every notebook without one.

`make grade-demo` takes all the notebooks through nbgrader itself.
"""

import ast
import contextlib
import importlib

import nbformat
import pytest
from nbformat.v4 import new_code_cell

from tests.editions.notebooks import NAMES, SOLUTIONS, asked, checks, codes, grade_id, solution_of
from tools import grade_demo, release

QUICK = "02_activation_derivatives"  # the one of which the exercises go through nbgrader here


def released(name):
    return nbformat.reads(release.released(SOLUTIONS / f"{name}.ipynb"), as_version=4)


def definitions(notebook):
    """Return what the notebook imports and defines, short of running it."""
    kinds = (ast.Import, ast.ImportFrom, ast.FunctionDef, ast.ClassDef)
    nodes = [node for cell in codes(notebook) for node in ast.parse(cell.source).body]
    space = {"__name__": "__main__"}
    for node in nodes:
        if isinstance(node, kinds):
            with contextlib.suppress(NameError):  # a default that some other cell computes
                exec(compile(ast.Module([node], []), "notebook", "exec"), space)
    return space


@pytest.mark.parametrize("student", grade_demo.STUDENTS)
@pytest.mark.parametrize("name", NAMES)
def test_submissions_pass_the_hidden_tests_that_they_deserve(name, student):
    notebook, right = grade_demo.handed_in(
        student, released(name), solution_of(name), grade_demo.MISTAKES[name]
    )
    space, room = definitions(notebook), importlib.import_module(f"helpers.{name[3:]}.check")
    all_ids, passed = set(), set()
    for cell in checks(solution_of(name)):
        check, answers = asked(cell, name[3:])
        exercise = grade_id(cell).removeprefix("check-")
        all_ids.add(exercise)
        try:
            getattr(room, check).grade(*(space[answer] for answer in answers))
            passed.add(exercise)
        except AssertionError as error:
            assert student != "solved", error
    assert passed == right & all_ids
    assert (student == "blank") == (not passed) and (student == "solved") == (passed == all_ids)


# --- through nbgrader ----------------------------------------------------------------------------


def graded_as(name, **kind):
    kind = {"grade": False, "solution": False, "locked": False, "task": False} | kind
    return {"nbgrader": {"schema_version": 3, "grade_id": name} | kind}


def careless_cells():
    """Two exercises in whose grading the demonstration has to find a fault."""
    for name, hidden in [
        ("noisy", "import sys\nprint('done', file=sys.stderr)"),  # costs the right answer
        ("weak", "assert weak(1) is not None"),  # takes a wrong answer
    ]:
        answer = f"def {name}(x):\n    ### BEGIN SOLUTION\n    return 2 * x\n    ### END SOLUTION"
        test = f"### BEGIN HIDDEN TESTS\n{hidden}\n### END HIDDEN TESTS"
        check = graded_as(f"check-{name}", grade=True, locked=True, points=1)
        yield new_code_cell(answer, metadata=graded_as(name, solution=True))
        yield new_code_cell(test, metadata=check)


def asking(notebook):
    """Return the cells that a grade depends on: the first with code, and those of nbgrader."""
    first = codes(notebook)[0]
    return [cell for cell in notebook.cells if cell is first or "nbgrader" in cell.metadata]


@pytest.fixture(scope="module")
def course(tmp_path_factory):
    """The folder of a course that nbgrader has graded, and the scores."""
    folder = tmp_path_factory.mktemp("course")
    notebook = solution_of(QUICK)
    notebook.cells = [*asking(notebook), *careless_cells()]
    nbformat.write(notebook, folder / f"{QUICK}.ipynb")
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(grade_demo.MISTAKES, QUICK, ("weak", "return 3 * x"))
        scores = grade_demo.grade(folder / f"{QUICK}.ipynb", folder / "courses")
    return folder / "courses" / QUICK, scores


def test_nbgrader_gives_the_scores_and_what_is_not_deserved_is_told(course, monkeypatch, capsys):
    full = sum(cell.metadata.nbgrader.points for cell in checks(solution_of(QUICK))) + 2
    blank, solved, careless = (course[1][student] for student in grade_demo.STUDENTS)
    assert (blank.points, solved.points, careless.points) == (0, full - 1, full - 1)
    assert blank.full == solved.full == careless.full == full
    assert blank.waiting == 0 < solved.waiting and blank.faults == []
    monkeypatch.setattr(grade_demo, "grade", lambda *_: course[1])
    assert grade_demo.main(["02"]) == 1
    line, *faults = capsys.readouterr().out.splitlines()[1:-1]
    some = f"{full - 1} of {full}"
    assert line.split() == f"{QUICK} 0 of {full} {some} {some} not as deserved".split()
    assert faults == [
        "    solved: check-noisy deserves 1, got 0: done",
        "    careless: check-noisy deserves 1, got 0: done",
        "    careless: check-weak deserves 0, got 1",
    ]


def test_nbgrader_releases_the_cells_of_the_student_edition(course):
    theirs = nbformat.read(course[0] / "release" / QUICK / f"{QUICK}.ipynb", as_version=4)
    for a, b in zip(theirs.cells[:-4], asking(released(QUICK)), strict=True):
        assert a.id == b.id
        assert release.LINK_UP.sub(r"\1", a.source) == b.source
        for key in ["nbgrader", "deletable", "editable"]:
            assert a.metadata.get(key) == b.metadata.get(key)


def test_a_notebook_that_cannot_be_demonstrated_is_named(tmp_path, monkeypatch, capsys):
    (tmp_path / "09_new.ipynb").touch()
    monkeypatch.setattr(grade_demo, "SOLUTIONS", tmp_path)
    assert grade_demo.main([]) == 1
    assert "Stopped: 09_new has no careless submission" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        grade_demo.main(["08"])
