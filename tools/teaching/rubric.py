"""Points by criterion and model answers: in the formgrader, and on one page for print.

`rubrics.md` beside this file holds the criteria of the written questions; model answers stand in
the solution notebooks. `python -m tools.teaching.rubric` writes `build/rubrics.html`.
"""

import importlib
import re
import sys
from collections.abc import Mapping
from pathlib import Path

import nbformat
from nbconvert.exporters import HTMLExporter
from nbformat import NotebookNode
from nbformat.v4 import new_markdown_cell, new_notebook
from nbgrader import utils
from nbgrader.preprocessors import NbGraderPreprocessor

ROOT = Path(__file__).resolve().parents[2]
CALL = re.compile(r"^from helpers\.(\w+) import check$.*?^check\.(\w+)\(", re.M | re.S)
PREFIX = "rubric-"  # of the ids of cells that a grader sees and a student does not


def criteria() -> dict[str, list[tuple[float, str]]]:
    """Return points and criterion, for each written question by its grade id."""
    found: dict[str, list[tuple[float, str]]] = {}
    for line in (Path(__file__).parent / "rubrics.md").read_text(encoding="utf-8").splitlines():
        if line.startswith("## "):
            found[line[3:]] = []
        elif match := re.match(r"- ([\d.]+): (.*)", line):
            found[list(found)[-1]].append((float(match[1]), match[2]))
    return found


def told(name: str, model: str) -> str:
    """Return a written question's criteria and model answer in Markdown."""
    rows = "\n".join(f"- {points:g}: {said}" for points, said in criteria().get(name, []))
    return f"**Points**\n\n{rows}\n\n**Model answer**\n\n{model}"


def models(notebook: NotebookNode) -> dict[str, str]:
    """Return the model answers of a solution notebook's written questions, by grade id."""
    cells = [cell for cell in notebook.cells if utils.is_grade(cell) and utils.is_solution(cell)]
    return {cell.metadata.nbgrader.grade_id: cell.source for cell in cells}


class ShowRubric(NbGraderPreprocessor):
    """Put criteria and model answer under each written answer, for the formgrader."""

    def preprocess(self, nb: NotebookNode, resources: dict) -> tuple[NotebookNode, dict]:
        """Return the notebook with a cell more for each written question."""
        course, this = self.parent.parent.coursedir, resources["nbgrader"]
        folder = course.format_path(course.source_directory, ".", this["assignment"])
        solution = nbformat.read(Path(folder, f"{this['notebook']}.ipynb"), as_version=4)
        known, cells = models(solution), []
        for cell in nb.cells:
            cells.append(cell)
            name = cell.metadata.get("nbgrader", {}).get("grade_id")
            if name in known:
                cells.append(new_markdown_cell(told(name, known[name]), id=f"{PREFIX}{name}"[:64]))
        nb.cells = cells
        return nb, resources


class ForStudents(NbGraderPreprocessor):
    """Leave those cells out of the feedback, and of a failed check all but the judge's words."""

    def preprocess(self, nb: NotebookNode, resources: dict) -> tuple[NotebookNode, dict]:
        """Return the notebook as a student reads it."""
        nb.cells = [cell for cell in nb.cells if not cell.get("id", "").startswith(PREFIX)]
        for cell in filter(utils.is_grade, nb.cells):
            for output in cell.get("outputs", []):
                if output.get("ename") == "AssertionError":
                    output.traceback = [output.evalue]
                    cell.outputs = [output]  # the check below an exercise printed the same
        return nb, resources


def looked_for(source: str) -> str:
    """Return in Markdown what the check in a check cell looks for."""
    room, name = CALL.search(source).groups()
    check = getattr(importlib.import_module(f"helpers.{room}.check"), name)
    link = f"[helpers/{room}/check.py](../helpers/{room}/check.py), `{name}`"
    lines = [f"### {check.title}", "", f"All or nothing: {link}."]
    for task in check.tasks:
        kinds = task.kinds if isinstance(task.kinds, Mapping) else ["one kind"]
        lines.append(f"- {task.name or 'Inputs'}: {', '.join(kinds)}")
        lines += [f"    - a known mistake: {sentence}" for sentence in task.mistakes]
    return "\n".join(lines)


def printed() -> str:
    """Return the page for print: every exercise of every notebook, in order."""
    cells = []
    for path in sorted((ROOT / "notebooks" / "solutions").glob("*.ipynb")):
        solution = nbformat.read(path, as_version=4)
        known = models(solution)
        cells.append(new_markdown_cell(f"# {path.stem}"))
        for above, cell in zip(solution.cells, solution.cells[1:], strict=False):
            if (name := cell.metadata.get("nbgrader", {}).get("grade_id")) in known:
                title = re.findall(r"^#+ (.*)", above.source, re.M)[-1]
                cells.append(new_markdown_cell(f"### {title}\n\n{told(name, known[name])}"))
            elif utils.is_grade(cell):
                cells.append(new_markdown_cell(looked_for(cell.source)))
    metadata = {"title": "Points and model answers"}
    page, _ = HTMLExporter().from_notebook_node(new_notebook(cells=cells, metadata=metadata))
    return page


def main() -> int:
    """Write the page."""
    path = ROOT / "build" / "rubrics.html"
    path.parent.mkdir(exist_ok=True)
    path.write_text(printed(), encoding="utf-8")
    print(path)
    return 0


if __name__ == "__main__":
    sys.exit(main())
