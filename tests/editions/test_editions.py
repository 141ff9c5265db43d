"""The two editions of each notebook: the form of the solution, and what of it students get."""

import ast
import importlib
import json
import re

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output
from nbgrader import utils
from nbgrader.nbgraderformat import MetadataValidator

from helpers.differences import State
from tests.editions.notebooks import (
    NAMES,
    REGION,
    ROOT,
    SOLUTIONS,
    STUDENTS,
    answered,
    asked,
    checks,
    codes,
    grade_id,
    read,
    reckoned,
    secrets,
    solution_of,
)
from tools import release

STUB = "# YOUR CODE HERE\n"
FRONT_DOOR = "00_start_here"  # written by hand: it asks for no answer


@pytest.fixture(params=NAMES)
def name(request):
    return request.param


@pytest.fixture
def solution(name):
    return solution_of(name)


@pytest.fixture
def student(name):
    return read(STUDENTS / f"{name}.ipynb")


@pytest.fixture
def room(name):
    return importlib.import_module(f"helpers.{name[3:]}.check")


def test_all_five_notebooks_are_there():
    assert NAMES == [
        "01_relu_approximation",
        "02_activation_derivatives",
        "03_mnist_comparison",
        "04_numerical_stability",
        "05_gradient_bounds",
    ]
    assert sorted(path.stem for path in STUDENTS.glob("*.ipynb")) == [FRONT_DOOR, *NAMES]
    assert sum(len(checks(solution_of(name))) for name in NAMES) >= 24


# --- what students get ---------------------------------------------------------------------------


def test_the_student_edition_is_what_make_release_writes(name):
    committed = (STUDENTS / f"{name}.ipynb").read_bytes().decode("utf-8")
    same = committed == release.released(SOLUTIONS / f"{name}.ipynb")
    assert same, f"notebooks/{name}.ipynb is not what `make release` writes; run it and commit"


def leaks(student, solution):
    """Return the secrets that the student's file holds."""
    told = nbformat.writes(student, ensure_ascii=False)
    found = secrets(solution)
    return [secret for secret in found if json.dumps(secret, ensure_ascii=False)[1:-1] in told]


def test_no_solution_or_hidden_test_shows(student, solution):
    assert leaks(student, solution) == []
    assert not re.search("(BEGIN|END) (SOLUTION|HIDDEN)", nbformat.writes(student))


def test_a_leak_is_found(student, solution):
    place = answered(solution, "code")[0]
    student.cells[0].metadata["old"] = [solution.cells[place].source]
    assert leaks(student, solution) != []


def test_students_see_the_signature_and_what_is_asked(student):
    for i in answered(student, "code"):
        source = student.cells[i].source
        assert STUB in source
        for definition in ast.parse(source).body:
            assert isinstance(definition, (ast.FunctionDef, ast.ClassDef)), source
            assert ast.get_docstring(definition), f"no docstring in the stub\n{source}"


# --- the form of a solution notebook -------------------------------------------------------------


def test_nbgrader_finds_no_fault_with_the_metadata(solution):
    nbformat.validate(solution)
    MetadataValidator().validate_nb(solution)
    for ids in [[c.id for c in solution.cells], [*filter(None, map(grade_id, solution.cells))]]:
        assert len(set(ids)) == len(ids)
    for cell in solution.cells:
        kinds = [kind for kind, _ in REGION.findall(cell.source)]
        essay = cell.cell_type == "markdown" and utils.is_solution(cell)
        if not essay and (kinds or "nbgrader" in cell.metadata):
            due = "SOLUTION" if utils.is_solution(cell) else "HIDDEN TESTS"
            assert set(kinds) == {due}, cell.source
            assert cell.source.count("### ") == 2 * len(kinds)


def headings(notebook):
    """Return level and text of every heading, in order."""
    text = "\n".join(cell.source for cell in notebook.cells if cell.cell_type == "markdown")
    text = re.sub(r"^(```|~~~).*?^\1", "", text, flags=re.M | re.S)
    return [(len(marks), words) for marks, words in re.findall(r"^(#{1,6}) +(.+)$", text, re.M)]


def test_opening_sections_and_ending(name, solution):
    first, last = solution.cells[0].source, solution.cells[-1].source
    assert first.startswith(f"# {int(name[:2])} · ")
    for promise in ["What you will be able to do", "Builds on", "Running time"]:
        assert promise in first
    assert codes(solution)[0].source.endswith("\nuse_style()")
    levels = [level for level, _ in headings(solution)]
    assert levels.count(1) == 1
    for before, after in zip(levels, levels[1:], strict=False):
        assert after <= before + 1, headings(solution)
    closing = ["What you have done", "Summary", "Limits", "Further reading", "Notation"]
    assert [words for level, words in headings(solution) if level == 2][-5:] == closing
    assert codes(solution)[-1].source == f"from helpers.{name[3:]} import check\n\ncheck.progress()"
    assert "## Notation" in last


def test_the_table_of_symbols_is_the_same_everywhere():
    last = [solution_of(name).cells[-1].source for name in NAMES]
    tables = {
        re.split(r"\*\*Only|\n\[←", text.partition("## Notation")[2])[0].strip() for text in last
    }
    assert len(tables) == 1 and len(tables.pop().splitlines()) > 10


def test_minutes_are_reckoned_and_the_core_fits_two_hours(name, solution):
    (_, whole), (words, core) = reckoned(solution), reckoned(solution, core=True)
    assert words <= 4500 and core <= 120
    assert (
        f"**Time to work through it:** about {whole} minutes, {core} for the core "
        "(200 words a minute, 8 minutes an exercise)"
    ) in solution.cells[0].source
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    row = next(line for line in readme.splitlines() if f"(notebooks/{name}.ipynb)" in line)
    assert f"| {whole} min, {core} for the core |" in row


def points_in(text):
    """Return the points that the text states last."""
    stated = re.findall(r"\((?:written, )?(\d+) points?\)", text)
    assert stated, f"no points in {text!r}"
    return int(stated[-1])


def test_each_exercise_has_number_points_hints_and_a_check(name, solution, room):
    called = []
    for i in answered(solution, "code"):
        task, cell, check = solution.cells[i - 1 : i + 2]
        assert task.cell_type == "markdown", f"no task before {grade_id(cell)}"
        text = re.split(r"^(?=#+ )", task.source, flags=re.M)[-1]
        number = re.match(rf"### Exercise ({int(name[:2])}\.\d+) · \S", text)
        assert number, f"a task starts with {text.splitlines()[0]!r}"
        assert points_in(text.splitlines()[0]) == check.metadata.nbgrader.points > 0
        hints = re.findall(
            r"^<details><summary>Hint (\d)</summary>\n\n(?:(?!</?details>).)+?\n\n</details>$",
            text,
            re.M | re.S,
        )
        assert hints in (["1", "2"], ["1", "2", "3"]), f"hints {hints} of {number[0]}"
        assert text.count("<details>") == text.count("</details>") == len(hints)
        assert grade_id(check) == f"check-{grade_id(cell)}" and utils.is_locked(check)
        called.append(getattr(room, asked(check, name[3:])[0]))
        assert called[-1].title.split()[0] == number[1]
    assert called == room.checklist.checks and len(called) == len(checks(solution))


def test_exercises_are_numbered_in_order(name, solution):
    words = "\n".join(words for _, words in headings(solution))
    found = re.findall(r"^Exercise (\d+\.\d+)", words, re.M)
    assert found == [f"{int(name[:2])}.{k + 1}" for k in range(len(found))]


def test_each_written_question_states_its_points(solution):
    for i in answered(solution, "markdown"):
        task, cell = solution.cells[i - 1 : i + 1]
        assert task.cell_type == "markdown"
        assert points_in(task.source) == cell.metadata.nbgrader.points


@pytest.mark.parametrize(
    "source",
    [
        "check.f(f)\n### BEGIN HIDDEN TESTS\nassert f(1)\n### END HIDDEN TESTS",
        "from helpers.a import check\n\ncheck.f(f)",
        "from helpers.b import check\n\ncheck.f(f)\n"
        "### BEGIN HIDDEN TESTS\ncheck.f.grade(f)\n### END HIDDEN TESTS",
        "from helpers.a import check\n\ncheck.f(f)\n"
        "### BEGIN HIDDEN TESTS\ncheck.g.grade(f)\n### END HIDDEN TESTS",
        "from helpers.a import check\n\ncheck.f(f, g)\n"
        "### BEGIN HIDDEN TESTS\ncheck.f.grade(f)\n### END HIDDEN TESTS",
    ],
    ids=["old form", "no hidden test", "another room", "another check", "other answers"],
)
def test_a_check_cell_of_another_form_is_refused(source):
    with pytest.raises(AssertionError, match="not the form of a check cell"):
        asked(new_code_cell(source), "a")


def shown_by(cell):
    return "".join(out.text for out in cell.outputs if out.output_type == "stream")


def test_the_solutions_pass_their_checks(solution):
    for cell in checks(solution):
        assert shown_by(cell).startswith("✓ right"), f"{cell.source}\n{shown_by(cell)}"
    number = len(checks(solution))
    assert f"{number} of {number} exercises" in shown_by(codes(solution)[-1])


def bare_figures(notebook):
    """Return the cells that show a figure without a picture or alternative text."""
    bare = []
    for cell in codes(notebook):
        data = [output for output in cell.outputs if "image/png" in output.get("data", {})]
        texts = [output.metadata.get("image/png", {}).get("alt", "") for output in data]
        shows = re.search(r"^show\(", cell.source, re.M)
        if not all(map(str.strip, texts)) or (shows and not texts):
            bare.append(cell.source)
    return bare


def test_every_figure_is_there_and_has_alternative_text(solution):
    assert bare_figures(solution) == []


@pytest.mark.parametrize(("alt", "fault"), [(None, 1), (" ", 1), ("A line that rises.", 0)])
def test_a_figure_without_alternative_text_is_found(alt, fault):
    metadata = {"image/png": {"alt": alt}} if alt else {}
    output = new_output("display_data", data={"image/png": "abc"}, metadata=metadata)
    cells = [new_code_cell("show(ax)", outputs=[output])]
    assert len(bare_figures(new_notebook(cells=cells))) == fault
    assert len(bare_figures(new_notebook(cells=[new_code_cell("show(ax)")]))) == 1


def links(notebook):
    """Return the relative paths that the Markdown links to or shows."""
    text = "\n".join(cell.source for cell in notebook.cells if cell.cell_type == "markdown")
    text = re.sub(r"\$\$.*?\$\$|`[^`]*`|\$[^$\n]*\$", "", text, flags=re.S)
    targets = re.findall(r"\]\(<?([^)\s>]+)|\b(?:href|src)=[\"']([^\"']+)", text)
    paths = [(a or b).partition("#")[0] for a, b in targets]
    return [path for path in paths if path and not re.match(r"\w+:", path)]


def test_links_lead_somewhere_in_both_editions(student, solution):
    for notebook, folder in [(solution, SOLUTIONS), (student, STUDENTS)]:
        for path in links(notebook):
            assert (folder / path).exists(), f"{path} from {folder.name}"
    for cell in codes(solution):  # the editions run in different folders
        assert "../" not in cell.source


def test_first_and_last_cell_link_to_the_neighbours(name, solution):
    names = [f"../{FRONT_DOOR}", *NAMES]
    place = names.index(name)
    neighbours = {f"{other}.ipynb" for other in names[place - 1 : place + 2] if other != name}
    for cell in (solution.cells[0], solution.cells[-1]):
        found = set(links(new_notebook(cells=[cell])))
        assert neighbours <= found, f"no link to {neighbours - found}"


def test_the_front_door_says_what_the_readme_says():
    door = read(STUDENTS / f"{FRONT_DOOR}.ipynb")
    text = "\n".join(cell.source for cell in door.cells if cell.cell_type == "markdown")
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    rows = [line for line in readme.splitlines() if "](notebooks/0" in line]
    assert len(rows) == len(NAMES)
    for row in rows:
        assert row.replace("](notebooks/", "](") in text
    for state in State:
        sign, _, words = state.value.partition(" ")
        assert f"| {sign} | {words} |" in text
    for path in links(door):
        assert (STUDENTS / path).exists()
    assert f"-m jupyterlab notebooks/{FRONT_DOOR}.ipynb" in (ROOT / "Makefile").read_text()


# --- tools/release.py ----------------------------------------------------------------------------


def graded(name, cell_type="code", **kind):
    kind = {"grade": False, "solution": False, "locked": False} | kind
    return {"nbgrader": {"schema_version": 3, "grade_id": name, "cell_type": cell_type} | kind}


@pytest.fixture
def source(tmp_path, monkeypatch):
    """A folder with one solution notebook that holds all that must not get through."""
    answer = "def f(x):\n    ### BEGIN SOLUTION\n    return 6 * 7 * x\n    ### END SOLUTION"
    test = "check.f(f)\n### BEGIN HIDDEN TESTS\nassert f(2) == 84\n### END HIDDEN TESTS"
    cells = [
        new_markdown_cell("# 1 · T\n![a](attachment:a.png) [b](../b.ipynb) [c](../../c.md)"),
        new_code_cell(
            answer, metadata=graded("f", solution=True) | {"old": "6 * 7", "tags": ["wide"]}
        ),
        new_code_cell(test, metadata=graded("check-f", grade=True, locked=True, points=1)),
        new_markdown_cell(
            "forty-two ![a](attachment:a.png)",
            metadata=graded("why", "markdown", grade=True, solution=True, points=2),
        ),
        new_code_cell("check.progress()", metadata={"tags": ["nbval-check-output"]}),
    ]
    for number, cell in enumerate(cells):
        cell.id = f"cell-{number}"
        if cell.cell_type == "code":
            cell.execution_count = number
            cell.outputs = [new_output("stream", text="6 * 7\n")]
        else:
            cell["attachments"] = {"a.png": {"image/png": "iVBORw0KGgo="}}
    metadata = {
        "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
        "language_info": {"name": "python", "version": "3.99"},
        "widgets": {"state": "6 * 7"},
    }
    folder = tmp_path / "solutions"
    folder.mkdir()
    nbformat.write(new_notebook(cells=cells, metadata=metadata), folder / "01_t.ipynb")
    monkeypatch.setattr(release, "SOLUTIONS", folder)
    monkeypatch.setattr(release, "STUDENTS", tmp_path)
    return folder


def test_release_keeps_the_lesson_and_nothing_else(source, tmp_path):
    assert release.main([]) == 0
    text, notebook = (tmp_path / "01_t.ipynb").read_bytes(), read(tmp_path / "01_t.ipynb")
    title, answer, check, essay, progress = notebook.cells
    assert title.source.endswith("[b](b.ipynb) [c](../c.md)")
    assert list(title.attachments) == ["a.png"]
    assert answer.source == "def f(x):\n    # YOUR CODE HERE\n    raise NotImplementedError()"
    assert answer.metadata.tags == ["wide"]
    assert [check.metadata.editable, check.metadata.deletable] == [False, False]
    assert check.metadata.nbgrader.checksum == utils.compute_checksum(check)
    assert check.source == "check.f(f)"
    assert essay.source == "YOUR ANSWER HERE"
    assert "attachments" not in essay
    assert progress.metadata == {}
    for secret in [b"6 * 7", b"== 84", b"forty-two", b"3.99", b"widgets", b"nbval", b"\r"]:
        assert secret not in text
    assert [cell.id for cell in notebook.cells] == [f"cell-{k}" for k in range(5)]
    assert text.endswith(b"}\n")


def test_release_does_not_overwrite_a_students_work(source, tmp_path, capsys):
    release.main([])
    path = tmp_path / "01_t.ipynb"
    blank, mine = path.read_bytes(), read(path)
    mine.cells[1].outputs = [new_output("stream", text="mine")]
    nbformat.write(mine, path)
    assert release.main([]) == 1
    assert "left as it is" in capsys.readouterr().err
    assert b"mine" in path.read_bytes()
    assert release.main(["--force"]) == 0
    assert path.read_bytes() == blank


@pytest.mark.parametrize("damage", ["unclosed", "unmarked", "twice"])
def test_release_writes_nothing_where_a_solution_could_get_through(source, tmp_path, damage):
    notebook = read(source / "01_t.ipynb")
    if damage == "unclosed":
        notebook.cells[1].source = notebook.cells[1].source.replace("### END SOLUTION", "")
    elif damage == "unmarked":
        notebook.cells[1].metadata.pop("nbgrader")
    else:
        notebook.cells[2].metadata.nbgrader.grade_id = "f"
    nbformat.write(notebook, source / "02_bad.ipynb")
    with pytest.raises(Exception, match="solution|Solution|valid"):
        release.main([])
    assert not list(tmp_path.glob("*.ipynb"))
