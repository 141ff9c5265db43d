"""Grading what students really hand in: damages, the sandbox, feedback and the class report."""

import copy
import csv
import html
import socket
from concurrent.futures import BrokenExecutor
from unittest.mock import Mock

import nbformat
import pytest
from nbformat.v4 import new_code_cell
from nbgrader.api import Gradebook

from benchmarks.exercises import ROOMS, exercises
from helpers.differences import State
from tests.teaching import made_up
from tools import release
from tools.teaching import grade, repair, report, rubric, sandbox

NAME = "02_activation_derivatives"
OTHERS = [path.stem for path in ROOMS.values() if path.stem != NAME]
ROOM = NAME[3:]


def solved(room):
    return {name: exercise.solution for name, exercise in exercises(room).items()}


SOLVED = solved(ROOM)
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


def test_the_made_up_class_errs_in_every_way():
    assert set().union(*made_up.told(ROOM).values()) == set(made_up.OFTEN) - {None}


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
    """A graded course of two assignments: notebook 2, with damaged submissions, and the others.

    s02 cannot be read; s03 solved everything and is a stranger, who behaves where there is no
    sandbox; "blank" handed in notebook 2 as it was given out.
    """
    options = []
    try:
        sandbox.tried()
    except sandbox.NoSandboxError:
        options.append("--unsafe")
    folder = tmp_path_factory.mktemp("class")
    due = made_up.fill(folder, 2, NAME, ["split", "metadata and ids lost"])
    made_up.hand_in(folder, "s02", NAME, nbformat.v4.new_notebook())
    (folder / "submitted" / "s02" / NAME / f"{NAME}.ipynb").write_text("not a notebook")
    source = folder / "source" / NAME / f"{NAME}.ipynb"
    made_up.hand_in(folder, "blank", NAME, made_up.handed_in(source, {}))
    for name in OTHERS:
        other = made_up.put_source(folder, name, "others")
        notebook = made_up.handed_in(other, solved(name[3:]))
        made_up.hand_in(folder, "s03", name, notebook, "others")
    with socket.create_server(("127.0.0.1", 0)) as listener:
        values = {"course": folder, "name": NAME, "port": listener.getsockname()[1]}
        values |= {"tasks": sandbox.TASKS, "written": sandbox.WRITTEN}
        notebook = made_up.handed_in(source, SOLVED)
        strange = [new_code_cell(code.format(**values)) for code in STRANGERS.values()]
        notebook.cells[1:1] = [] if "--unsafe" in options else strange
        made_up.hand_in(folder, "s03", NAME, notebook)
        due |= {"s03": sorted(SOLVED), "blank": []}
        assert grade.main([str(folder), NAME, "--jobs=2", *options]) == 1  # one cannot be read
        listener.settimeout(0.1)
        with pytest.raises(TimeoutError):
            listener.accept()
    assert grade.main([str(folder), "others", "--jobs=1", *options]) == 0
    return folder, due, options


def autograded(course, student, name=NAME, assignment=NAME):
    path = course[0] / "autograded" / student / assignment / f"{name}.ipynb"
    return nbformat.read(path, as_version=4)


def errors(notebook):
    return [o.evalue for c in notebook.cells for o in c.get("outputs", []) if "ename" in o]


def points(course, student, name=NAME, assignment=NAME):
    """Return points and full points by exercise, and which written questions wait for a person."""
    with Gradebook(f"sqlite:///{course[0] / 'gradebook.db'}") as book:
        grades = book.find_submission_notebook(name, assignment, student).grades
        waits = {g.name: g.needs_manual_grade for g in grades if g.name.startswith("written-")}
        return {g.name: (g.auto_score, g.max_score) for g in grades if g.name not in waits}, waits


def test_every_score_is_the_deserved_one(course):
    for student, right in course[1].items():
        scores, waits = points(course, student)
        due = {f"check-{name.replace('_', '-')}": name in right for name in SOLVED}
        assert scores == {name: (full * due[name], full) for name, (_, full) in scores.items()}
        assert scores.keys() == due.keys() and set(waits.values()) == {student != "blank"}, student


@pytest.mark.parametrize("name", OTHERS)
def test_a_solved_notebook_has_full_points(course, name):
    scores, waits = points(course, "s03", name, "others")
    assert len(scores) == len(exercises(name[3:])) and all(waits.values())
    assert all(got == full for got, full in scores.values()), scores
    assert errors(autograded(course, "s03", name, "others")) == []


def test_a_blank_notebook_is_told_that_nothing_was_attempted(course):
    said = errors(autograded(course, "blank"))
    assert len(said) == len(SOLVED)
    assert all(text.startswith(State.NOT_ATTEMPTED.value) for text in said)


def test_nbgrader_releases_the_cells_of_the_student_edition(course):
    for name in OTHERS:
        theirs = nbformat.read(course[0] / "release" / "others" / f"{name}.ipynb", as_version=4)
        ours = made_up.handed_in(course[0] / "source" / "others" / f"{name}.ipynb", {})
        for a, b in zip(theirs.cells, ours.cells, strict=True):
            assert a.id == b.id
            assert release.LINK_UP.sub(r"\1", a.source) == b.source
            for key in ["nbgrader", "deletable", "editable"]:
                assert a.metadata.get(key) == b.metadata.get(key)


def test_what_strangers_try_is_refused_and_told(course):
    if "--unsafe" in course[2]:
        pytest.skip("no sandbox here")
    lines = repair.remarks(autograded(course, "s03").cells)
    assert all(any(said in line for line in lines) for said in STRANGERS), lines


def test_feedback_says_why_and_keeps_the_model_answers(course):
    notebook = autograded(course, "s00")
    said = errors(notebook)
    path = course[0] / "feedback" / "s00" / NAME / f"{NAME}.html"
    page = html.unescape(path.read_text(encoding="utf-8"))
    assert len(said) >= len(SOLVED) - len(course[1]["s00"]) > 0
    assert all(line in page for text in said for line in text.splitlines())
    assert "Model answer" in str(notebook) and "Model answer" not in page


def test_the_report_counts_what_was_handed_in(course):
    folder, due, _ = course
    with Gradebook(f"sqlite:///{folder / 'gradebook.db'}") as book:
        book.find_grade("written-kink", NAME, NAME, "s03").manual_score = 2
        book.db.commit()
    page = report.write(folder, NAME).read_text(encoding="utf-8")
    assert "4 graded, 1 handed in but not graded" in page and "s00" not in page
    assert "kink: of 2 points 1 have 2." in page
    assert page.count("<img alt=") == 2 and 'alt=""' not in page
    with open(folder / "reports" / f"{NAME}.csv", encoding="utf-8", newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["what"] == "state"]
    for name, exercise in exercises(ROOM).items():
        mine = [row for row in rows if row["exercise"] == exercise.check.title]
        states = {row["which"]: int(row["students"]) for row in mine}
        assert sum(states.values()) == 4
        assert states["right"] == sum(name in right for right in due.values())
    assert "s00" in report.write(folder, NAME, names=True).read_text(encoding="utf-8")


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
    said = "mish: for z = [[-1.5, 2],\n [3, 4e5]] and 0.3, at index 2: expected 4, received nan\nIf"
    assert report.unnamed(said) == "mish: expected …, received nan"


def test_nothing_in_a_shown_answer_tells_whose_it_is():
    source = '"""Jane Doe"""\nasync def f(z):\n    """By Jane."""\n    return z  # Jane\n'
    assert report.shown(source) == "async def f(z):\n    return z"
    assert report.shown("x = 1\0") == report.shown("deff f(") == "(not Python: left out)"


def test_an_empty_course_has_an_empty_report_by_its_own_gradebook(tmp_path, capsys):
    made_up.fill(tmp_path, 0, NAME)
    assert report.main([str(tmp_path)]) == 1
    assert grade.main([str(tmp_path), NAME, "--unsafe"]) == 0
    with open(tmp_path / "nbgrader_config.py", "a", encoding="utf-8") as file:
        file.write(f"c.CourseDirectory.db_url = 'sqlite:///{tmp_path}/own.db'\n")
    (tmp_path / "gradebook.db").unlink()
    assert "Nothing has been graded yet" in report.write(tmp_path, NAME).read_text()
    assert (tmp_path / "own.db").exists() and not (tmp_path / "gradebook.db").exists()
    (tmp_path / "nbgrader_config.py").write_text("c = get_config()\n")
    assert report.main([str(tmp_path)]) == 2
    assert "add this line" in capsys.readouterr().err


def test_files_that_hide_a_module_are_known_without_their_metadata():
    names = {"helpers.py", "random.py", "numpy.py", "matplotlib.py", "nbformat.py", "zmq.py"}
    assert names <= set(repair.shadows())


def test_the_sandbox_knows_whose_home_mnist_lies_in(tmp_path, monkeypatch):
    for name in ("mnist", "work"):
        (tmp_path / name).mkdir()
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("MNIST_DIR", "~/mnist")
    command = sandbox.walls(tmp_path / "sockets", tmp_path / "work")
    assert command.count(str(tmp_path / "mnist")) == 3  # bound to itself, and handed on
    assert "~" not in " ".join(command)


def test_a_process_that_dies_ends_in_a_sentence(tmp_path, monkeypatch, capsys):
    made_up.fill(tmp_path, 0, NAME)
    (tmp_path / "release" / NAME).mkdir(parents=True)
    monkeypatch.setattr(grade.ProcessPoolExecutor, "map", Mock(side_effect=BrokenExecutor))
    assert grade.main([str(tmp_path), NAME, "--unsafe"]) == 2
    assert "run this again, with ARGS=--jobs=1" in capsys.readouterr().err


def test_without_a_sandbox_nothing_runs(tmp_path, monkeypatch, capsys):
    made_up.fill(tmp_path, 0, NAME)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert grade.main([str(tmp_path), NAME]) == 2
    assert "bwrap" in (said := capsys.readouterr().err) and "--unsafe" in said
    assert not (tmp_path / "release").exists()
