"""The exercises of the notebooks, read from the solutions: for the bench of verdicts and the tests.

An answer is a piece of source. It runs in a namespace in which the notebook's first cell and all
of its solutions have run, as it would in a student's notebook.
"""

import ast
import importlib
import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import nbformat

from helpers.judge import Check

SOLUTIONS = Path(__file__).resolve().parents[1] / "notebooks" / "solutions"
ROOMS = {path.stem[3:]: path for path in sorted(SOLUTIONS.glob("0*.ipynb"))}
SOLVED = re.compile(r"^( *)### BEGIN SOLUTION\n.*?^ *### END SOLUTION\n?", re.M | re.S)


@dataclass(frozen=True)
class Exercise:
    """One exercise: its room, its check's name, its answers' names, and the solution's source."""

    room: str
    name: str
    answers: tuple[str, ...]
    solution: str

    @property
    def check(self) -> Check:
        """The check that stands under the exercise."""
        return getattr(importlib.import_module(f"helpers.{self.room}.check"), self.name)

    @property
    def stub(self) -> str:
        """What a student finds in the place of the solution."""
        return SOLVED.sub(r"\1raise NotImplementedError()\n", self.solution + "\n")

    def made(self, source: str) -> tuple:
        """Return the answers that the source defines, beside all other solutions."""
        space = dict(solved(self.room))
        exec(compile(source, f"<answer to {self.name}>", "exec"), space)
        return tuple(space[answer] for answer in self.answers)


@cache
def solved(room: str) -> dict:
    """Return the variables of the notebook's first cell and of all its solutions."""
    space: dict = {"__name__": "__main__"}
    cells = [cell for cell in _cells(room) if cell.cell_type == "code"]
    for cell in [cells[0], *filter(_is_answer, cells)]:
        exec(compile(cell.source, f"<{room}>", "exec"), space)
    return space


@cache
def exercises(room: str) -> dict[str, Exercise]:
    """Return a room's exercises by the names of their checks, in the notebook's order."""
    found = {}
    cells = _cells(room)
    for answer, check in zip(cells, cells[1:], strict=False):
        if answer.cell_type == "code" and _is_answer(answer):
            call = re.search(r"^check\.(\w+)\((.*)\)$", check.source, re.M)
            assert call, check.source
            names = tuple(ast.unparse(part) for part in ast.parse(call[0]).body[0].value.args)
            found[call[1]] = Exercise(room, call[1], names, answer.source)
    return found


def _cells(room: str) -> list:
    return nbformat.read(ROOMS[room], as_version=nbformat.NO_CONVERT).cells


def _is_answer(cell: nbformat.NotebookNode) -> bool:
    return cell.metadata.get("nbgrader", {}).get("solution", False)
