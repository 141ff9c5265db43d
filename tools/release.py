"""Generate the student notebooks from the solution notebooks: `make release`.

nbgrader's own preprocessors do the work, in the order of `nbgrader generate_assignment`, so the
cells are those that a course would release (a test compares them). The checksums let nbgrader's
Validate button tell a student that a test was edited. On top of that, whatever a run, an editor
or a test leaves in a notebook stays behind, and links are made to lead where they led.
"""

import argparse
import re
import sys
from pathlib import Path

import nbformat
from nbconvert.exporters import NotebookExporter
from nbformat import NotebookNode
from nbgrader import utils
from nbgrader.preprocessors import (
    CheckCellMetadata,
    ClearHiddenTests,
    ClearMarkScheme,
    ClearOutput,
    ClearSolutions,
    ComputeChecksums,
    LockCells,
    NbGraderPreprocessor,
)
from traitlets.config import Config

ROOT = Path(__file__).resolve().parent.parent
SOLUTIONS = ROOT / "notebooks" / "solutions"
STUDENTS = ROOT / "notebooks"
KEPT = {"nbgrader", "deletable", "editable", "jupyter", "tags"}  # of a cell's metadata
TEST_TAG = "nbval-check-output"  # the student edition has no output to compare with
LINK_UP = re.compile(r"""(\]\(|\b(?:href|src)=["'])\.\./""")


class KeepTheLesson(NbGraderPreprocessor):
    """Keep of each cell and of the notebook only what students are meant to get."""

    def preprocess(self, nb: NotebookNode, resources: dict) -> tuple[NotebookNode, dict]:
        """Reduce the notebook's metadata to its kernel and language, then goes through cells."""
        language = nb.metadata.get("language_info", {}).get("name", "python")
        nb.metadata = NotebookNode(
            kernelspec=nb.metadata.kernelspec, language_info=NotebookNode(name=language)
        )
        return super().preprocess(nb, resources)

    def preprocess_cell(
        self, cell: NotebookNode, resources: dict, index: int
    ) -> tuple[NotebookNode, dict]:
        """Drop metadata, tags and attachments without use; let links lead up one folder less."""
        cell.metadata = NotebookNode({k: v for k, v in cell.metadata.items() if k in KEPT})
        if tags := [tag for tag in cell.metadata.pop("tags", []) if tag != TEST_TAG]:
            cell.metadata.tags = tags
        if cell.cell_type != "code":
            cell.source = LINK_UP.sub(r"\1", cell.source)
        if utils.is_solution(cell):
            cell.pop("attachments", None)
        return cell, resources


PREPROCESSORS = [
    LockCells,
    ClearSolutions,
    ClearOutput,
    CheckCellMetadata,
    ClearHiddenTests,
    ClearMarkScheme,
    KeepTheLesson,
    ComputeChecksums,
    CheckCellMetadata,
]


def released(solution: Path) -> str:
    """Return the text of the student notebook that belongs to the solution notebook.

    Raises:
        RuntimeError: a solution or hidden test is not closed, or stands in a cell without grading
            metadata.
        ValidationError: nbgrader finds fault with the grading metadata.
    """
    exporter = NotebookExporter(config=Config({"Exporter": {"default_preprocessors": []}}))
    for preprocessor in PREPROCESSORS:
        exporter.register_preprocessor(preprocessor, enabled=True)
    text, _ = exporter.from_filename(str(solution))
    return text.rstrip("\n") + "\n"


def holds_work(path: Path) -> bool:
    """Return whether the notebook at `path` has been run: someone may have worked in it."""
    cells = nbformat.read(path, as_version=4).cells if path.exists() else []
    return any(cell.get("outputs") or cell.get("execution_count") for cell in cells)


def main(arguments: list[str] | None = None) -> int:
    """Write the student notebooks; return the exit status, 1 where one was left as it is."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--force", action="store_true", help="also replace notebooks with outputs")
    options = parser.parse_args(arguments)

    solutions = sorted(SOLUTIONS.glob("*.ipynb"))
    texts = {path.name: released(path) for path in solutions}  # all of them, or none is written
    left = 0
    for name, text in texts.items():
        path = STUDENTS / name
        if holds_work(path) and not options.force:
            print(f"{path}: left as it is, it has been run; --force replaces it", file=sys.stderr)
            left += 1
        else:
            path.write_text(text, encoding="utf-8", newline="\n")
            print(f"{path}: written")
    return 1 if left else 0


if __name__ == "__main__":
    sys.exit(main())
