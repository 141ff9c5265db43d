"""Make .venv, or repair it, or see in a moment that nothing is to be done.

The Makefile calls this before every target. A stamp in .venv, written last and only after
success, holds a fingerprint of what was installed; while it matches, nothing is installed. So an
interrupted set-up has no stamp and is taken up again by the next call.

Uses the standard library only: it runs before anything is installed.
"""

import argparse
import csv
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
TESTED = [  # pyproject.toml says which; the first is the oldest that will do
    (3, int(minor))
    for minor in re.findall(r'Python :: 3\.(\d+)"', (ROOT / "pyproject.toml").read_text("utf-8"))
]
REQUIREMENTS = {"lab": ["requirements.txt"], "dev": ["requirements.txt", "requirements-dev.txt"]}


class SetupError(Exception):
    """A set-up that cannot go on; the message says what to do."""


def venv_python(venv: Path) -> Path:
    """Return the path of the Python inside `venv`."""
    return venv / ("Scripts/python.exe" if os.name == "nt" else "bin/python")


def usable_version(venv: Path) -> tuple[int, int] | None:
    """Return the version of the Python in `venv`; None if it or its pip does not start."""
    code = "import sys, pip, json; print(json.dumps(sys.version_info[:2]))"
    try:
        run = subprocess.run([venv_python(venv), "-c", code], capture_output=True, text=True)
        return tuple(json.loads(run.stdout)) if run.returncode == 0 else None
    except (OSError, ValueError):
        return None


def make_venv(venv: Path) -> None:
    """Make `venv` anew, whatever stands there now."""
    if venv.is_symlink() or venv.is_file():
        venv.unlink()
    venv.mkdir(exist_ok=True)  # where this fails, the folder is not writable, and `main` says so
    python = getattr(sys, "_base_executable", sys.executable)
    print(f"Making {venv.name} with Python {sys.version.split()[0]} ...", flush=True)
    command = [python, "-m", "venv", "--clear", venv]
    run = subprocess.run(command, capture_output=True, text=True, errors="replace")
    if run.returncode != 0:
        print(run.stdout + run.stderr, file=sys.stderr)
        raise SetupError(
            f"{python} could not make {venv}: see the lines above. On Debian and Ubuntu it may "
            "lack the package python3-venv."
        )


def fingerprint(root: Path, kind: str, version: tuple[int, int]) -> str:
    """Return a digest of all that decides what `.venv` has to hold."""
    digest = hashlib.sha256(repr((kind, version, str(root))).encode())
    for name in ["pyproject.toml", *REQUIREMENTS[kind]]:
        digest.update((root / name).read_bytes())
    return digest.hexdigest()


def forget_damaged(venv: Path) -> list[str]:
    """Return the packages that an interrupted pip left in pieces, and delete their records.

    pip would take them for installed; without a record it installs them again.
    """
    library = next(iter([*venv.glob("lib/python*/site-packages"), venv / "Lib/site-packages"]))
    damaged = []
    for info in library.glob("[!~]*.dist-info"):
        try:
            with (info / "RECORD").open(newline="", encoding="utf-8") as record:
                whole = all(
                    path.endswith(".pyc")
                    or not size
                    or (library / path).stat().st_size == int(size)
                    for path, _, size in csv.reader(record)
                )
        except (OSError, ValueError, csv.Error):
            whole = False
        if not whole:
            damaged.append(info.name.split("-")[0])
            shutil.rmtree(info)
    return damaged


def install(root: Path, venv: Path, kind: str) -> None:
    """Install what `kind` needs and make `helpers` importable from any folder."""

    def pip(*arguments: str) -> None:
        # --no-compile: most modules are never imported; Python compiles the others when they are.
        options = ["--quiet", "--no-compile", "--disable-pip-version-check"]
        command = [venv_python(venv), "-m", "pip", "install", *options, *arguments]
        if subprocess.run(command, cwd=root).returncode != 0:
            raise SetupError(
                "pip could not install the packages: see the lines above. Once the cause is gone "
                "(often the network or a full disk), the same command goes on from here."
            )

    if index := os.environ.get("TORCH_INDEX"):  # these two from there; what they need as ever
        text = (root / "requirements.txt").read_text(encoding="utf-8")
        pip("--no-deps", "--index-url", index, *re.findall(r"^torch\S+", text, flags=re.MULTILINE))
    # setuptools is what `-e .` is built with; having it here lets a later call work offline.
    pip("setuptools>=77", *(word for name in REQUIREMENTS[kind] for word in ("-r", name)))
    pip("--no-deps", "--no-build-isolation", "-e", ".")


def set_up(root: Path, kind: str, insist: bool) -> None:
    """Bring `root/.venv` up to date for `kind`.

    Args:
        root: the folder of the Makefile.
        kind: "lab" for what students need, "dev" for what tests need as well.
        insist: whether .venv must have the version of the running Python.
    """
    venv = root / ".venv"
    version = usable_version(venv)
    wrong = insist and version != sys.version_info[:2]
    if version is None or wrong or version < TESTED[0]:
        make_venv(venv)
        version = sys.version_info[:2]
    # "dev" holds all of "lab": either stamp does for "lab".
    for done in ("dev", kind):
        stamp = venv / f"installed-{done}"
        if stamp.exists() and stamp.read_text() == fingerprint(root, done, version):
            return
    for old in venv.glob("installed-*"):
        old.unlink()
    print("Installing the packages into .venv; the first time takes some minutes.", flush=True)
    if version > TESTED[-1]:
        told = "Python {}.{} is newer than those we test, up to {}.{}: trying it. Another one: "
        print(told.format(*version, *TESTED[-1]) + "make PYTHON=/path/to/python ...", flush=True)
    if damaged := forget_damaged(venv):
        print("Repairing", ", ".join(damaged), "...", flush=True)
    install(root, venv, kind)
    (venv / f"installed-{kind}").write_text(fingerprint(root, kind, version))


def main(arguments: list[str] | None = None) -> int:
    """Run `set_up` for the Makefile; return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("kind", choices=["python", *REQUIREMENTS])  # python: is this one usable?
    parser.add_argument("--insist", action="store_true", help="use this very version of Python")
    options = parser.parse_args(arguments)
    if options.kind == "python" or sys.version_info < TESTED[0]:
        return int(sys.version_info < TESTED[0])
    try:
        set_up(ROOT, options.kind, options.insist)
    except SetupError as error:
        print(f"Set-up stopped: {error}", file=sys.stderr)
        return 1
    except OSError as error:
        print(f"Set-up stopped: {error}. The project's folder must be writable.", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\nSet-up interrupted; the same command goes on from here.", file=sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
