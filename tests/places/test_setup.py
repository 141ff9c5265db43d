"""The set-up: one list of packages everywhere, and a `make` that repairs what broke off."""

import http.server
import os
import re
import shutil
import subprocess
import sys
import threading
import zipfile
from functools import partial
from pathlib import Path
from unittest.mock import Mock

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tools import setup_env

ROOT = Path(__file__).resolve().parents[2]
TESTED = setup_env.TESTED
LISTS = ["requirements.txt", "requirements-dev.txt"]

# Stands in for pip: notes what it was asked to do, and fails where the test says so.
FAKE_PIP = """
import os, sys
with open(os.environ["PIP_LOG"], "a", encoding="utf-8") as log:
    log.write(" ".join(sys.argv[1:]) + "\\n")
sys.exit(int(os.environ.get("PIP_STATUS", "0")))
"""


def text(name):
    return (ROOT / name).read_text(encoding="utf-8")


# --- one list ------------------------------------------------------------------------------------


def required(name):
    """Return the lines of a list of requirements, each a requirement and why it is there."""
    lines = text(name).splitlines()
    return [line for line in lines if line and not line.startswith(("#", "-r "))]


@pytest.mark.parametrize("line", [line for name in LISTS for line in required(name)])
def test_each_requirement_has_a_range_a_reason_and_a_locked_version(line):
    assert re.fullmatch(r"[A-Za-z][\w.-]*(\[\w+\])?>=[\d.]+,<[\d.]+ +# \S.*", line)
    wanted = Requirement(line.split("#")[0].strip())
    pins = re.findall(r"^([\w.-]+)==(\S+)$", text("requirements.lock"), flags=re.MULTILINE)
    versions = {canonicalize_name(name): version for name, version in pins}
    assert versions[canonicalize_name(wanted.name)] in wanted.specifier


def test_conda_and_the_package_read_the_one_list():
    environment = yaml.safe_load(text("environment.yml"))
    python, pip, from_pip = environment["dependencies"]
    assert pip == "pip"
    assert from_pip == {"pip": ["-r requirements.txt", "-e ."]}
    assert 'dynamic.dependencies = { file = ["requirements.txt"] }' in text("pyproject.toml")
    assert text("requirements-dev.txt").count("-r requirements.txt\n") == 1


def test_pyproject_says_which_pythons_and_ci_tries_them():
    oldest, newest = ("{}.{}".format(*version) for version in (TESTED[0], TESTED[-1]))
    assert [(3, minor) for minor in range(10, 1 + TESTED[-1][1])] == TESTED
    assert f'requires-python = ">={oldest}"\n' in text("pyproject.toml")
    assert f"python>={oldest}" in yaml.safe_load(text("environment.yml"))["dependencies"]
    ci = yaml.safe_load(text(".github/workflows/ci.yml"))["jobs"]
    matrix = ci["test"]["strategy"]["matrix"]
    tried = {*matrix["python"], *(case["python"] for case in matrix["include"])}
    assert tried == {"{}.{}".format(*version) for version in TESTED}
    assert matrix["python"] == [oldest, newest]
    lowest = ci["lowest"]["steps"]
    assert any("--resolution lowest-direct" in step.get("run", "") for step in lowest)


# --- make ----------------------------------------------------------------------------------------


class Clone:
    """A copy of what `make setup` reads, in a folder with an awkward name, and a fake pip."""

    def __init__(self, folder):
        self.root = folder / "dossier d'été №1"
        (self.root / "tools").mkdir(parents=True)
        for name in ["Makefile", "pyproject.toml", *LISTS, "tools/setup_env.py"]:
            shutil.copy(ROOT / name, self.root / name)
        fake = folder / "fake" / "pip"
        fake.mkdir(parents=True)
        (fake / "__init__.py").touch()
        (fake / "__main__.py").write_text(FAKE_PIP)
        self.log = folder / "pip.log"
        # Without the settings of the `make` that runs these tests.
        outer = {k: v for k, v in os.environ.items() if k not in ("MAKEFLAGS", "MAKELEVEL")}
        self.environment = outer | {
            "PYTHON": sys.executable,
            "PYTHONPATH": str(fake.parent),
            "PIP_LOG": str(self.log),
        }

    def make(self, target="setup", **environment):
        """Run make; return the run, with the calls of pip as its `pip`."""
        self.log.write_text("")
        run = subprocess.run(
            [shutil.which("make"), target],
            cwd=self.root,
            env=self.environment | environment,
            capture_output=True,
            text=True,
            errors="replace",
        )
        run.pip = self.log.read_text(encoding="utf-8").splitlines()
        return run


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A clone in which `make setup` has succeeded once."""
    if shutil.which("make") is None:
        pytest.skip("make is not installed")
    clone = Clone(tmp_path_factory.mktemp("clone"))
    run = clone.make()
    assert run.returncode == 0, run.stderr
    first, second = run.pip
    assert "-r requirements.txt" in first and "-e ." in second
    return clone


@pytest.fixture
def clone(made):
    """The same clone for every test, set up again if the test before left it otherwise."""
    assert made.make().returncode == 0
    return made


def test_a_second_call_installs_nothing_and_what_tests_need_serves_students_too(clone):
    assert clone.make().pip == []
    assert "-r requirements-dev.txt" in clone.make("setup-dev").pip[0]
    assert clone.make("setup-dev").pip == []
    assert clone.make("setup").pip == []


def test_changed_requirements_are_installed(clone):
    with (clone.root / "requirements.txt").open("a") as file:
        file.write("# one more\n")
    assert len(clone.make().pip) == 2


def test_a_failed_installation_says_so_and_the_next_call_takes_it_up(clone):
    for stamp in (clone.root / ".venv").glob("installed-*"):
        stamp.unlink()
    run = clone.make(PIP_STATUS="1")
    assert run.returncode != 0
    assert "Set-up stopped: pip could not install the packages" in run.stderr
    assert "Traceback" not in run.stderr
    assert len(clone.make().pip) == 2
    assert clone.make().pip == []


def test_a_broken_python_is_replaced(clone):
    python = setup_env.venv_python(clone.root / ".venv")
    python.unlink()
    # PYTHON= unset: the first Python found on the PATH makes .venv anew.
    found = Path(sys._base_executable).parent
    run = clone.make(PYTHON="", PATH=os.pathsep.join([str(found), os.environ["PATH"]]))
    assert run.returncode == 0, run.stderr
    assert "Making .venv" in run.stdout
    assert len(run.pip) == 2
    assert python.exists()


def test_a_moved_folder_is_linked_anew(clone):
    home, clone.root = clone.root, clone.root.rename(clone.root.with_name("moved"))
    try:
        assert "-e ." in clone.make().pip[1]
    finally:
        clone.root = clone.root.rename(home)


def test_what_pip_is_told_takes_torch_from_a_small_index_and_nothing_else(clone, tmp_path):
    """The real pip, with the set-up's own arguments, and an index on this machine."""
    for name, version in (("torch", "2.9+cpu"), ("torchvision", "0.30+cpu")):
        info, folder = f"{name}-{version}.dist-info", tmp_path / "simple" / name
        folder.mkdir(parents=True)
        with zipfile.ZipFile(folder / f"{name}-{version}-py3-none-any.whl", "w") as wheel:
            wheel.writestr(f"{name}.py", "")
            about = f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n"
            wheel.writestr(f"{info}/METADATA", about + "Requires-Dist: nowhere-to-be-had\n")
            wheel.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nTag: py3-none-any\n")
            wheel.writestr(f"{info}/RECORD", "")
    handler = partial(http.server.SimpleHTTPRequestHandler, directory=tmp_path)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        for stamp in (clone.root / ".venv").glob("installed-*"):
            stamp.unlink()
        told = clone.make(TORCH_INDEX=f"http://127.0.0.1:{server.server_port}/simple").pip[0]
        site, own = tmp_path / "site", {k: v for k, v in os.environ.items() if k[:4] != "PIP_"}
        own |= {"no_proxy": "127.0.0.1", "PIP_CONFIG_FILE": os.devnull}  # no index beside
        command = [sys.executable, "-m", "pip", *told.split(), "--target", site]
        run = subprocess.run(command, env=own, capture_output=True, text=True)
        server.shutdown()
    assert run.returncode == 0, run.stderr
    assert sorted(path.name for path in site.glob("*.py")) == ["torch.py", "torchvision.py"]


@pytest.mark.skipif(os.name == "nt", reason="the PATH of Windows always holds a Python")
def test_without_a_python_one_sentence_says_so(tmp_path):
    clone = Clone(tmp_path)
    tools = tmp_path / "bin"
    tools.mkdir()
    for name in ["sh", "make", "sed"]:
        (tools / name).symlink_to(shutil.which(name))
    (tools / "python3").write_text("#!/bin/sh\nexit 1\n")  # as an old Python answers
    (tools / "python3").chmod(0o755)
    run = clone.make(PATH=str(tools), PYTHON="")
    assert run.returncode != 0
    assert run.stderr.startswith("No Python 3.10 or newer was found: install one")
    assert not (clone.root / ".venv").exists()


def test_a_python_that_is_none_is_named(clone):
    name = "l'été/no such python"
    assert f"PYTHON={name} is not a Python 3.10 or newer." in clone.make(PYTHON=name).stderr


def test_a_python_newer_than_those_tested_is_tried_with_a_sentence(clone, monkeypatch, capsys):
    monkeypatch.setattr(setup_env, "ROOT", clone.root)
    monkeypatch.setattr(setup_env, "TESTED", [(3, 10), (3, 4)])
    monkeypatch.setattr(setup_env, "install", Mock())
    (clone.root / ".venv" / "installed-lab").unlink()
    assert setup_env.main(["lab"]) == 0
    told = "Python {}.{} is newer than those we test, up to 3.4: trying it.".format(
        *sys.version_info
    )
    assert told in capsys.readouterr().out
    monkeypatch.setattr(setup_env, "TESTED", [(99, 0)])
    assert setup_env.main(["python"]) == 1


def test_torch_comes_from_the_index_that_the_user_names(clone):
    for stamp in (clone.root / ".venv").glob("installed-*"):
        stamp.unlink()
    first, *rest = clone.make(TORCH_INDEX="http://127.0.0.1:1/simple").pip
    assert "--no-deps --index-url http://127.0.0.1:1/simple torch>=" in first
    assert "torchvision>=" in first and "#" not in first and len(rest) == 2
    assert clone.make(TORCH_INDEX="http://127.0.0.1:1/simple").pip == []


def test_an_unwritable_folder_is_one_sentence(monkeypatch, capsys):
    refuse = Mock(side_effect=PermissionError(13, "Permission denied", ".venv"))
    monkeypatch.setattr(setup_env, "make_venv", refuse)
    monkeypatch.setattr(setup_env, "usable_version", lambda venv: None)
    assert setup_env.main(["lab"]) == 1
    assert "Permission denied" in capsys.readouterr().err


# --- packages that an interrupted pip left in pieces ---------------------------------------------


@pytest.fixture
def library(tmp_path):
    """A .venv with one installed package, `tiny` 1.0: one module of 5 bytes."""
    folder = tmp_path / ".venv" / "lib" / "python3.12" / "site-packages"
    info = folder / "tiny-1.0.dist-info"
    info.mkdir(parents=True)
    (folder / "tiny.py").write_bytes(b"x = 1")
    (info / "RECORD").write_text("tiny.py,sha256=abc,5\ntiny-1.0.dist-info/RECORD,,\n")
    return folder


def test_a_whole_package_stays_and_a_damaged_one_is_installed_again(library):
    assert setup_env.forget_damaged(library.parents[2]) == []
    assert (library / "tiny-1.0.dist-info" / "RECORD").exists()
    (library / "tiny.py").write_bytes(b"x =")
    assert setup_env.forget_damaged(library.parents[2]) == ["tiny"]
    assert not (library / "tiny-1.0.dist-info").exists()


def test_so_is_one_whose_record_a_power_cut_left_empty(library):
    (library / "tiny-1.0.dist-info" / "RECORD").write_bytes(200_000 * b"\0")
    assert setup_env.forget_damaged(library.parents[2]) == ["tiny"]


@pytest.mark.parametrize("missing", ["tiny.py", "tiny-1.0.dist-info/RECORD"])
def test_so_is_one_without_a_file_or_a_record(library, missing):
    (library / missing).unlink()
    assert setup_env.forget_damaged(library.parents[2]) == ["tiny"]
