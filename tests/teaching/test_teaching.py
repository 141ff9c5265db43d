"""Grading what students really hand in: damages, the sandbox, feedback and the class report."""

import copy
import csv
import html
import socket

import nbformat
import pytest
from nbformat.v4 import new_code_cell
from nbgrader.api import Gradebook

from benchmarks.exercises import ROOMS, exercises
from tests.teaching import made_up
from tools.teaching import grade, repair, report, rubric, sandbox

NAME = "02_activation_derivatives"
ROOM = NAME[3:]
SOLVED = {name: exercise.solution for name, exercise in exercises(ROOM).items()}
STRANGERS = {  # by what has to be said of each: a cell that does more than it should
    "FileNotFoundError": "open('{course}/submitted/s00/{name}/{name}.ipynb')",
    "Read-only file system": "open('/usr/left.txt', 'w')",
    "Connection refused": "import socket; socket.create_connection(('127.0.0.1', {port}), 5)",
    "Resource temporarily unavailable": "import subprocess as s\n"
    "for i in range({tasks}): s.Popen(['sleep', '5'])",
    "No space left on device": "for name in ('much', 'more'):\n"
    "    open(name, 'wb').write(bytes({written} // 2 + 1))",
}


def graded(notebook):
    """Return id, source and metadata of the graded cells."""
    cells = [cell for cell in notebook.cells if "nbgrader" in cell.metadata]
    return [(c.id, c.source.removesuffix("\n\nexit()"), c.metadata) for c in cells]


@pytest.mark.parametrize("kind", made_up.REPAIRED + made_up.HARMLESS)
def test_a_damaged_notebook_is_repaired_and_the_repair_told(kind, tmp_path):
    notebook = made_up.handed_in(ROOMS[ROOM], SOLVED)
    expected = graded(copy.deepcopy(notebook))
    made_up.damage(kind, notebook, tmp_path, "swish")
    released = made_up.handed_in(ROOMS[ROOM], {})
    notebook.cells, notes = repair.repaired(notebook.cells, released.cells)
    assert graded(notebook) == expected
    assert bool(notes) == (kind in made_up.REPAIRED), notes
    assert len({cell.id for cell in notebook.cells}) == len(notebook.cells)


def test_a_blank_question_stays_blank_where_all_is_lost(tmp_path):
    released = made_up.handed_in(ROOMS[ROOM], {})
    notebook = copy.deepcopy(released)
    made_up.damage("metadata and ids lost", notebook, tmp_path, "swish")
    cells, notes = repair.repaired(notebook.cells, released.cells)
    assert [source for _, source, _ in graded(nbformat.v4.new_notebook(cells=cells))] == [
        source for _, source, _ in graded(released)
    ]
    assert len(notes) == 1


def test_what_no_repair_can_decide_is_for_a_person():
    released = made_up.handed_in(ROOMS[ROOM], {})
    notebook = made_up.handed_in(ROOMS[ROOM], SOLVED)
    notebook.cells = [cell for cell in notebook.cells if cell.id != "swish"]
    (check,) = [cell for cell in notebook.cells if cell.id == "check-relu"]
    check.source = "def relu_derivative(z): return z > 0"
    _, notes = repair.repaired(notebook.cells, released.cells)
    (lost, typed) = [note for note in notes if note.endswith("PLEASE LOOK.")]
    assert lost.startswith("swish") and typed.startswith("check-relu")


def test_every_written_question_has_its_points_by_criterion():
    points = {name: sum(p for p, _ in rows) for name, rows in rubric.criteria().items()}
    found = {}
    for path in ROOMS.values():
        for cell in nbformat.read(path, as_version=4).cells:
            if cell.cell_type == "markdown" and "nbgrader" in cell.metadata:
                found[cell.metadata.nbgrader.grade_id] = cell.metadata.nbgrader.points
    assert points == found
    page = rubric.printed()
    assert page.count("Model answer") == len(found)
    assert all(exercise.check.title in page for exercise in exercises(ROOM).values())


# --- a course, through nbgrader ------------------------------------------------------------------


@pytest.fixture(scope="module")
def course(tmp_path_factory):
    """A graded course: damaged submissions, one that cannot be read (s04), and a stranger (s05).

    Where there is no sandbox, the stranger behaves.
    """
    options = []
    try:
        sandbox.tried()
    except sandbox.NoSandboxError:
        options = ["--unsafe"]
    folder = tmp_path_factory.mktemp("class")
    due = made_up.fill(folder, 4, NAME, ["split", "metadata and ids lost", "helpers.py beside"])
    made_up.hand_in(folder, "s04", NAME, nbformat.v4.new_notebook())
    (folder / "submitted" / "s04" / NAME / f"{NAME}.ipynb").write_text("not a notebook")
    with socket.create_server(("127.0.0.1", 0)) as listener:
        values = {"course": folder, "name": NAME, "port": listener.getsockname()[1]}
        values |= {"tasks": sandbox.TASKS, "written": sandbox.WRITTEN}
        notebook = made_up.handed_in(folder / "source" / NAME / f"{NAME}.ipynb", SOLVED)
        strange = [new_code_cell(code.format(**values)) for code in STRANGERS.values()]
        notebook.cells[1:1] = [] if options else strange
        made_up.hand_in(folder, "s05", NAME, notebook)
        due["s05"] = sorted(SOLVED)
        assert grade.main([str(folder), NAME, *options]) == 1  # one cannot be read
        listener.settimeout(0.1)
        with pytest.raises(TimeoutError):
            listener.accept()
    return folder, due, options


def autograded(course, student):
    path = course[0] / "autograded" / student / NAME / f"{NAME}.ipynb"
    return nbformat.read(path, as_version=4)


def test_every_score_is_the_deserved_one(course):
    folder, due, _ = course
    checks = {f"check-{name.replace('_', '-')}": name for name in SOLVED}
    with Gradebook(f"sqlite:///{folder / 'gradebook.db'}") as book:
        for student, right in due.items():
            grades = book.find_submission_notebook(NAME, NAME, student).grades
            scores = {checks[g.name]: g.auto_score for g in grades if g.name in checks}
            full = {checks[g.name]: g.max_score for g in grades if g.name in checks}
            assert scores == {name: full[name] * (name in right) for name in SOLVED}, student
            assert [g.needs_manual_grade for g in grades if g.name not in checks] == [True, True]


def test_what_strangers_try_is_refused_and_told(course):
    if course[2]:
        pytest.skip("no sandbox here")
    lines = repair.remarks(autograded(course, "s05").cells)
    assert all(any(said in line for line in lines) for said in STRANGERS), lines


def test_feedback_says_why_and_keeps_the_model_answers(course):
    notebook = autograded(course, "s03")
    said = [
        out.evalue for cell in notebook.cells for out in cell.get("outputs", []) if "ename" in out
    ]
    path = course[0] / "feedback" / "s03" / NAME / f"{NAME}.html"
    page = html.unescape(path.read_text(encoding="utf-8"))
    assert len(said) >= len(SOLVED) - len(course[1]["s03"]) > 0
    assert all(line in page for text in said for line in text.splitlines())
    assert "Model answer" in str(notebook) and "Model answer" not in page


def test_the_report_counts_what_was_handed_in(course):
    folder, due, _ = course
    page = report.write(folder, NAME).read_text(encoding="utf-8")
    assert "5 graded, 1 handed in but not graded" in page and "s03" not in page
    assert page.count("<img alt=") == 2 and 'alt=""' not in page
    with open(folder / "reports" / f"{NAME}.csv", encoding="utf-8", newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["what"] == "state"]
    for name, exercise in exercises(ROOM).items():
        mine = [row for row in rows if row["exercise"] == exercise.check.title]
        states = {row["which"]: int(row["students"]) for row in mine}
        assert sum(states.values()) == 5
        assert states["right"] == sum(name in right for right in due.values())
    assert "s03" in report.write(folder, NAME, names=True).read_text(encoding="utf-8")


def test_the_report_names_mistakes_and_what_they_come_from():
    wrong = {"sigmoid": "def sigmoid(z): return np.exp(z)  # by Ada", "sigmoid_derivative": None}
    broken, found = {}, []
    for name, source in wrong.items():
        check, source = exercises(ROOM)[name].check, source or SOLVED[name]
        task = check.tasks[0]
        sentence, mistake = list(task.mistakes.items())[1]
        said = str(check.verdict(mistake))
        output = nbformat.v4.new_output("error", ename="AssertionError", evalue=said, traceback=[])
        exercise = report.Exercise(name, check.title, [task.name], list(task.mistakes))
        if name != "sigmoid":  # what no known mistake explains
            exercise.known.clear()
        exercise.add("s00", new_code_cell(outputs=[output]), new_code_cell(source), broken)
        found.append((dict(exercise.mistakes), sentence))
    ((named, sentence), (inherited, _)) = found
    assert named == {sentence: ["def sigmoid(z):\n    return np.exp(z)"]}
    assert list(inherited) == ["it calls the answer to 2.4 Stable sigmoid, which is not right"]


def test_an_empty_course_has_an_empty_report(tmp_path, capsys):
    made_up.fill(tmp_path, 0, NAME)
    assert report.main([str(tmp_path)]) == 1
    assert grade.main([str(tmp_path), NAME, "--unsafe"]) == 0
    assert "Nothing has been graded yet" in report.write(tmp_path, NAME).read_text()


def test_without_a_sandbox_nothing_runs(tmp_path, monkeypatch, capsys):
    made_up.fill(tmp_path, 0, NAME)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert grade.main([str(tmp_path), NAME]) == 2
    assert "bwrap" in (said := capsys.readouterr().err) and "--unsafe" in said
    assert not (tmp_path / "release").exists()
