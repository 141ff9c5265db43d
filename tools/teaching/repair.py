"""Give a submitted notebook back what nbgrader needs, before it is graded.

`Repair` is the first of nbgrader's preprocessors when it autogrades: each cell that students were
given is recognised by its grade id, its cell id or its text, and the cells that are graded stand in
their order again, with their type and metadata. What students added stays behind what it follows.
The submitted file is left as it is; what was done stands on top of the autograded one.
"""

import ast
import builtins
import pkgutil
import re
import sys
import sysconfig
from collections import Counter
from collections.abc import Iterable
from difflib import SequenceMatcher
from pathlib import Path

import nbformat
from IPython.core.inputtransformer2 import TransformerManager
from nbformat import NotebookNode
from nbgrader import utils
from nbgrader.preprocessors import (
    CheckCellMetadata,
    ClearOutput,
    DeduplicateIds,
    NbGraderPreprocessor,
    OverwriteCells,
    OverwriteKernelspec,
)

NOTES = "repaired"  # id of the cell that says what was done
CALL = re.compile(r"^check\.\w+\(([\w, ]+)\)", re.M)
SYSTEM = {  # errors of the system: a file, a process or a connection was not to be had
    name
    for name, kind in vars(builtins).items()
    if isinstance(kind, type) and issubclass(kind, OSError | MemoryError)
}
DEFINED = re.compile(r"^(?:def|class) +(\w+)|^(\w+) *=(?!=)", re.M)


def shadows() -> list[str]:
    """Return the files that are left aside: they would be imported in the place of a module."""
    homes = [sysconfig.get_path(name) for name in ("purelib", "platlib")]
    installed = {module.name for module in pkgutil.iter_modules(homes)}
    names = {"helpers", *sys.stdlib_module_names, *installed}
    return ["helpers", *(f"{name}.py" for name in sorted(names))]


def _lines(source: str) -> str | None:
    """Return the source as plain Python, without IPython's own commands; None if it is not."""
    try:
        return ast.unparse(ast.parse(TransformerManager().transform_cell(source)))
    except (SyntaxError, ValueError):
        return None


def _defined(cell: NotebookNode) -> set[str]:
    return {function or name for function, name in DEFINED.findall(cell.source)}


def _joined(parts: list[NotebookNode], names: set[str]) -> str:
    """Return one source for the parts of an answer: all of them, or the last that makes sense."""
    sources = list(dict.fromkeys(part.source.rstrip() for part in parts))
    if not names:
        return "\n\n".join(sources)
    whole = "\n".join(sources)
    if _lines(whole) is None:
        for part in reversed(parts):
            if _lines(part.source) is not None and names <= _defined(part):
                return part.source
    return whole


class _Notebook:
    """The released cells, and which of the submitted ones belong to each."""

    def __init__(self, released: list[NotebookNode], submitted: list[NotebookNode]) -> None:
        self.released, self.submitted = released, submitted
        self.claims: dict[str, list[NotebookNode]] = {cell.id: [] for cell in released}
        self.after: dict[str, list[NotebookNode]] = {cell.id: [] for cell in released}
        self.first: list[NotebookNode] = []  # what was added above all others
        self.order: list[str] = []
        self.notes: list[str] = []
        self.names = {}  # of an answer in code: what it has to define
        for answer, check in zip(released, released[1:], strict=False):
            if utils.is_solution(answer) and (call := CALL.search(check.source)):
                self.names[answer.id] = set(call[1].replace(",", " ").split())
        known = {cell.id: cell.id for cell in released}
        known |= {c.metadata.nbgrader.grade_id: c.id for c in released if "nbgrader" in c.metadata}
        often = Counter(cell.source.strip() for cell in released)
        texts = {c.source.strip(): c.id for c in released if often[c.source.strip()] == 1}
        lost = False
        for cell in submitted:
            name = cell.metadata.get("nbgrader", {}).get("grade_id")
            ids = [name, cell.get("id"), cell.metadata.get("id")]
            home = next((known[i] for i in ids if i in known), texts.get(cell.source.strip()))
            lost |= not name and self._graded(home)
            if home is None:
                (self.after[self.order[-1]] if self.order else self.first).append(cell)
            else:
                self.claims[home].append(cell)
                self.order.append(home)
        if lost:
            self.notes.append("The grading metadata were lost, and are back.")

    def _graded(self, name: str | None) -> bool:
        return any(cell.id == name and "nbgrader" in cell.metadata for cell in self.released)

    def _adopt(self, cells: Iterable[NotebookNode], home: str) -> None:
        """Move added cells to the claims on `home`."""
        for cell in cells:
            for added in (self.first, *self.after.values()):
                added[:] = [other for other in added if other is not cell]
            self.claims[home].append(cell)

    def answer(self, stub: NotebookNode, before: NotebookNode) -> NotebookNode:
        """Return the answer cell that belongs in the place of `stub`."""
        name, names = stub.id, self.names.get(stub.id, set())
        given = stub.source.strip()
        own = [cell for cell in self.claims[name] if cell.source.strip() != given]
        if not own:  # an answer may stand in a cell of the student's own
            added = [*self.first, *(cell for cells in self.after.values() for cell in cells)]
            if names:
                own = [cell for cell in added if names & _defined(cell)]
            else:
                near = [*self.after[before.id], *self.after[name]]
                near = [cell for cell in near if cell.cell_type != "code" and cell.source.strip()]
                own = [cell for cell in near if cell.source.strip() != given]
                self._adopt([cell for cell in near if cell not in own], name)  # blank, without id
            if own:
                self.notes.append(f"{name}: the answer was found in a cell without its id.")
                self._adopt(own, name)
            elif not self.claims[name]:
                self.notes.append(f"{name}: no answer was found: not attempted. PLEASE LOOK.")
            elif not names and [c.source for c in self.claims[before.id]] != [before.source]:
                self.notes.append(f"{name}: the text above it was changed. PLEASE LOOK.")
        cell = nbformat.from_dict(stub)
        if own:
            cell.source = _joined(own, names)
            if len(own) > 1:
                whole = all(part.source.rstrip() in cell.source for part in own)
                taken = "were put together" if whole else "bore its name; the last that runs counts"
                self.notes.append(f"{name}: {len(own)} cells {taken}.")
            if {part.cell_type for part in own} != {stub.cell_type}:
                self.notes.append(f"{name}: the cell's type was changed, and is {stub.cell_type}.")
        return cell

    def check(self, released: NotebookNode) -> NotebookNode:
        """Return the cell of a test as it was given."""
        found = self.claims[released.id]
        if not found:
            self.notes.append(f"{released.id}: was missing, and is back.")
        elif any(cell.source.strip() != released.source.strip() for cell in found):
            self.notes.append(f"{released.id}: what was typed in it is not graded. PLEASE LOOK.")
        return nbformat.from_dict(released)

    def repaired(self) -> list[NotebookNode]:
        """Return the cells in the order in which they were given."""
        blocks = SequenceMatcher(None, list(self.claims), self.order, False).get_matching_blocks()
        kept = {self.order[b + i] for _, b, size in blocks for i in range(size)}
        for name in dict.fromkeys(self.order):
            if name not in kept and self._graded(name):
                self.notes.append(f"{name}: had been moved, and is in its place.")
        cells = [*self.first]
        answers = {
            cell.id: self.answer(cell, before)
            for before, cell in zip([self.released[0], *self.released], self.released, strict=False)
            if utils.is_solution(cell)
        }  # all of them first: an answer may come from among the cells that were added
        tests = [cell for cell in self.released if utils.is_grade(cell) and cell.id not in answers]
        graded = answers | {cell.id: self.check(cell) for cell in tests}
        for cell in self.released:
            found = self.claims[cell.id] or [cell] * (cell.cell_type == "code")
            cells += [graded[cell.id]] if cell.id in graded else found
            cells += self.after[cell.id]
        ids = set()
        for cell in cells:
            if cell is not graded.get(cell.get("id")):
                cell.metadata.pop("nbgrader", None)
            if cell.get("id") in {None, *ids}:
                cell.id = nbformat.v4.new_raw_cell().id
            ids.add(cell.id)
        return cells


def repaired(
    submitted: list[NotebookNode], released: list[NotebookNode]
) -> tuple[list[NotebookNode], list[str]]:
    """Return the cells to grade, and a sentence on each thing that was done.

    Args:
        submitted: the cells that were handed in; they stay as they are.
        released: those that were given out.
    """
    notebook = _Notebook(released, [nbformat.from_dict(cell) for cell in submitted])
    return notebook.repaired(), notebook.notes


class Repair(NbGraderPreprocessor):
    """Repair the notebook by the released one, and say on top of it what was done."""

    def preprocess(self, nb: NotebookNode, resources: dict) -> tuple[NotebookNode, dict]:
        """Return the repaired notebook."""
        course, this = self.parent.parent.coursedir, resources["nbgrader"]
        folder = course.format_path(course.release_directory, ".", this["assignment"])
        released = nbformat.read(Path(folder, f"{this['notebook']}.ipynb"), as_version=4)
        nb.cells, notes = repaired(nb.cells, released.cells)
        nb.metadata = released.metadata  # the kernel's name among it
        nb.nbformat_minor = 5
        if notes:
            text = "\n".join(["**Repaired before grading**", "", *(f"- {note}" for note in notes)])
            nb.cells.insert(0, nbformat.v4.new_markdown_cell(text, id=NOTES))
        return nb, resources


def remarks(cells: list[NotebookNode]) -> list[str]:
    """Return what an autograded notebook says of its repair, and what the system refused it."""
    lines, last = [], "the top"
    for cell in cells:
        last = cell.metadata.get("nbgrader", {}).get("grade_id", last)
        if cell.get("id") == NOTES:
            lines += re.findall(r"^- (.*)", cell.source, re.M)
        for output in cell.get("outputs", []):
            if output.output_type == "error":
                said = f"{output.ename}: {output.evalue}"
                for kind, why in re.findall(r"\b([A-Z]\w+Error): (.*)", said):
                    if kind in SYSTEM:
                        lines.append(f"the system refused, near {last}: {kind}: {why}")
    return lines


SANITIZE = [
    Repair,
    ClearOutput,
    DeduplicateIds,
    OverwriteKernelspec,
    OverwriteCells,
    CheckCellMetadata,
]
