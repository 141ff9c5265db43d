"""Generates the student notebooks from the solution notebooks: `make release`.

nbgrader's own preprocessors do the work, in the order of `nbgrader generate_assignment`, so the
cells are those that a course would release (a test compares them). The checksums let nbgrader's
Validate button tell a student that a test was edited. On top of that, whatever a run, an editor
or a test leaves in a notebook stays behind, and links are made to lead where they led.
"""

import argparse
import os
import re
import sys
from pathlib import Path

import nbformat
from nbconvert.exporters import NotebookExporter
from nbformat import NotebookNode
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
TEST_TAGS = {"nbval-check-output"}  # the student edition has no output to compare with
LINK_UP = re.compile(r"""(\]\(|\b(?:href|src)=["'])\.\./""")


class KeepTheLesson(NbGraderPreprocessor):
    """Keeps of each cell and of the notebook only what students are meant to get."""

    def preprocess(self, nb: NotebookNode, resources: dict) -> tuple[NotebookNode, dict]:
        """Reduces the notebook's metadata to its kernel and language, then goes through cells."""
        language = nb.metadata.get("language_info", {}).get("name", "python")
        nb.metadata = NotebookNode(
            kernelspec=nb.metadata.kernelspec, language_info=NotebookNode(name=language)
        )
        return super().preprocess(nb, resources)

    def preprocess_cell(
        self, cell: NotebookNode, resources: dict, index: int
    ) -> tuple[NotebookNode, dict]:
        """Drops metadata, tags and attachments without use; links lead up one folder less."""
        cell.metadata = NotebookNode({k: v for k, v in cell.metadata.items() if k in KEPT})
        tags = [tag for tag in cell.metadata.pop("tags", []) if tag not in TEST_TAGS]
        if tags:
            cell.metadata.tags = tags
        if cell.cell_type != "code":
            cell.source = LINK_UP.sub(r"\1", cell.source)
            attached = cell.pop("attachments", {})
            shown = {k: v for k, v in attached.items() if f"attachment:{k}" in cell.source}
            if shown:
                cell.attachments = NotebookNode(shown)
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
    """Returns the text of the student notebook that belongs to the solution notebook.

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
    """Returns whether the notebook at `path` has been run: someone may have worked in it."""
    if not path.exists():
        return False
    notebook = nbformat.read(path, as_version=4)
    return any(cell.get("outputs") or cell.get("execution_count") for cell in notebook.cells)


def write(text: str, path: Path) -> None:
    """Writes `text` to `path` in one step: an interruption leaves the old file whole."""
    part = path.with_name(path.name + ".part")
    part.write_text(text, encoding="utf-8", newline="\n")
    os.replace(part, path)


def main(arguments: list[str] | None = None) -> int:
    """Writes the student notebooks; returns the exit status, 1 where one was left as it is."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--from", dest="source", type=Path, default=SOLUTIONS, metavar="FOLDER")
    parser.add_argument("--to", type=Path, default=STUDENTS, metavar="FOLDER")
    parser.add_argument("--force", action="store_true", help="also replace notebooks with outputs")
    options = parser.parse_args(arguments)

    solutions = sorted(options.source.glob("*.ipynb"))
    if not solutions:
        parser.error(f"no notebooks in {options.source}")
    texts = {path.name: released(path) for path in solutions}  # all of them, or none is written
    options.to.mkdir(parents=True, exist_ok=True)
    left = 0
    for name, text in texts.items():
        path = options.to / name
        if holds_work(path) and not options.force:
            print(f"{path}: left as it is, it has been run; --force replaces it", file=sys.stderr)
            left += 1
        else:
            write(text, path)
            print(f"{path}: written")
    return 1 if left else 0


if __name__ == "__main__":
    sys.exit(main())
