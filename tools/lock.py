"""Writes requirements.lock: the versions in .venv of all that requirements*.txt pull in.

Run it after a green `make test` with fresh packages: .venv/bin/python tools/lock.py
"""

import platform
import re
from importlib import metadata
from pathlib import Path

from packaging.requirements import Requirement

ROOT = Path(__file__).resolve().parent.parent
LISTS = ["requirements.txt", "requirements-dev.txt"]
# torch's parts for NVIDIA cards come with torch, on Linux only.
CARD_ONLY = re.compile(r"nvidia-|cuda-|triton$")


def listed(path: Path) -> list[Requirement]:
    """Returns the requirements in the file at `path`."""
    lines = [line.split("#")[0].strip() for line in path.read_text(encoding="utf-8").splitlines()]
    return [Requirement(line) for line in lines if line and not line.startswith("-r")]


def closure(wanted: list[Requirement]) -> dict[str, str]:
    """Returns name and installed version of `wanted` and of all that they need, by name."""
    versions: dict[str, str] = {}
    seen, todo = set(), list(wanted)
    while todo:
        requirement = todo.pop()
        name = re.sub(r"[-_.]+", "-", requirement.name).lower()
        extras = requirement.extras or {""}
        if (name, *extras) in seen or CARD_ONLY.match(name):
            continue
        seen.add((name, *extras))
        versions[name] = metadata.version(name).split("+")[0]
        for line in metadata.requires(name) or []:
            needed = Requirement(line)
            marker = needed.marker
            if marker is None or any(marker.evaluate({"extra": extra}) for extra in {"", *extras}):
                todo.append(needed)
    return versions


def main() -> None:
    """Writes the lock file."""
    versions = closure([one for name in LISTS for one in listed(ROOT / name)])
    head = (
        f"# Tested together with Python {platform.python_version()}; written by tools/lock.py.\n"
        "# To get these very versions: pip install -r requirements.txt -c requirements.lock\n"
    )
    lines = "".join(f"{name}=={version}\n" for name, version in sorted(versions.items()))
    (ROOT / "requirements.lock").write_text(head + lines, encoding="utf-8", newline="\n")


if __name__ == "__main__":
    main()
