"""The notebooks of both editions, as the tests read them."""

import re
from pathlib import Path

import nbformat
from nbgrader import utils

ROOT = Path(__file__).resolve().parents[2]
STUDENTS, SOLUTIONS = ROOT / "notebooks", ROOT / "notebooks" / "solutions"
NAMES = sorted(path.stem for path in SOLUTIONS.glob("*.ipynb"))
CHECK = re.compile(
    r"""from helpers\.(?P<room>\w+) import check

check\.(?P<name>\w+)\((?P<answers>[\w, ]+)\)
### BEGIN HIDDEN TESTS
check\.(?P=name)\.grade\((?P=answers)\)
### END HIDDEN TESTS"""
)


def read(path):
    return nbformat.read(path, as_version=nbformat.NO_CONVERT)


def solution_of(name):
    return read(SOLUTIONS / f"{name}.ipynb")


def codes(notebook):
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def grade_id(cell):
    return cell.metadata.get("nbgrader", {}).get("grade_id", "")


def answered(notebook, cell_type):
    """Return the places of the cells that are answered in code, or in Markdown."""
    cells = enumerate(notebook.cells)
    return [i for i, c in cells if c.cell_type == cell_type and utils.is_solution(c)]


def checks(notebook):
    return [cell for cell in codes(notebook) if utils.is_grade(cell)]


def asked(cell, room):
    """Return the check that a check cell calls and its answers' names; no other form will do."""
    found = CHECK.fullmatch(cell.source)
    assert found and found["room"] == room, f"not the form of a check cell:\n{cell.source}"
    return found["name"], found["answers"].split(", ")
