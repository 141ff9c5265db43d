"""The two editions of each notebook: the form of the solution, and what of it students get."""

import ast
import base64
import dis
import importlib
import re
from pathlib import Path

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output
from nbgrader import utils
from nbgrader.nbgraderformat import MetadataValidator

from tools import release

ROOT = Path(__file__).resolve().parents[2]
STUDENTS, SOLUTIONS = ROOT / "notebooks", ROOT / "notebooks" / "solutions"
NAMES = sorted(path.stem for path in SOLUTIONS.glob("*.ipynb"))
ALL = [
    "01_relu_approximation",
    "02_activation_derivatives",
    "03_mnist_comparison",
    "04_numerical_stability",
    "05_gradient_bounds",
]
STUB = "# YOUR CODE HERE\nraise NotImplementedError()"
REGION = re.compile(
    r"^[ \t]*### BEGIN (SOLUTION|HIDDEN TESTS)\n(.*?)^[ \t]*### END \1", re.M | re.S
)
TELLING = 12  # characters: shorter lines, such as `return x`, may stand anywhere


def read(path):
    return nbformat.read(path, as_version=nbformat.NO_CONVERT)


def read_solution(name):
    return read(SOLUTIONS / f"{name}.ipynb")


def read_student(name):
    path = STUDENTS / f"{name}.ipynb"
    assert path.exists(), f"notebooks/{name}.ipynb is missing; make release writes it"
    return read(path)


def grade_id(cell):
    return cell.metadata.get("nbgrader", {}).get("grade_id", "")


def in_code(cell):
    return cell.cell_type == "code"


def exercises(notebook):
    """Returns the places of the cells that are answered in code."""
    cells = enumerate(notebook.cells)
    return [i for i, cell in cells if in_code(cell) and utils.is_solution(cell)]


def checks(notebook):
    return [cell for cell in notebook.cells if in_code(cell) and utils.is_grade(cell)]


@pytest.fixture(params=NAMES)
def name(request):
    return request.param


@pytest.fixture
def solution(name):
    return read_solution(name)


@pytest.fixture
def student(name):
    return read_student(name)


# --- what students get ---------------------------------------------------------------------------


def test_the_student_edition_is_what_make_release_writes(name):
    committed = (STUDENTS / f"{name}.ipynb").read_bytes().decode("utf-8")
    written = release.released(SOLUTIONS / f"{name}.ipynb")
    same = committed == written
    assert same, f"notebooks/{name}.ipynb is not what `make release` writes; run it and commit"


def test_no_student_notebook_is_without_its_solution():
    assert sorted(path.stem for path in STUDENTS.glob("*.ipynb")) == NAMES


def flat(text):
    return " ".join(text.split())


def secrets_of(solution):
    """Returns the lines of solutions, hidden tests and written answers found nowhere else."""
    hidden, shown = [], []
    for cell in solution.cells:
        whole = utils.is_solution(cell) and not REGION.search(cell.source)
        hidden += [cell.source] if whole else [match[2] for match in REGION.finditer(cell.source)]
        shown += [] if whole else [REGION.sub("", cell.source)]
    sentences = [part for text in hidden for part in re.split(r"\n|(?<=[.!?]) ", text)]
    told = flat("\n".join(shown))
    lines = {flat(sentence) for sentence in sentences}
    return {line for line in lines if len(line) >= TELLING and line not in told}


def texts_in(thing):
    """Yields every string in a notebook, keys included, and what base64 in it stands for."""
    if isinstance(thing, dict):
        for key, value in thing.items():
            yield key
            yield from texts_in(value)
    elif isinstance(thing, list):
        for value in thing:
            yield from texts_in(value)
    elif isinstance(thing, str):
        yield thing
        if re.fullmatch(r"[A-Za-z0-9+/\s]+={0,2}\s*", thing) and len(thing) > TELLING:
            padded = re.sub(r"\s", "", thing).rstrip("=")
            padded += "=" * (-len(padded) % 4)
            if len(padded.rstrip("=")) % 4 != 1:
                yield base64.b64decode(padded).decode("utf-8", errors="ignore")


def leaks(student, solution):
    told = flat("\n".join(texts_in(student)))
    return sorted(secret for secret in secrets_of(solution) if secret in told)


def test_no_solution_or_hidden_test_shows(student, solution):
    assert len(secrets_of(solution)) >= len(exercises(solution))  # there is something to look for
    assert leaks(student, solution) == []
    told = "\n".join(texts_in(student))
    for marker in ["BEGIN SOLUTION", "END SOLUTION", "HIDDEN TESTS"]:
        assert marker not in told


@pytest.mark.parametrize("name", NAMES[:1])
@pytest.mark.parametrize("place", ["source", "metadata", "attachment", "output", "hidden", "essay"])
def test_a_leak_is_found(name, place):
    student, solution = read_student(name), read_solution(name)
    secrets = secrets_of(solution)
    secret = next(
        line.strip()
        for i in exercises(solution)
        for match in REGION.finditer(solution.cells[i].source)
        for line in match[2].splitlines()
        if flat(line) in secrets
    )
    at = exercises(solution)[0]
    cell = student.cells[at]
    if place == "source":
        cell.source += f"\n# {secret}"
    elif place == "metadata":
        cell.metadata["old"] = [{"source": f"  {secret}"}]
    elif place == "attachment":
        coded = base64.b64encode(f"x{secret}x".encode()).decode()
        student.cells[0]["attachments"] = {"a.txt": {"text/plain": coded}}
    elif place == "output":
        cell.outputs = [new_output("stream", text=f"{secret}\n")]
    elif place == "hidden":
        student.cells[at + 1].source = solution.cells[at + 1].source
    else:
        (essay, *_) = [
            i
            for i, cell in enumerate(solution.cells)
            if utils.is_solution(cell) and not in_code(cell)
        ]
        student.cells[essay].source = solution.cells[essay].source[40:]
    assert leaks(student, solution) != []


def test_students_see_the_signature_and_one_short_check(student):
    for i in exercises(student):
        cell, check = student.cells[i], student.cells[i + 1]
        assert STUB.splitlines()[0] in cell.source
        for definition in ast.parse(cell.source).body:
            assert isinstance(definition, (ast.FunctionDef, ast.ClassDef)), cell.source
            assert ast.get_docstring(definition), f"no docstring in the stub\n{cell.source}"
        calls = [statement.value for statement in ast.parse(check.source).body]
        assert len(check.source.splitlines()) == len(calls) == 1, check.source
        assert isinstance(calls[0], ast.Call) and ast.unparse(calls[0].func).startswith("check.")
    for cell in student.cells:
        if utils.is_solution(cell) and not in_code(cell):
            assert cell.source == "YOUR ANSWER HERE"


def test_a_student_notebook_is_blank(student):
    assert set(student.metadata) == {"kernelspec", "language_info"}
    assert dict(student.metadata.language_info) == {"name": "python"}
    for cell in student.cells:
        assert cell.get("outputs", []) == []
        assert cell.get("execution_count") is None
        assert set(cell.metadata) <= release.KEPT
        assert "nbval-check-output" not in cell.metadata.get("tags", [])


def test_tests_are_locked_and_answers_are_not(student):
    for cell in student.cells:
        if "nbgrader" in cell.metadata:
            assert cell.metadata.deletable is False
            assert cell.metadata.get("editable", True) is utils.is_solution(cell)
            assert cell.metadata.nbgrader.checksum == utils.compute_checksum(cell)


# --- the form of a solution notebook -------------------------------------------------------------


def test_nbgrader_finds_no_fault_with_the_metadata(solution):
    nbformat.validate(solution)
    MetadataValidator().validate_nb(solution)
    ids = [cell.id for cell in solution.cells]
    assert len(set(ids)) == len(ids)
    named = [grade_id(cell) for cell in solution.cells if grade_id(cell)]
    assert len(set(named)) == len(named)
    for cell in solution.cells:
        marked = {match[1] for match in REGION.finditer(cell.source)}
        if marked or "nbgrader" in cell.metadata:
            essay = utils.is_solution(cell) and not in_code(cell)
            due = {"SOLUTION"} if utils.is_solution(cell) else {"HIDDEN TESTS"}
            assert marked == (set() if essay else due), cell.source
            assert cell.source.count("### ") == 2 * len(REGION.findall(cell.source)) or essay


def test_each_exercise_is_followed_by_its_check(solution):
    for i in exercises(solution):
        cell, check = solution.cells[i : i + 2]
        assert grade_id(check) == f"check-{grade_id(cell)}"
        assert utils.is_grade(check) and utils.is_locked(check)
        assert check.metadata.nbgrader.points > 0
    assert len(checks(solution)) == len(exercises(solution)) > 0


def headings(notebook):
    """Returns level and text of every heading, in order."""
    text = "\n".join(cell.source for cell in notebook.cells if cell.cell_type == "markdown")
    text = re.sub(r"^(```|~~~).*?^\1", "", text, flags=re.M | re.S)
    return [(len(marks), words) for marks, words in re.findall(r"^(#{1,6}) +(.+)$", text, re.M)]


def test_headings_are_in_order(solution):
    levels = [level for level, _ in headings(solution)]
    assert solution.cells[0].source.startswith("# ")
    assert levels.count(1) == 1
    for before, after in zip(levels, levels[1:], strict=False):
        assert after <= before + 1, headings(solution)


def test_opening(name, solution):
    first = solution.cells[0].source
    assert first.startswith(f"# {int(name[:2])} · ")
    for promise in ["What you will be able to do", "Builds on", "Running time"]:
        assert promise in first
    imports = next(cell for cell in solution.cells if in_code(cell))
    assert imports.source.splitlines()[-1] == "use_style()"
    named = re.search(rf"from helpers\.{name[3:]} import \(?([^()]*?)(\)|\nfrom)", imports.source)
    assert "check" in named[1]


def test_ending(solution):
    sections = [words for level, words in headings(solution) if level == 2]
    assert sections[-5:] == [
        "What you have done",
        "Summary",
        "Limits",
        "Further reading",
        "Notation",
    ]
    assert [c for c in solution.cells if in_code(c)][-1].source == "check.progress()"
    assert "## Notation" in solution.cells[-1].source


def test_the_table_of_symbols_is_the_same_everywhere():
    tables = {read_solution(name).cells[-1].source.partition("## Notation")[2] for name in NAMES}
    assert len(tables) == 1 and len(tables.pop().splitlines()) > 10


def exercise_text(notebook, place):
    """Returns the Markdown before an answer, from its last heading on."""
    before = notebook.cells[place - 1]
    assert before.cell_type == "markdown", f"no task before {grade_id(notebook.cells[place])}"
    return re.split(r"^(?=#+ )", before.source, flags=re.M)[-1]


def points_in(text):
    """Returns the points that the text states last."""
    stated = re.findall(r"\((?:written, )?(\d+) points?\)", text)
    assert stated, f"no points in {text!r}"
    return int(stated[-1])


def test_each_exercise_has_number_points_and_hints(name, solution):
    module = importlib.import_module(f"helpers.{name[3:]}.check")
    for i in exercises(solution):
        text, check = exercise_text(solution, i), solution.cells[i + 1]
        number = re.match(rf"### Exercise ({int(name[:2])}\.\d+) · \S", text)
        assert number, f"a task starts with {text.splitlines()[0]!r}"
        assert points_in(text.splitlines()[0]) == check.metadata.nbgrader.points
        hints = re.findall(
            r"^<details><summary>Hint (\d)</summary>\n\n(?:(?!</?details>).)+?\n\n</details>$",
            text,
            re.M | re.S,
        )
        assert hints in (["1", "2"], ["1", "2", "3"]), f"hints {hints} of {number[0]}"
        assert text.count("<details>") == text.count("</details>") == len(hints)
        called = re.match(r"check\.(\w+)\(", check.source)[1]
        title = getattr(module, called).title
        assert title.split()[0] == number[1], f"check {title!r} of exercise {number[1]}"


def test_each_written_question_states_its_points(solution):
    for i, cell in enumerate(solution.cells):
        if utils.is_solution(cell) and not in_code(cell):
            assert solution.cells[i - 1].cell_type == "markdown"
            assert points_in(solution.cells[i - 1].source) == cell.metadata.nbgrader.points


def test_exercises_are_numbered_in_order(name, solution):
    numbers = [
        re.match(r"Exercise (\d+)\.(\d+)", words)
        for _, words in headings(solution)
        if words.startswith("Exercise")
    ]
    found = [(int(number[1]), int(number[2])) for number in numbers]
    assert found == [(int(name[:2]), k + 1) for k in range(len(found))]


def test_every_check_of_the_notebook_is_called_once(name, solution):
    module = importlib.import_module(f"helpers.{name[3:]}.check")
    called = [re.match(r"check\.(\w+)\(", cell.source)[1] for cell in checks(solution)]
    assert [getattr(module, each) for each in called] == module.checklist.checks


def shown_by(cell):
    return "".join(out.text for out in cell.outputs if out.output_type == "stream")


def test_the_solutions_pass_their_checks(solution):
    for cell in checks(solution):
        assert shown_by(cell).startswith("✓ right"), f"{cell.source}\n{shown_by(cell)}"
    number = len(checks(solution))
    last = [cell for cell in solution.cells if in_code(cell)][-1]
    assert f"{number} of {number} exercises" in shown_by(last)


def test_no_cell_of_a_solution_complains(solution):
    for cell in filter(in_code, solution.cells):
        for output in cell.outputs:
            assert output.get("name") != "stderr", f"{cell.source}\n{output.text}"
            assert output.output_type != "error", f"{cell.source}\n{output.evalue}"


def bare_figures(notebook):
    """Returns the cells with an image that has no alternative text."""
    return [
        cell.source
        for cell in filter(in_code, notebook.cells)
        for output in cell.outputs
        if "image/png" in output.get("data", {})
        and not output.metadata.get("image/png", {}).get("alt", "").strip()
    ]


def shows_figure(cell):
    """Returns whether the cell itself calls `show`, not just a function that it defines."""
    todo = list(ast.parse(cell.source).body)
    while todo:
        node = todo.pop()
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "show":
            return True
        if not isinstance(node, (ast.FunctionDef, ast.ClassDef, ast.Lambda)):
            todo += ast.iter_child_nodes(node)
    return False


def test_every_figure_is_there_and_has_alternative_text(solution):
    assert bare_figures(solution) == []
    for cell in filter(in_code, solution.cells):
        if shows_figure(cell):
            kinds = [kind for output in cell.outputs for kind in output.get("data", {})]
            assert "image/png" in kinds, cell.source


def test_a_figure_without_alternative_text_is_found():
    for metadata, faults in [
        ({}, 1),
        ({"image/png": {"alt": " "}}, 1),
        ({"image/png": {"alt": "A line that rises."}}, 0),
    ]:
        output = new_output("display_data", data={"image/png": "abc"}, metadata=metadata)
        notebook = new_notebook(cells=[new_code_cell("show(ax)", outputs=[output])])
        assert len(bare_figures(notebook)) == faults


def bound_in(source):
    """Returns the names that running the code binds at top level."""
    # From Python 3.12 a symbol table also names the variables of comprehensions; bytecode does not.
    steps = dis.get_instructions(compile(source, "cell", "exec"))
    return {s.argval for s in steps if s.opname in ("STORE_NAME", "STORE_GLOBAL")} - {"_"}


def test_hidden_tests_leave_the_notebooks_variables_alone(solution):
    # They run in the solution and when grading, not in the student's copy: what they bind must
    # not matter to the lesson's own cells. A leading underscore is the way.
    cells = list(filter(in_code, solution.cells))
    lesson = set().union(*(bound_in(REGION.sub("", cell.source)) for cell in cells))
    for cell in checks(solution):
        for match in REGION.finditer(cell.source):
            assert not bound_in(match[2]) & lesson, cell.source


def links(notebook):
    """Returns the relative paths that the Markdown links to or shows."""
    text = "\n".join(cell.source for cell in notebook.cells if cell.cell_type == "markdown")
    text = re.sub(r"\$\$.*?\$\$|`[^`]*`|\$[^$\n]*\$", "", text, flags=re.S)
    targets = re.findall(r"\]\(<?([^)\s>]+)|\b(?:href|src)=[\"']([^\"']+)", text)
    paths = [(a or b).partition("#")[0] for a, b in targets]
    return [path for path in paths if path and not re.match(r"\w+:", path)]


def test_links_lead_somewhere_in_both_editions(student, solution):
    for notebook, folder in [(solution, SOLUTIONS), (student, STUDENTS)]:
        for path in links(notebook):
            assert (folder / path).exists(), f"{path} from {folder.name}"
    for cell in filter(in_code, solution.cells):  # the editions run in different folders
        assert "../" not in cell.source


# --- all five ------------------------------------------------------------------------------------


def test_all_five_notebooks_are_there():
    assert NAMES == ALL


def test_there_are_enough_exercises():
    assert sum(len(exercises(read_solution(name))) for name in NAMES) >= 24


# --- tools/release.py ----------------------------------------------------------------------------


def graded(name, cell_type="code", **kind):
    kind = {"grade": False, "solution": False, "locked": False} | kind
    return {"nbgrader": {"schema_version": 3, "grade_id": name, "cell_type": cell_type} | kind}


@pytest.fixture
def source(tmp_path):
    """A folder with one solution notebook that holds all that must not get through."""
    answer = "def f(x):\n    ### BEGIN SOLUTION\n    return 6 * 7 * x\n    ### END SOLUTION"
    test = "check.f(f)\n### BEGIN HIDDEN TESTS\nassert f(2) == 84\n### END HIDDEN TESTS"
    picture = {"a.png": {"image/png": "iVBORw0KGgo="}}
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
        if in_code(cell):
            cell.execution_count = number
            cell.outputs = [new_output("stream", text="6 * 7\n")]
        elif number in (0, 3):
            cell["attachments"] = picture
    kernel = {"display_name": "Python 3", "language": "python", "name": "python3"}
    notebook = new_notebook(
        cells=cells,
        metadata={
            "kernelspec": kernel,
            "language_info": {"name": "python", "version": "3.99"},
            "widgets": {"state": "6 * 7"},
        },
    )
    folder = tmp_path / "solutions"
    folder.mkdir()
    nbformat.write(notebook, folder / "01_t.ipynb")
    return folder


def test_release_keeps_the_lesson_and_nothing_else(source, tmp_path, capsys):
    assert release.main(["--from", str(source), "--to", str(tmp_path / "new" / "folder")]) == 0
    path = tmp_path / "new" / "folder" / "01_t.ipynb"
    text, notebook = path.read_text(encoding="utf-8"), read(path)
    title, answer, check, essay, progress = notebook.cells
    assert title.source.endswith("[b](b.ipynb) [c](../c.md)")
    assert list(title.attachments) == ["a.png"]
    assert answer.source == "def f(x):\n    # YOUR CODE HERE\n    raise NotImplementedError()"
    assert answer.metadata.tags == ["wide"]
    assert check.source == "check.f(f)"
    assert essay.source == "YOUR ANSWER HERE"
    assert "attachments" not in essay
    assert progress.metadata == {}
    for secret in ["6 * 7", "== 84", "forty-two", "3.99", "widgets", "nbval"]:
        assert secret not in text
    assert [cell.id for cell in notebook.cells] == [f"cell-{k}" for k in range(5)]


def test_release_writes_the_same_bytes_twice(source, tmp_path):
    for folder in ["a", "b"]:
        release.main(["--from", str(source), "--to", str(tmp_path / folder)])
    a, b = ((tmp_path / folder / "01_t.ipynb").read_bytes() for folder in ["a", "b"])
    assert a == b
    assert a.endswith(b"}\n") and b"\r" not in a


def test_release_does_not_overwrite_a_students_work(source, tmp_path, capsys):
    release.main(["--from", str(source), "--to", str(tmp_path)])
    path = tmp_path / "01_t.ipynb"
    blank, mine = path.read_bytes(), read(path)
    mine.cells[1].outputs = [new_output("stream", text="mine")]
    nbformat.write(mine, path)
    assert release.main(["--from", str(source), "--to", str(tmp_path)]) == 1
    assert "left as it is" in capsys.readouterr().err
    assert b"mine" in path.read_bytes()
    assert release.main(["--from", str(source), "--to", str(tmp_path), "--force"]) == 0
    assert path.read_bytes() == blank


@pytest.mark.parametrize("damage", ["unclosed", "unmarked", "twice"])
def test_release_writes_nothing_where_a_solution_could_get_through(source, tmp_path, damage):
    path = source / "02_bad.ipynb"
    notebook = read(source / "01_t.ipynb")
    if damage == "unclosed":
        notebook.cells[1].source = notebook.cells[1].source.replace("### END", "### END OF")
        notebook.cells[1].source = notebook.cells[1].source.replace("### END OF SOLUTION", "")
    elif damage == "unmarked":
        notebook.cells[1].metadata.pop("nbgrader")
    else:
        notebook.cells[2].metadata.nbgrader.grade_id = "f"
    nbformat.write(notebook, path)
    with pytest.raises(Exception, match="solution|Solution|valid"):
        release.main(["--from", str(source), "--to", str(tmp_path / "out")])
    assert not (tmp_path / "out").exists()
