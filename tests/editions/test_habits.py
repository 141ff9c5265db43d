"""The habits that `make lint` and pre-commit hold to, as part of `make test`."""

import copy
import json
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest
import yaml
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

from tools import check_outputs, run_notebooks

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize("tool", ["ruff check .", "ruff format --check .", "mypy"])
def test_style_and_types(tool):
    run = subprocess.run(
        [sys.executable, "-m", *tool.split()], cwd=ROOT, capture_output=True, text=True
    )
    assert run.returncode == 0, run.stdout + run.stderr


def test_hooks_are_the_steps_of_make_lint():
    config = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text(encoding="utf-8"))
    (local,) = config["repos"]
    steps = {hook["entry"].removeprefix("make ") for hook in local["hooks"]}
    (line,) = [
        line
        for line in (ROOT / "Makefile").read_text(encoding="utf-8").splitlines()
        if line.startswith("lint:")
    ]
    assert local["repo"] == "local"
    assert steps == set(line.split("##")[0].removeprefix("lint:").split())


# --- the rule on outputs -------------------------------------------------------------------------


@pytest.fixture
def solved():
    """A solution notebook of two cells, as it looks after a run."""
    results = [[new_output("stream", text="1\n")], []]
    cells = [
        new_code_cell("print(1)", execution_count=number, outputs=outputs)
        for number, outputs in enumerate(results, start=1)
    ]
    return new_notebook(cells=[new_markdown_cell("# Title"), *cells, new_code_cell("")])


@pytest.fixture
def blank(solved):
    """The same as students get it."""
    notebook = copy.deepcopy(solved)
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = [], None
    return notebook


def faults(tmp_path, notebook, folder):
    path = tmp_path / folder / "01_title.ipynb"
    path.parent.mkdir(parents=True, exist_ok=True)
    nbformat.write(notebook, path)
    return check_outputs.faults_of(path)


def test_every_notebook_keeps_the_rule(capsys):
    status = check_outputs.main([])
    assert status == 0, capsys.readouterr().out


def test_good_notebooks_have_no_faults(tmp_path, solved, blank):
    assert faults(tmp_path, solved, "solutions") == []
    assert faults(tmp_path, blank, "notebooks") == []


def test_an_output_in_a_student_notebook_is_a_fault(tmp_path, solved, blank):
    assert len(faults(tmp_path, solved, "notebooks")) == 2
    blank.cells[1].execution_count = 1
    (fault,) = faults(tmp_path, blank, "notebooks")
    assert "code cell 1 holds results of a run" in fault


def test_an_error_in_a_solution_is_a_fault_unless_it_is_the_point(tmp_path, solved):
    error = new_output("error", ename="ZeroDivisionError", evalue="division by zero", traceback=[])
    solved.cells[2].outputs = [error]
    (fault,) = faults(tmp_path, solved, "solutions")
    assert "code cell 2 ends in ZeroDivisionError: division by zero" in fault
    solved.cells[2].metadata["tags"] = ["raises-exception"]
    assert faults(tmp_path, solved, "solutions") == []


def test_a_solution_without_outputs_or_run_out_of_order_is_a_fault(tmp_path, solved, blank):
    assert len(faults(tmp_path, blank, "solutions")) == 2
    solved.cells[1].execution_count = 7
    (fault,) = faults(tmp_path, solved, "solutions")
    assert "not run once from top to bottom" in fault


def test_what_is_no_notebook_is_a_fault(tmp_path):
    path = tmp_path / "01_title.ipynb"
    path.write_text("{")
    (fault,) = check_outputs.faults_of(path)
    assert "is not a notebook" in fault


# --- make run ------------------------------------------------------------------------------------


@pytest.fixture
def course(tmp_path, monkeypatch):
    """An empty course for the runner; returns the folder of its solution notebooks."""
    folder = tmp_path / "notebooks" / "solutions"
    folder.mkdir(parents=True)
    monkeypatch.setattr(run_notebooks, "ROOT", tmp_path)
    # The runner sets these for its kernels; the test takes them back.
    for name in ["QUICK_RUN", "TQDM_DISABLE", "MNIST_REQUIRE_REAL"]:
        monkeypatch.setenv(name, "1")
    return folder


def written(path, *sources):
    """Writes a notebook of code cells with metadata of nbgrader's, and returns it."""
    metadata = {"nbgrader": {"grade_id": "task", "solution": True}}
    cells = [new_code_cell(source, metadata=metadata) for source in sources]
    notebook = new_notebook(cells=cells, metadata={"course": "kept"})
    nbformat.write(notebook, path)
    return notebook


def test_runner_saves_outputs_in_place_and_nothing_else(course):
    path = course / "01_title.ipynb"
    before = written(path, "import os\nprint(os.getcwd(), os.environ.get('QUICK_RUN'))")
    assert run_notebooks.main(["01", "--in-place"]) == 0
    after = nbformat.read(path, as_version=4)
    assert after.cells[0].outputs[0].text == f"{course} None\n"
    assert after.metadata == before.metadata
    assert after.cells[0].id == before.cells[0].id
    assert after.cells[0].metadata == before.cells[0].metadata
    build = run_notebooks.ROOT / "build"
    assert (build / "01_title.ipynb").read_bytes() == path.read_bytes()
    assert "<html" in (build / "01_title.html").read_text(encoding="utf-8")
    assert check_outputs.faults_of(path) == []


def test_runner_keeps_the_old_notebook_when_a_cell_fails(course, capsys):
    path = course / "01_title.ipynb"
    written(path, "1 / 0")
    before = path.read_bytes()
    assert run_notebooks.main(["--in-place"]) == 1
    assert path.read_bytes() == before
    assert "01_title: ZeroDivisionError: division by zero" in capsys.readouterr().out
    copy_of = json.loads((run_notebooks.ROOT / "build" / "01_title.ipynb").read_text())
    assert copy_of["cells"][0]["outputs"][0]["output_type"] == "error"


def test_runner_names_the_notebooks_to_choose_from(course, capsys):
    written(course / "01_title.ipynb", "1")
    with pytest.raises(SystemExit):
        run_notebooks.main(["07"])
    assert "no notebook '07'; choose from 01_title" in capsys.readouterr().err


def test_a_widget_with_a_figure_is_saved_as_the_figure():
    both = new_output("display_data", data={run_notebooks.WIDGET: {}, "image/png": "abc"})
    alone = new_output("display_data", data={run_notebooks.WIDGET: {}})
    notebook = new_notebook(cells=[new_code_cell(outputs=[both])], metadata={"widgets": {}})
    run_notebooks.keep_static(notebook)
    assert notebook.cells[0].outputs[0].data == {"image/png": "abc"}
    assert "widgets" not in notebook.metadata

    notebook = new_notebook(cells=[new_code_cell(outputs=[alone])], metadata={"widgets": {}})
    run_notebooks.keep_static(notebook)
    assert run_notebooks.WIDGET in notebook.cells[0].outputs[0].data
    assert "widgets" in notebook.metadata
