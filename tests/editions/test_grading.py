"""Grading: real nbgrader courses for some notebooks, hidden tests held to account for all.

A check cell is graded as nbgrader does it: it scores in full if it neither raises nor writes to
stderr, and 0 otherwise. `make grade-demo` takes all the notebooks through nbgrader itself.
"""

import ast
import contextlib
import functools
import importlib.util
import io
import warnings
from pathlib import Path

import nbformat
import numpy as np
import pytest
import torch
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook
from nbgrader import utils

from helpers.judge import Checklist, State
from tools import grade_demo, release

ROOT = Path(__file__).resolve().parents[2]
SOLUTIONS = ROOT / "notebooks" / "solutions"
NAMES = sorted(path.stem for path in SOLUTIONS.glob("*.ipynb"))
THROUGH_NBGRADER = ["02_activation_derivatives"]  # a quick one; the others in `make grade-demo`


def solution(name):
    return nbformat.read(SOLUTIONS / f"{name}.ipynb", as_version=4)


def code_cells(notebook):
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def checks(notebook):
    return {
        cell.metadata.nbgrader.grade_id.removeprefix("check-"): cell
        for cell in code_cells(notebook)
        if utils.is_grade(cell)
    }


# --- grading without a kernel --------------------------------------------------------------------


def is_literal(node):
    try:
        ast.literal_eval(node)
    except ValueError:
        return False
    return True


def variables(notebook):
    """Returns what the notebook defines, short of running it: imports, functions, constants."""
    space = {"__name__": "__main__"}
    kinds = (ast.Import, ast.ImportFrom, ast.FunctionDef, ast.ClassDef)
    for cell in code_cells(notebook):
        if not utils.is_grade(cell):
            body = [
                node
                for node in ast.parse(cell.source).body
                if isinstance(node, kinds)
                or isinstance(node, ast.Assign)
                and is_literal(node.value)
            ]
            exec(compile(ast.Module(body, []), "cell", "exec"), space)
    return space


def complaint(source, space):
    """Runs a check cell as nbgrader does; returns what costs it its points, or nothing."""
    silent = contextlib.redirect_stdout(io.StringIO())
    with silent, contextlib.redirect_stderr(io.StringIO()) as stderr:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("default")
            try:
                exec(compile(source, "check", "exec"), dict(space))
            except Exception as error:  # noqa: BLE001 - of whatever kind, it costs the points
                return f"{type(error).__name__}: {error}"
    shown = [str(w.message) for w in caught if not issubclass(w.category, DeprecationWarning)]
    return stderr.getvalue() + "\n".join(shown)


@pytest.fixture(autouse=True)
def autograding(monkeypatch):
    monkeypatch.setenv("NBGRADER_EXECUTION", "autograde")


@pytest.mark.parametrize("name", NAMES)
def test_every_notebook_has_a_half_solved_submission(name):
    half = grade_demo.HALF_SOLVED[name]
    known = set(checks(solution(name)))
    assert half.right | half.wrong.keys() < known  # some are left untouched
    assert half.right and half.wrong and not half.right & half.wrong.keys()


@pytest.mark.parametrize("student", grade_demo.STUDENTS)
@pytest.mark.parametrize("name", NAMES)
def test_submissions_score_what_they_deserve(name, student):
    full = solution(name)
    blank = nbformat.reads(release.released(SOLUTIONS / f"{name}.ipynb"), as_version=4)
    half = grade_demo.HALF_SOLVED[name]
    space = variables(grade_demo.submissions(blank, full, half)[student])
    passed = {grade for grade, cell in checks(full).items() if not complaint(cell.source, space)}
    due = {"untouched": set(), "solved": set(checks(full)), "half-solved": set(half.right)}
    assert passed == due[student]


def cases(name):
    """Returns the right answers on record for each check of the notebook, by the check's id."""
    path = ROOT / "tests" / name[3:] / "cases.py"
    spec = importlib.util.spec_from_file_location(path.stem, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return {id(case.check): case for case in module.CASES}


def asked(cell, space):
    """Returns the check that a cell calls, and the names of the answers that it passes."""
    call = ast.parse(cell.source).body[0].value
    return getattr(space["check"], call.func.attr), [ast.unparse(arg) for arg in call.args]


@pytest.mark.parametrize("name", NAMES)
def test_every_right_answer_scores_in_full(name, monkeypatch):
    # However written: the hidden tests must take whatever the check takes.
    monkeypatch.syspath_prepend(ROOT / "tests" / "checks")
    space, known = variables(solution(name)), cases(name)
    faults = []
    for grade, cell in checks(solution(name)).items():
        check, names = asked(cell, space)
        for number, answers in enumerate(known[id(check)].right):
            said = complaint(cell.source, space | dict(zip(names, answers, strict=True)))
            faults += [f"{grade}, right answer {number}: {said}"] if said else []
    assert faults == []


# --- answers made for the visible check ----------------------------------------------------------


def fingerprint(thing):
    """Returns something hashable that is the same for equal arguments, and for them only."""
    if isinstance(thing, torch.Tensor):
        thing = thing.detach().numpy()
    if isinstance(thing, np.ndarray):
        return thing.shape, thing.dtype.str, thing.tobytes()
    if isinstance(thing, (list, tuple)):
        return tuple(map(fingerprint, thing))
    if isinstance(thing, dict):
        return tuple((key, fingerprint(value)) for key, value in thing.items())
    if isinstance(thing, np.random.Generator):
        return repr(thing.bit_generator.state)
    if callable(thing):
        code = getattr(thing, "__code__", None)
        return (code.co_code, code.co_consts) if code else repr(thing)
    if isinstance(thing, (int, float, str, np.number, type(None))):
        return thing
    raise TypeError(f"cannot be told apart: {thing!r}")


def spoiled(value):
    """Returns a result of the same form with other numbers."""
    if isinstance(value, (list, tuple)):
        return type(value)(map(spoiled, value))
    if isinstance(value, dict):
        return {key: spoiled(each) for key, each in value.items()}
    return value * 1.5 + 1


class Crammer:
    """Learns by heart what a right answer returns for some arguments, and spoils all others."""

    def __init__(self, answer):
        self.answer, self.known, self.learning = answer, set(), True

    def function(self):
        @functools.wraps(self.answer)
        def learned(*args, **kwargs):
            key = fingerprint([*args, kwargs])
            value = self.answer(*args, **kwargs)
            if self.learning:
                self.known.add(key)
            return value if key in self.known else spoiled(value)

        return learned


@pytest.mark.parametrize("name", NAMES)
def test_learning_the_check_by_heart_scores_nothing(name):
    graded = checks(solution(name))
    space = variables(solution(name))
    survivors, crammed = [], []
    for grade, cell in graded.items():
        check, names = asked(cell, space)
        if any(isinstance(space[each], type) for each in names):
            continue  # a class: too much to learn by heart
        crammers = {each: Crammer(space[each]) for each in names}
        answers = {each: crammer.function() for each, crammer in crammers.items()}
        check.verdict(*answers.values())
        for crammer in crammers.values():
            crammer.learning = False
        takes_nothing = all(crammer.known <= {((),)} for crammer in crammers.values())
        if check.verdict(*answers.values()).state is State.RIGHT and not takes_nothing:
            crammed.append(grade)
            survivors += [] if complaint(cell.source, space | answers) else [grade]
    # The others draw, take nothing, or take what cannot be told apart.
    assert len(crammed) >= len(graded) / 3, crammed
    assert survivors == []


def test_checks_raise_for_nbgrader_only(monkeypatch, capsys):
    checklist = Checklist("a notebook")

    @checklist.exercise("1.1 Something")
    def check(answer):
        assert answer

    with pytest.raises(AssertionError, match="not attempted yet: 1.1 Something"):
        check(None)
    assert check(True) is None
    monkeypatch.delenv("NBGRADER_EXECUTION")
    assert check(None) is None
    assert capsys.readouterr().out.count("○ not attempted yet: 1.1 Something") == 2


# --- through nbgrader ----------------------------------------------------------------------------


def graded_as(name, **kind):
    kind = {"grade": False, "solution": False, "locked": False, "task": False} | kind
    return {"nbgrader": {"schema_version": 3, "grade_id": name} | kind}


@pytest.fixture(scope="module")
def careless(tmp_path_factory):
    """A solution notebook on which the demonstration has to find four faults."""
    cells = [new_markdown_cell("# 9 · Careless")]
    for name, hidden in [
        ("weak", "assert weak(1) is not None"),  # takes a wrong answer
        ("noisy", "import sys\nprint('done', file=sys.stderr)"),  # costs the right answer
        ("plain", "assert plain(3) == 6"),
        ("untried", "untried"),  # passes without an answer
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


CARELESS_HALF = grade_demo.Half(right=frozenset({"plain"}), wrong={"weak": "return 3 * x"})


@pytest.fixture(scope="module")
def courses(careless, tmp_path_factory):
    """The folder of the courses, and nbgrader's reports by the notebook's name."""
    folder = tmp_path_factory.mktemp("courses")
    paths = [SOLUTIONS / f"{name}.ipynb" for name in THROUGH_NBGRADER]
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(grade_demo.HALF_SOLVED, careless.stem, CARELESS_HALF)
        reports = list(grade_demo.grade_all([careless, *paths], folder))
    return folder, {report.name: report for report in reports}


@pytest.mark.parametrize("name", THROUGH_NBGRADER)
def test_nbgrader_gives_the_three_scores(name, courses):
    report = courses[1][name]
    assert report.faults == []
    full = sum(cell.metadata.nbgrader.points for cell in checks(solution(name)).values())
    total = {student: sum(scores.values()) for student, scores in report.scores.items()}
    assert total["untouched"] == 0
    assert total["solved"] == full
    assert 0 < total["half-solved"] < full


@pytest.mark.parametrize("name", THROUGH_NBGRADER)
def test_nbgrader_releases_the_cells_of_the_student_edition(name, courses):
    theirs = nbformat.read(courses[0] / name / "release" / name / f"{name}.ipynb", as_version=4)
    ours = nbformat.reads(release.released(SOLUTIONS / f"{name}.ipynb"), as_version=4)
    for a, b in zip(theirs.cells, ours.cells, strict=True):
        assert a.id == b.id
        assert release.LINK_UP.sub(r"\1", a.source) == b.source
        for key in ["nbgrader", "deletable", "editable"]:
            assert a.metadata.get(key) == b.metadata.get(key)


def test_the_demonstration_finds_scores_that_are_not_deserved(courses):
    assert set(courses[1]["09_careless"].faults) == {
        "untouched: check-untried deserves 0, got 1.0",
        "solved: check-noisy deserves 1, got 0.0",
        "solved: cell 4 ends in stderr: done\n",
        "half-solved: check-weak deserves 0, got 1.0",
        "half-solved: check-untried deserves 0, got 1.0",
    }


def test_the_table_and_the_exit_status_tell(courses, careless, monkeypatch, capsys):
    reports = list(courses[1].values())
    monkeypatch.setattr(grade_demo, "grade_all", lambda *arguments: reports)
    arguments = ["--from", str(careless.parent)]
    assert grade_demo.main(arguments) == 1
    lines = capsys.readouterr().out.splitlines()
    (line,) = [line for line in lines if line.startswith("09_careless")]
    assert "   not as deserved (" in line
    assert "1 of 4" in line and "3 of 4" in line
    assert "    half-solved: check-weak deserves 0, got 1.0" in lines
    reports.pop(0)
    assert grade_demo.main(arguments) == 0
    assert capsys.readouterr().out.splitlines()[1].count("   as deserved (") == 1


def test_the_demonstration_names_what_it_does_not_know(careless, capsys):
    arguments = ["--from", str(careless.parent)]
    assert grade_demo.main(arguments) == 1
    assert "09_careless has no half-solved submission" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        grade_demo.main(["08", *arguments])
    notebook = nbformat.read(careless, as_version=4)
    for wrong, message in [
        ({"strong": "return x"}, "no exercise 'strong'; choose from weak, noisy, plain, untried"),
        ({"weak": ("return x", "return x")}, "2 answers for 1 stubs"),
    ]:
        blank = nbformat.reads(release.released(careless), as_version=4)
        bad = grade_demo.Half(CARELESS_HALF.right, wrong)
        with pytest.raises(grade_demo.DemoError, match=message):
            grade_demo.submissions(blank, notebook, bad)


def test_answers_take_the_place_of_their_stubs():
    source = "class A:\n    def f(x):\n        ### BEGIN SOLUTION\n        if x:\n\n            x\n"
    source += "        ### END SOLUTION\n\n\ndef g():\n    ### BEGIN SOLUTION\n    h(r'\\1')\n"
    source += "    ### END SOLUTION"
    stubs = source
    for found in grade_demo.REGION.finditer(source):
        margin = " " * (8 if "if x" in found[1] else 4)
        stub = f"{margin}# YOUR CODE HERE\n{margin}raise NotImplementedError()"
        stubs = stubs.replace(found[0], stub)
    back = grade_demo.filled(stubs, grade_demo.answers_of(source))
    assert back == "\n".join(line for line in source.splitlines() if "###" not in line)
