"""Prove that grading works, with real nbgrader courses in a temporary folder: `make grade-demo`.

For each solution notebook a course is made, the assignment generated, and three submissions
autograded: blank, solved and careless. The careless student answers as in the solution up to the
exercise in `MISTAKES`, makes that mistake, and leaves the rest untouched. The scores must be what
each deserves, cell by cell; written answers must wait for a person to grade them.

The notebooks run with QUICK_RUN=1, as an instructor would autograde them: nbgrader gives a cell
30 seconds by default (60 here), and a line on stderr in a test cell costs all its points.
"""

import argparse
import copy
import os
import re
import subprocess
import sys
import tempfile
import textwrap
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import nbformat
from nbformat import NotebookNode
from nbgrader import utils
from nbgrader.api import Gradebook

SOLUTIONS = Path(__file__).resolve().parent.parent / "notebooks" / "solutions"
STUDENTS = ("blank", "solved", "careless")
CONFIG = "c = get_config()\nc.CourseDirectory.course_id = 'demo'\nc.Execute.timeout = 60\n"
REGION = re.compile(r"^ *### BEGIN SOLUTION\n.*?^ *### END SOLUTION", re.M | re.S)

# For each notebook an exercise of one function, and a body of it that is wrong.
MISTAKES = {
    # the biases of earlier layers are lost
    "01_relu_approximation": (
        "collapse",
        "A = np.ones((1, 1))\nfor W in weights:\n    A = W @ A\nreturn A.item(), biases[-1].item()",
    ),
    # z where s belongs
    "02_activation_derivatives": ("sigmoid-derivative", "return sigmoid(z) * (1 - z)"),
    # NaN stays NaN
    "03_mnist_comparison": ("displayed", "return np.minimum(losses, 100)"),
    # n - 1 degrees of freedom
    "04_numerical_stability": (
        "relu-moments",
        "a, size = np.maximum(z, 0), np.mean(z**2)\n"
        "return np.mean(a**2) / size, np.var(a, ddof=1) / size",
    ),
    # the biases do not decay
    "05_gradient_bounds": (
        "weight-decay",
        "return losses.mean() + decay * sum((p**2).sum() for p in [*weights, *biases])",
    ),
}


class DemoError(Exception):
    """The demonstration cannot go on; the message says why."""


@dataclass(frozen=True)
class Score:
    """What nbgrader gave one submission: points by machine, and what waits for a person."""

    points: float
    full: float
    waiting: int
    faults: list[str]  # sentences on what is not as deserved


def handed_in(
    student: str, released: NotebookNode, solution: NotebookNode, mistake: tuple[str, str]
) -> tuple[NotebookNode, set[str]]:
    """Return a student's notebook, and the grade ids of the answers that are right in it."""
    notebook, right = copy.deepcopy(released), set[str]()
    for cell, solved in zip(notebook.cells, solution.cells, strict=True):
        if student == "blank" or not utils.is_solution(cell):
            continue
        cell.source, name = solved.source, cell.metadata.nbgrader.grade_id
        if student == "careless" and name == mistake[0]:
            cell.source = REGION.sub(textwrap.indent(mistake[1], "    "), solved.source)
            break
        right.add(name)
    return notebook, right


def complaints(notebook: NotebookNode) -> dict[str, str]:
    """Return what the test cells of an autograded notebook complained of, by grade id."""
    return {
        cell.metadata.nbgrader.grade_id: output.get("evalue") or output.get("text")
        for cell in notebook.cells
        if utils.is_grade(cell)
        for output in cell.get("outputs", [])
        if output.output_type == "error" or output.get("name") == "stderr"
    }


def compare(grades: Iterable[Mapping], right: set[str], said: Mapping[str, str]) -> Score:
    """Return the score of one submission, held against the answers that are right in it.

    Args:
        grades: nbgrader's record of each graded cell.
        right: the grade ids of the right answers.
        said: what cells complained of, by grade id.
    """
    points, full, waiting, faults = 0.0, 0.0, 0, []
    for grade in grades:
        name, got = grade["name"], grade["auto_score"] or 0.0
        answered = name.removeprefix("check-") in right
        if grade["cell_type"] == "markdown":
            waiting += grade["needs_manual_grade"]
            if grade["needs_manual_grade"] != answered:
                faults.append(f"{name} {'does not wait' if answered else 'waits'} for a person")
            continue
        points, full = points + got, full + grade["max_score"]
        if got != grade["max_score"] * answered:
            due = f"{name} deserves {grade['max_score'] * answered:g}, got {got:g}"
            faults.append(": ".join([due, *said.get(name, "").splitlines()[:1]]))
    return Score(points, full, waiting, faults)


def nbgrader(course: Path, *arguments: str) -> None:
    """Run an nbgrader command in the course's folder, untouched by the user's own settings.

    Raises:
        DemoError: it failed; the message holds the end of what it printed.
    """
    own = {"QUICK_RUN": "1", "TQDM_DISABLE": "1", "JUPYTER_PREFER_ENV_PATH": "1"}
    own |= {name: str(course / "settings") for name in ("JUPYTER_CONFIG_DIR", "IPYTHONDIR")}
    # nbgrader calls alembic by its bare name; it lies beside this Python.
    own["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
    run = subprocess.run(
        [sys.executable, "-m", "nbgrader", *arguments],
        cwd=course,
        env={"OMP_NUM_THREADS": "1"} | os.environ | own,
        capture_output=True,
        text=True,
        encoding="utf-8",
        errors="replace",
    )
    if run.returncode != 0:
        tail = "\n".join((run.stdout + run.stderr).splitlines()[-20:])
        raise DemoError(f"nbgrader {' '.join(arguments)} failed:\n{tail}")


def grade(path: Path, folder: Path) -> dict[str, Score]:
    """Return each student's score in the solution notebook at `path`; its course lies in `folder`.

    Raises:
        DemoError: the notebook has no entry in `MISTAKES`, or nbgrader failed.
    """
    name, course = path.stem, folder / path.stem
    if name not in MISTAKES:
        raise DemoError(f"{name} has no careless submission; add a mistake to MISTAKES")
    solution = nbformat.read(path, as_version=4)
    (course / "source" / name).mkdir(parents=True)
    nbformat.write(solution, course / "source" / name / path.name)
    (course / "nbgrader_config.py").write_text(CONFIG, encoding="utf-8")
    nbgrader(course, "generate_assignment", name)
    released = nbformat.read(course / "release" / name / path.name, as_version=4)
    right = {}
    for student in STUDENTS:
        notebook, right[student] = handed_in(student, released, solution, MISTAKES[name])
        (course / "submitted" / student / name).mkdir(parents=True)
        nbformat.write(notebook, course / "submitted" / student / name / path.name)
    nbgrader(course, "autograde", name)
    scores = {}
    with Gradebook(f"sqlite:///{(course / 'gradebook.db').as_posix()}") as book:
        for student in STUDENTS:
            graded = course / "autograded" / student / name / path.name
            said = complaints(nbformat.read(graded, as_version=4))
            grades = book.find_submission_notebook(name, name, student).grades
            scores[student] = compare([g.to_dict() for g in grades], right[student], said)
    return scores


def main(arguments: list[str] | None = None) -> int:
    """Print the scores of the three submissions; return 1 where one is not as deserved."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", help="such as 02; all, if none is given")
    names = parser.parse_args(arguments).names
    paths = [path for name in names or [""] for path in sorted(SOLUTIONS.glob(f"{name}*.ipynb"))]
    if not paths:
        parser.error(f"no such notebook in {SOLUTIONS}")
    print(f"{'autograded points':<28}" + "".join(f"{student:>14}" for student in STUDENTS))
    waiting, faulty = 0, False
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        with ThreadPoolExecutor(2) as pool:
            courses = pool.map(lambda path: grade(path, Path(folder)), paths)
            try:
                for path, scores in zip(paths, courses, strict=True):
                    cells = [f"{score.points:g} of {score.full:g}" for score in scores.values()]
                    faults = [f"{s}: {fault}" for s in STUDENTS for fault in scores[s].faults]
                    verdict = "not as deserved" if faults else "as deserved"
                    print(f"{path.stem:<28}" + "".join(f"{cell:>14}" for cell in cells), verdict)
                    print("".join(f"    {fault}\n" for fault in faults), end="", flush=True)
                    waiting += scores["solved"].waiting
                    faulty |= bool(faults)
            except DemoError as error:
                print(f"Stopped: {error}", file=sys.stderr)
                return 1
    print(f"Written answers are left to a person: {waiting} of the solved submissions wait.")
    return int(faulty)


if __name__ == "__main__":
    sys.exit(main())
