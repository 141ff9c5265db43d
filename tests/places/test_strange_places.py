"""A notebook in a home that is not plain, in a locale without UTF-8; folders not to be written."""

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
from tests.editions.notebooks import NAMES, STUDENTS, codes, read, solution_of
from tests.mnist_comparison.search_process import run
from tests.permissions import needs_modes, unprivileged

ROOT = Path(__file__).resolve().parents[2]

# What the notebooks do with files, text and processes, in little.
CELL = """
import helpers
import numpy as np
from helpers.mnist_comparison import check, mnist, plots
from helpers.mnist_comparison.records import Examples
from helpers.mnist_comparison.search import search
from helpers.plotting import show, use_style

print(helpers.__file__)
use_style()
split = mnist.split(mnist.load(allow_download=False))
few = [part[:100] for part in (split.train_x, split.train_y)]
examples = Examples.of(*few, *few)
runs = search(["swish", "tanh"], [0.001, 0.01], examples, epochs=3)

z = np.linspace(-3, 3, 50)
show(plots.learned_swish([0.3, -0.9], [z, z], "Swish, β gelernt: ∂β"))

def displayed(losses):
    raise ValueError("σ′ ist größer als ¼")

check.displayed(displayed)
print(len(runs), "∇ ✓")
"""


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    """The folder of a package that pip has installed and nobody may write to."""
    site, source = (tmp_path_factory.mktemp(name) for name in ("site", "source"))
    shutil.copytree(ROOT / "helpers", source / "helpers", ignore=shutil.ignore_patterns("*.pyc"))
    for name in ("pyproject.toml", "requirements.txt", "LICENSE"):
        shutil.copy(ROOT / name, source)
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-build-isolation"]
    subprocess.run([*pip, "--target", site, source], check=True)
    for path in [*site.rglob("*"), site]:
        path.chmod(path.stat().st_mode & 0o555)
    yield site
    for path in [site, *site.rglob("*")]:
        path.chmod(path.stat().st_mode | 0o200)  # so that pytest can delete them


@pytest.mark.timeout(0)  # the cell has a limit of its own
def test_a_read_only_package_elsewhere_in_a_plain_locale(installed, tmp_path):
    """As on a class server, or by pip's git+…: what is written goes where one works."""
    home = tmp_path / "l'été à la maison №1"
    home.mkdir()
    before = sorted(installed.rglob("*"))
    assert {path.relative_to(installed) for path in before} >= {
        path.relative_to(ROOT) for path in (ROOT / "helpers").rglob("*.*") if path.suffix != ".pyc"
    }
    sources = [cell.source for cell in codes(solution_of("03_mnist_comparison"))]
    notebook = new_notebook(cells=list(map(new_code_cell, [*sources, CELL])))
    plain = {"LC_ALL": "C", "LANG": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    paths = os.pathsep.join([str(installed), *(p for p in sys.path if p and p != str(ROOT))])
    own = {"HOME": str(home), "IPYTHONDIR": str(home / ".ipython"), "PYTHONPATH": paths}
    own |= {"QUICK_RUN": "1", "SEARCH_WORKERS": "1"}
    environment = os.environ | plain | own
    for name in ("MPLCONFIGDIR", "XDG_CONFIG_HOME", "XDG_CACHE_HOME", "PYTHONIOENCODING"):
        environment.pop(name, None)
    resources = {"metadata": {"path": str(home)}}
    NotebookClient(notebook, timeout=600, resources=resources).execute(env=environment)
    nbformat.validate(notebook)
    outputs = notebook.cells[-1].outputs
    text = "".join(output.text for output in outputs if output.output_type == "stream")
    assert text.startswith(str(installed))
    assert "4 found" not in text
    assert "4 to train" in text
    assert "σ′ ist größer als ¼" in text
    assert text.endswith("4 ∇ ✓\n")
    assert not [output for output in outputs if output.get("name") == "stderr"], outputs
    assert len(list(home.glob("data/runs/*.npz"))) > 4
    assert sorted(installed.rglob("*")) == before


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
