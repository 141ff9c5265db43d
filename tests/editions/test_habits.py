"""The habits that `make lint` and pre-commit hold to, and `make run`."""

import base64

import nbformat
import pytest
import yaml
from nbformat.v4 import new_code_cell, new_notebook

from tests.editions.notebooks import ROOT, codes, read, solution_of
from tools import run_notebooks


def test_hooks_are_the_steps_of_make_lint():
    config = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text(encoding="utf-8"))
    (local,) = config["repos"]
    steps = {hook["entry"].removeprefix("make ") for hook in local["hooks"]}
    lines = (ROOT / "Makefile").read_text(encoding="utf-8").splitlines()
    (line,) = [line for line in lines if line.startswith("lint:")]
    assert steps == set(line.split("##")[0].removeprefix("lint:").split())


def test_what_make_test_leaves_out_runs_in_ci():
    ci = yaml.safe_load((ROOT / ".github/workflows/ci.yml").read_text(encoding="utf-8"))
    runs = " ".join(step.get("run", "") for job in ci["jobs"].values() for step in job["steps"])
    assert {"test", "lint", "test-browser", "test-site"} <= set(runs.split())


# --- make run ------------------------------------------------------------------------------------


@pytest.fixture
def course(tmp_path, monkeypatch):
    """An empty course for the runner; returns the folder of its solution notebooks."""
    folder = tmp_path / "notebooks" / "solutions"
    folder.mkdir(parents=True)
    (tmp_path / "docs").mkdir()
    monkeypatch.setattr(run_notebooks, "ROOT", tmp_path)
    # The runner sets these for its kernels; the test takes them back.
    for name in ["QUICK_RUN", "TQDM_DISABLE", "MNIST_REQUIRE_REAL", "TRAIN_AFRESH"]:
        monkeypatch.setenv(name, "1")
    return folder


def written(path, *sources):
    """Write a notebook of code cells with metadata of nbgrader's, and return it."""
    metadata = {"nbgrader": {"grade_id": "task", "solution": True}}
    cells = [new_code_cell(source, metadata=metadata) for source in sources]
    notebook = new_notebook(cells=cells, metadata={"course": "kept"})
    nbformat.write(notebook, path)
    return notebook


# What an explorer leaves behind: a widget, its figure, and here the README's, too.
SHOWN = f"""class plots:
    rate_grid = staticmethod(display)
plots.rate_grid({{"image/png": "aGVsbG8=", "{run_notebooks.WIDGET}": {{}}}}, raw=True)"""


def test_runner_saves_outputs_in_place_and_nothing_else(course):
    path = course / "01_title.ipynb"
    before = written(path, "import os\nprint(os.getcwd(), os.environ.get('QUICK_RUN'))", SHOWN)
    assert run_notebooks.main(["01", "--in-place"]) == 0
    after = read(path)
    assert after.cells[0].outputs[0].text == f"{course} None\n"
    assert after.cells[1].outputs[0].data == {"image/png": "aGVsbG8="}
    assert after.metadata == before.metadata
    assert [(c.id, c.metadata) for c in after.cells] == [(c.id, c.metadata) for c in before.cells]
    build = run_notebooks.ROOT / "build"
    assert (build / "01_title.ipynb").read_bytes() == path.read_bytes()
    assert "<html" in (build / "01_title.html").read_text(encoding="utf-8")
    assert (run_notebooks.ROOT / "docs" / "forty_eight_runs.png").read_bytes() == b"hello"


def test_runner_trains_afresh_and_records(course, monkeypatch, capsys):
    path = course / "03_title.ipynb"
    written(course / "01_title.ipynb", "1 / 0")
    before = written(path, "import os\nwhole = os.environ['TRAIN_AFRESH']")
    monkeypatch.setattr(run_notebooks, "RECORD", "print('recorded:', whole)")
    assert run_notebooks.main(["--record"]) == 0
    assert "recorded: 1\n" in capsys.readouterr().out
    assert len(read(run_notebooks.ROOT / "build" / "03_title.ipynb").cells) == 1
    assert read(path) == before
    monkeypatch.setattr(run_notebooks, "RECORD", "raise RuntimeError('relu is missing')")
    assert run_notebooks.main(["--record"]) == 1
    assert "03_title: RuntimeError: relu is missing" in capsys.readouterr().out


def test_runner_keeps_the_old_notebook_when_a_cell_fails(course, capsys):
    path = course / "01_title.ipynb"
    written(path, "1 / 0")
    before = path.read_bytes()
    assert run_notebooks.main(["--in-place"]) == 1
    assert path.read_bytes() == before
    assert "01_title: ZeroDivisionError: division by zero" in capsys.readouterr().out
    failed = read(run_notebooks.ROOT / "build" / "01_title.ipynb")
    assert failed.cells[0].outputs[0].output_type == "error"


def test_runner_names_the_notebooks_to_choose_from(course, capsys):
    written(course / "01_title.ipynb", "1")
    with pytest.raises(SystemExit):
        run_notebooks.main(["07"])
    assert "no notebook '07'; choose from 01_title" in capsys.readouterr().err


def test_the_readmes_figure_is_the_notebooks():
    cells = codes(solution_of("03_mnist_comparison"))
    cell = next(cell for cell in cells if run_notebooks.README_FIGURE in cell.source)
    (picture,) = [output.data["image/png"] for output in cell.outputs if "data" in output]
    assert (ROOT / "docs" / "forty_eight_runs.png").read_bytes() == base64.b64decode(picture)
