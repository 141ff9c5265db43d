"""The set-up: one list of packages everywhere, and a `make` that repairs what broke off."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from tools import lock, setup_env

ROOT = Path(__file__).resolve().parents[2]
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


def unexplained(lines):
    """Returns the requirements without a lower bound, an upper bound or a reason."""
    whole = re.compile(r"[A-Za-z][\w.-]*(\[\w+\])?>=[\d.]+,<[\d.]+ +# \S.*")
    wanted = [line for line in lines if line and not line.startswith(("#", "-r "))]
    return [line for line in wanted if not whole.fullmatch(line)]


@pytest.mark.parametrize("name", LISTS)
def test_each_requirement_has_a_range_and_a_reason(name):
    assert unexplained(text(name).splitlines()) == []


@pytest.mark.parametrize("line", ["numpy", "numpy>=2.0  # arrays", "numpy>=2.0,<3"])
def test_a_requirement_without_range_or_reason_is_noticed(line):
    assert unexplained(["# a comment", line, ""]) == [line]


def test_conda_and_the_package_read_the_one_list():
    environment = yaml.safe_load(text("environment.yml"))
    python, pip, from_pip = environment["dependencies"]
    assert pip == "pip"
    assert from_pip == {"pip": ["-r requirements.txt", "-e ."]}
    assert 'dynamic.dependencies = { file = ["requirements.txt"] }' in text("pyproject.toml")
    assert text("requirements-dev.txt").count("-r requirements.txt\n") == 1


def test_one_range_of_python_everywhere():
    ((oldest, newest),) = {(setup_env.OLDEST, setup_env.NEWEST)}
    after = (newest[0], newest[1] + 1)
    written = ">={}.{},<{}.{}".format(*oldest, *after)
    assert f'requires-python = "{written}"' in text("pyproject.toml")
    assert f"python{written}" in yaml.safe_load(text("environment.yml"))["dependencies"]
    assert f"{oldest} <= sys.version_info[:2] <= {newest}" in text("Makefile")
    tried = '["{}.{}", "{}.{}"]'.format(*oldest, *newest)
    assert f"python: {tried}" in text(".github/workflows/ci.yml")
    assert 'target-version = "py{}{}"'.format(*oldest) in text("pyproject.toml")


@pytest.mark.parametrize("name", LISTS)
def test_the_lock_satisfies_the_ranges(name):
    pins = dict(re.findall(r"^([\w-]+)==(\S+)$", text("requirements.lock"), flags=re.MULTILINE))
    for wanted in lock.listed(ROOT / name):
        assert pins[wanted.name] in wanted.specifier, wanted


def test_helpers_can_be_imported_from_any_folder(tmp_path):
    code = "import helpers; print(helpers.__file__)"
    run = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert Path(run.stdout.strip()) == ROOT / "helpers" / "__init__.py"


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

    @property
    def python(self):
        return setup_env.venv_python(self.root / ".venv")

    def make(self, target="setup", **environment):
        """Runs make; returns the run, with the calls of pip as its `pip`."""
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
    assert [("-r requirements.txt" in call, "-e ." in call) for call in run.pip] == [
        (True, False),
        (False, True),
    ]
    return clone


@pytest.fixture
def clone(made):
    """The same clone for every test, set up again if the test before left it otherwise."""
    assert made.make().returncode == 0
    return made


def test_a_second_call_installs_nothing(clone):
    assert clone.make().pip == []


def test_what_tests_need_comes_on_top_and_serves_students_too(clone):
    assert "-r requirements-dev.txt" in clone.make("setup-dev").pip[0]
    assert clone.make("setup-dev").pip == []
    assert clone.make("setup").pip == []


def test_changed_requirements_are_installed(clone):
    with (clone.root / "requirements.txt").open("a") as file:
        file.write("# one more\n")
    assert len(clone.make().pip) == 2


def test_a_failed_installation_says_so_and_the_next_call_takes_it_up(clone):
    (clone.root / ".venv" / "installed-lab").unlink(missing_ok=True)
    (clone.root / ".venv" / "installed-dev").unlink(missing_ok=True)
    run = clone.make(PIP_STATUS="1")
    assert run.returncode != 0
    assert "Set-up stopped: pip could not install the packages" in run.stderr
    assert "Traceback" not in run.stderr
    assert len(clone.make().pip) == 2
    assert clone.make().pip == []


def test_a_broken_python_is_replaced(clone):
    clone.python.unlink()
    # PYTHON= unset: the first Python found on the PATH makes .venv anew.
    found = Path(sys._base_executable).parent
    run = clone.make(PYTHON="", PATH=os.pathsep.join([str(found), os.environ["PATH"]]))
    assert run.returncode == 0, run.stderr
    assert "Making .venv" in run.stdout
    assert len(run.pip) == 2
    assert clone.python.exists()


def test_a_moved_folder_is_linked_anew(clone):
    moved = clone.root.with_name("moved")
    clone.root.rename(moved)
    clone.root, home = moved, clone.root
    try:
        assert "-e ." in clone.make().pip[1]
    finally:
        clone.root.rename(home)
        clone.root = home


@pytest.mark.skipif(os.name == "nt", reason="the PATH of Windows always holds a Python")
def test_without_a_python_one_sentence_says_so(tmp_path):
    clone = Clone(tmp_path)
    tools = tmp_path / "bin"
    tools.mkdir()
    for name in ["sh", "make"]:
        (tools / name).symlink_to(shutil.which(name))
    (tools / "python3").write_text("#!/bin/sh\nexit 1\n")  # as an old Python answers
    (tools / "python3").chmod(0o755)
    run = clone.make(PATH=str(tools), PYTHON="")
    assert run.returncode != 0
    assert run.stderr.startswith("No Python from 3.10 to 3.13 was found: install one")
    assert not (clone.root / ".venv").exists()


def test_a_python_out_of_range_is_named():
    if shutil.which("make") is None:
        pytest.skip("make is not installed")
    name = "l'été/no such python"
    run = subprocess.run(
        ["make", "setup", f"PYTHON={name}"], cwd=ROOT, capture_output=True, text=True
    )
    assert f"PYTHON={name} is not a Python from 3.10 to 3.13." in run.stderr


def test_an_unwritable_folder_is_one_sentence(tmp_path, monkeypatch, capsys):
    def refuse(*arguments, **options):
        raise PermissionError(13, "Permission denied", ".venv")

    monkeypatch.setattr(setup_env, "usable_version", lambda venv: None)
    monkeypatch.setattr(setup_env.Path, "mkdir", refuse)
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


def test_a_whole_package_stays(library):
    assert setup_env.forget_damaged(library.parents[2]) == []
    assert (library / "tiny-1.0.dist-info" / "RECORD").exists()


@pytest.mark.parametrize(
    "damage",
    [
        lambda folder: (folder / "tiny.py").write_bytes(b"x ="),
        lambda folder: (folder / "tiny.py").unlink(),
        lambda folder: (folder / "tiny-1.0.dist-info" / "RECORD").unlink(),
    ],
    ids=["cut", "missing", "no record"],
)
def test_a_damaged_package_is_installed_again(library, damage):
    damage(library)
    assert setup_env.forget_damaged(library.parents[2]) == ["tiny"]
    assert not (library / "tiny-1.0.dist-info").exists()
