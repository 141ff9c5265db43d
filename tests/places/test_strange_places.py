"""Notebooks in a home that is not plain, in another folder, in a locale without UTF-8."""

import os
import shutil
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient
from nbformat.v4 import new_code_cell, new_notebook

from helpers.mnist_comparison.records import SearchError
from tests.editions.notebooks import NAMES, STUDENTS, codes, read
from tests.mnist_comparison.search_process import run
from tests.permissions import needs_modes, unprivileged

ROOT = Path(__file__).resolve().parents[2]

# What the notebooks do with files, text and processes, in little.
CELL = """
import numpy as np
from helpers.mnist_comparison import check, mnist, plots
from helpers.mnist_comparison.records import Examples
from helpers.mnist_comparison.search import search
from helpers.plotting import show, use_style

use_style()
split = mnist.split(mnist.load(allow_download=False))
few = [part[:100] for part in (split.train_x, split.train_y)]
examples = Examples.of(*few, *few)
runs = search(["swish", "tanh"], [0.001, 0.01], examples, epochs=3, folder="runs")

z = np.linspace(-3, 3, 50)
show(plots.learned_swish([0.3, -0.9], [z, z], "Swish, β gelernt: ∂β"))

def displayed(losses):
    raise ValueError("σ′ ist größer als ¼")

check.displayed(displayed)
print(len(runs), "∇ ✓")
"""


def test_a_notebook_elsewhere_in_a_plain_locale(tmp_path):
    home = tmp_path / "l'été à la maison №1"
    home.mkdir()
    notebook = new_notebook(cells=[new_code_cell(CELL)])
    plain = {"LC_ALL": "C", "LANG": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    environment = os.environ | plain | {"HOME": str(home), "IPYTHONDIR": str(home / ".ipython")}
    for name in ("MPLCONFIGDIR", "XDG_CONFIG_HOME", "XDG_CACHE_HOME", "PYTHONIOENCODING"):
        environment.pop(name, None)
    resources = {"metadata": {"path": str(home)}}
    NotebookClient(notebook, timeout=300, resources=resources).execute(env=environment)
    nbformat.validate(notebook)
    outputs = notebook.cells[0].outputs
    text = "".join(output.text for output in outputs if output.output_type == "stream")
    assert "4 found" not in text
    assert "4 to train" in text
    assert "σ′ ist größer als ¼" in text
    assert text.endswith("4 ∇ ✓\n")
    assert not [output for output in outputs if output.get("name") == "stderr"], outputs
    assert len(list((home / "runs").glob("*.npz"))) == 4


@pytest.mark.parametrize("name", ["00_start_here", *NAMES])
@pytest.mark.parametrize("way", ["helpers.py", "helpers/__init__.py", "helpers"])
def test_the_first_cell_names_a_file_in_the_way(tmp_path, name, way):
    path = tmp_path / way
    if way == "helpers":  # hides an editable install, which Python asks last
        path.mkdir()
    else:
        path.parent.mkdir(exist_ok=True)
        path.write_text("def my_own(): pass\n")
    first = codes(read(STUDENTS / f"{name}.ipynb"))[0].source
    command = [sys.executable, "-S", "-c", first]  # -S: nothing else is installed
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, env={})
    told = done.stderr.splitlines()[-1]
    sentence = " hides the course's package: rename it, then restart the kernel"
    assert told == f"ImportError: {path}{sentence}"


@needs_modes
def test_a_search_in_a_read_only_checkout_ends_in_a_sentence(tmp_path):
    run(tmp_path, executor=ThreadPoolExecutor(1))  # imports what nobody might not be let read
    with tempfile.TemporaryDirectory() as place:  # not pytest's: those belong to one user
        folder = Path(place) / "data" / "runs"
        folder.mkdir(parents=True)
        os.chmod(place, 0o755)
        folder.chmod(0o555)
        with unprivileged(), pytest.raises(SearchError) as caught:
            run(folder, executor=ThreadPoolExecutor(1))
    told = str(caught.value)
    assert told.startswith(f"could not write a run to {folder} (Permission denied)")
    assert "pass a writable folder as folder=" in told


def test_a_package_installed_where_nothing_can_be_written(tmp_path):
    """As on a class server, or by pip's git+…: what notebook 03 writes goes where one works."""
    site, work = tmp_path / "site", tmp_path / "work"
    work.mkdir()
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-build-isolation"]
    source = shutil.copytree(ROOT / "helpers", tmp_path / "source" / "helpers").parent
    for name in ("pyproject.toml", "requirements.txt", "LICENSE"):
        shutil.copy(ROOT / name, source)
    subprocess.run([*pip, "--target", site, source], check=True)
    for path in [*site.rglob("*"), site]:
        path.chmod(path.stat().st_mode & 0o555)
    before = sorted(site.rglob("*"))
    notebook = nbformat.read(ROOT / "notebooks/solutions/03_mnist_comparison.ipynb", as_version=4)
    where = "import helpers; print(helpers.__file__)"
    notebook.cells.append(new_code_cell(where))
    paths = os.pathsep.join([str(site), *(p for p in sys.path if p and p != str(ROOT))])
    environment = os.environ | {"PYTHONPATH": paths, "QUICK_RUN": "1", "SEARCH_WORKERS": "1"}
    resources = {"metadata": {"path": str(work)}}
    NotebookClient(notebook, timeout=600, resources=resources).execute(env=environment)
    assert notebook.cells[-1].outputs[0].text.startswith(str(site))
    assert {path.suffix for path in site.glob("helpers/*/recorded.*")} == {".py", ".zip", ".sha256"}
    assert sorted(site.rglob("*")) == before
    assert list(work.iterdir()) == [work / "data"] and list(work.glob("data/runs/*.npz"))
    for path in [site, *site.rglob("*")]:
        path.chmod(path.stat().st_mode | 0o200)  # so that pytest can delete them
