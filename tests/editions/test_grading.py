"""Grading: one real nbgrader course, and the three submissions of every notebook without one.

`make grade-demo` takes all the notebooks through nbgrader itself.
"""

import ast
import contextlib
import importlib

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

from tests.editions.notebooks import NAMES, SOLUTIONS, asked, checks, codes, grade_id, solution_of
from tools import grade_demo, release

QUICK = "02_activation_derivatives"  # the one that goes through nbgrader here


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


@pytest.fixture(scope="module")
def careless(tmp_path_factory):
    """A solution notebook on which the demonstration has to find two faults."""
    cells = [new_markdown_cell("# 9 · Careless")]
    for name, hidden in [
        ("noisy", "import sys\nprint('done', file=sys.stderr)"),  # costs the right answer
        ("plain", "assert plain(3) == 6"),
        ("weak", "assert weak(1) is not None"),  # takes a wrong answer
    ]:
        answer = f"def {name}(x):\n    ### BEGIN SOLUTION\n    return 2 * x\n    ### END SOLUTION"
        test = f"### BEGIN HIDDEN TESTS\n{hidden}\n### END HIDDEN TESTS"
        check = graded_as(f"check-{name}", grade=True, locked=True, points=1)
        cells.append(new_code_cell(answer, metadata=graded_as(name, solution=True)))
        cells.append(new_code_cell(test, metadata=check))
    kernel = {"display_name": "Python 3", "language": "python", "name": "python3"}
    path = tmp_path_factory.mktemp("solutions") / "09_careless.ipynb"
    nbformat.write(new_notebook(cells=cells, metadata={"kernelspec": kernel}), path)
    return path


@pytest.fixture(scope="module")
def course(tmp_path_factory):
    """The folder of a course that nbgrader has graded, and the scores."""
    folder = tmp_path_factory.mktemp("courses")
    return folder / QUICK, grade_demo.grade(SOLUTIONS / f"{QUICK}.ipynb", folder)


def test_nbgrader_gives_the_three_scores(course):
    full = sum(cell.metadata.nbgrader.points for cell in checks(solution_of(QUICK)))
    blank, solved, careless = (course[1][student] for student in grade_demo.STUDENTS)
    assert blank.faults == solved.faults == careless.faults == []
    assert 0 == blank.points < careless.points < solved.points == full
    assert blank.waiting == 0 < solved.waiting


def test_nbgrader_releases_the_cells_of_the_student_edition(course):
    theirs = nbformat.read(course[0] / "release" / QUICK / f"{QUICK}.ipynb", as_version=4)
    for a, b in zip(theirs.cells, released(QUICK).cells, strict=True):
        assert a.id == b.id
        assert release.LINK_UP.sub(r"\1", a.source) == b.source
        for key in ["nbgrader", "deletable", "editable"]:
            assert a.metadata.get(key) == b.metadata.get(key)


def test_scores_that_are_not_deserved_are_told(careless, monkeypatch, capsys):
    monkeypatch.setattr(grade_demo, "SOLUTIONS", careless.parent)
    assert grade_demo.main([]) == 1
    assert "Stopped: 09_careless has no careless submission" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        grade_demo.main(["08"])
    monkeypatch.setitem(grade_demo.MISTAKES, careless.stem, ("weak", "return 3 * x"))
    assert grade_demo.main(["09"]) == 1
    line, *faults = capsys.readouterr().out.splitlines()[1:-1]
    assert line.split() == "09_careless 0 of 3 2 of 3 2 of 3 not as deserved".split()
    assert faults == [
        "    solved: check-noisy deserves 1, got 0: done",
        "    careless: check-noisy deserves 1, got 0: done",
        "    careless: check-weak deserves 0, got 1",
    ]
