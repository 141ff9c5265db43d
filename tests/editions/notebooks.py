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
REGION = re.compile(
    r"^[ \t]*### BEGIN (SOLUTION|HIDDEN TESTS)\n(.*?)^[ \t]*### END \1", re.M | re.S
)
TELLING = 12  # characters: shorter lines, such as `return x`, may stand anywhere


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


def secrets(solution):
    """Return the telling lines of answers and hidden tests that stand nowhere else in it."""
    hidden, shown = [], []
    for cell in solution.cells:
        essay = cell.cell_type == "markdown" and utils.is_solution(cell)
        hidden += [cell.source] if essay else [text for _, text in REGION.findall(cell.source)]
        shown += [] if essay else [REGION.sub("", cell.source)]
    lines = {line.strip() for text in hidden for line in text.splitlines()}
    found = [x for x in lines if len(x) >= TELLING and x not in "\n".join(shown)]
    assert len(found) >= len(checks(solution))  # there is something to look for
    return found


FURTHER = re.compile(r"^(#+) .*\(further on\)$")


def reckoned(notebook, core=False):
    """Return words of prose and minutes to work through it: 200 words and 8 minutes an exercise.

    The core leaves out sections whose heading ends in "(further on)", up to the next heading of
    the same or a higher level. Minutes are rounded to fives.
    """
    words = exercises = 0
    skipped = 9  # level of the heading that began a section further on
    for cell in notebook.cells:
        if cell.cell_type != "markdown":
            continue
        for line in cell.source.splitlines():
            if heading := re.match(r"(#+) ", line):
                level = len(heading[1])
                if level <= skipped:
                    skipped = level if FURTHER.match(line) else 9
            if (core and skipped < 9) or line.startswith("["):  # links to the neighbours
                continue
            words += len(line.split())
            exercises += bool(re.match(r"#+ .*points?\)", line))
    return words, 5 * round((words / 200 + 8 * exercises) / 5)
