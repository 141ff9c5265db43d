"""Proves that grading works, with real nbgrader courses in a temporary folder: `make grade-demo`.

For each solution notebook a course is made, the assignment generated, and three submissions
autograded: untouched, solved, and half solved. The scores must be 0, full, and what the table
`HALF_SOLVED` says that the third deserves. Only autograded points are compared; written answers
wait for a person to grade them.

The notebooks run with QUICK_RUN=1, as an instructor would autograde them: nbgrader gives a cell
30 seconds by default (60 here), and a line on stderr in a test cell costs all its points.
"""

import argparse
import csv
import os
import re
import subprocess
import sys
import tempfile
import textwrap
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import nbformat
from nbformat import NotebookNode
from nbgrader import utils
from nbgrader.api import Gradebook

ROOT = Path(__file__).resolve().parent.parent
SOLUTIONS = ROOT / "notebooks" / "solutions"
STUDENTS = ("untouched", "solved", "half-solved")
CONFIG = "c = get_config()\nc.CourseDirectory.course_id = 'demo'\nc.Execute.timeout = 60\n"
REGION = re.compile(r"^[ \t]*### BEGIN SOLUTION\n(.*?)^[ \t]*### END SOLUTION", re.M | re.S)
STUB = re.compile(r"^([ \t]*)# YOUR CODE HERE\n\1raise NotImplementedError\(\)$", re.M)


@dataclass(frozen=True)
class Half:
    """A half-solved submission, by the exercises' grade ids; the rest is left untouched.

    Attributes:
        right: exercises that are answered as in the solution.
        wrong: for each other exercise that is answered, the code that takes the stub's place, or
            a tuple of as many as the cell has stubs. It scores 0.
    """

    right: frozenset[str]
    wrong: Mapping[str, str | tuple[str, ...]]


HALF_SOLVED = {
    "01_relu_approximation": Half(
        right=frozenset({"steepest-slope", "square-net", "best-line", "plot-errors"}),
        wrong={
            # a grid of points misses the exact place of the largest error
            "exact-error": """\
x = np.linspace(0, 1, 1001)
g = W2 @ np.maximum(W1 * x + b1[:, None], 0) + b2
return np.abs(x**2 - g[0]).max()""",
            # the biases of earlier layers are lost
            "collapse": """\
A = np.ones((1, 1))
for W in weights:
    A = W @ A
return A.item(), biases[-1].item()""",
            # touches the parabola from above instead of straddling it
            "pieces-net": """\
h = 1 / units
W2 = np.full((1, units), 2 * h)
W2[0, 0] = h
return np.ones((units, 1)), -h * np.arange(units), W2, np.zeros(1)""",
        },
    ),
    "02_activation_derivatives": Half(
        right=frozenset({"central-difference", "relu", "sigmoid", "tanh", "plot-unit"}),
        wrong={
            # z where s belongs
            "sigmoid-derivative": "return sigmoid(z) * (1 - z)",
            # the chain rule's factor β is missing
            "swish": (
                "return z * sigmoid(beta * z)",
                "t = sigmoid(beta * z)\nreturn t + z * t * (1 - t)",
            ),
            # the argument c is not used
            "leaky-relu": "return np.where(z > 0, 1.0, 0.01)",
        },
    ),
    "03_mnist_comparison": Half(
        right=frozenset({"draw_digits", "mish", "build_network", "displayed"}),
        wrong={
            # the validation part from the wrong end
            "split_examples": """\
cut = used // 5
return x[cut:used], y[cut:used], x[:cut], y[:cut]""",
            # no gradient for β
            "swish": (
                "ctx.save_for_backward(z, beta)\nreturn z * torch.sigmoid(beta * z)",
                """\
z, beta = ctx.saved_tensors
s = torch.sigmoid(beta * z)
return grad_output * (s + beta * z * s * (1 - s)), None""",
            ),
            # takes the highest accuracy, whatever its standard error
            "choose_rate": """\
best = int(np.argmax(curves["validation_accuracy"][:, -1]))
return rates[best], best in (0, len(rates) - 1)""",
        },
    ),
    "04_numerical_stability": Half(
        right=frozenset(
            {"predictions", "log-variance", "plot-magnitudes", "layer-gradients", "sigmoid-map"}
        ),
        wrong={
            # the variance where the standard deviation belongs
            "xavier": (
                "return rng.normal(0, 2 / (fan_in + fan_out), size=(fan_out, fan_in))",
                "d = np.sqrt(6 / (fan_in + fan_out))\n"
                "return rng.uniform(-d, d, size=(fan_out, fan_in))",
            ),
            # fan_in where the mean of fan_in and fan_out belongs
            "kaiming": (
                "return rng.normal(0, np.sqrt(2 / fan_in), size=(fan_out, fan_in))",
                "d = np.sqrt(6 / fan_in)\nreturn rng.uniform(-d, d, size=(fan_out, fan_in))",
            ),
            # n - 1 degrees of freedom
            "relu-moments": """\
a = np.maximum(z, 0)
size = np.mean(z**2)
return np.mean(a**2) / size, np.var(a, ddof=1) / size""",
        },
    ),
    "05_gradient_bounds": Half(
        right=frozenset({"backward", "spectral-norm", "edges", "chain"}),
        wrong={
            # the Frobenius norm is a bound too, but not this one
            "upper-bound": """\
bound = np.linalg.norm(x) * np.linalg.norm(output_gradient)
for d, W in zip(slopes, weights[1:]):
    bound *= np.abs(d).max() * np.linalg.norm(W)
return bound""",
            # a layer that widens has a null space
            "lower-bound": """\
bound = np.linalg.norm(x) * np.linalg.norm(output_gradient)
for d, W in zip(slopes, weights[1:]):
    bound *= np.abs(d).min() * np.linalg.svd(W)[1].min()
return bound""",
            # the biases do not decay
            "weight-decay": """\
return losses.mean() + decay * sum((p**2).sum() for p in [*weights, *biases])""",
        },
    ),
}


class DemoError(Exception):
    """The demonstration cannot go on; the message says why."""


@dataclass
class Report:
    """What grading one notebook gave.

    Attributes:
        name: the notebook's name.
        full: points of each autograded cell.
        deserved: for each student, the points of each autograded cell that are due.
        scores: for each student, the points of each autograded cell that nbgrader gave.
        waiting: for each student, the written answers that wait for a person.
        faults: sentences on what is not as it should be.
        seconds: how long it all took.
    """

    name: str
    full: dict[str, float]
    deserved: dict[str, dict[str, float]]
    scores: dict[str, dict[str, float]] = field(default_factory=dict)
    waiting: dict[str, list[str]] = field(default_factory=dict)
    faults: list[str] = field(default_factory=list)
    seconds: float = 0.0

    def __str__(self) -> str:
        """Return the notebook's line of the table, and what is wrong below it."""
        full = sum(self.full.values())
        cells = [f"{sum(self.scores[s].values()):g} of {full:g}" for s in STUDENTS]
        verdict = "not as deserved" if self.faults else "as deserved"
        line = f"{self.name:<28}" + "".join(f"{cell:>14}" for cell in cells)
        line += f"   {verdict} ({self.seconds:.0f} s)"
        return "\n".join([line, *(f"    {fault}" for fault in self.faults)])


# --- the three submissions -----------------------------------------------------------------------


def exercises(notebook: NotebookNode) -> dict[str, NotebookNode]:
    """Returns the cells with an answer in code, by grade id."""
    return {
        cell.metadata.nbgrader.grade_id: cell
        for cell in notebook.cells
        if cell.cell_type == "code" and utils.is_solution(cell)
    }


def answers_of(source: str) -> list[str]:
    """Returns the solutions in a cell of a solution notebook, without their indentation."""
    return [textwrap.dedent(region).rstrip("\n") for region in REGION.findall(source)]


def filled(stubs: str, answers: Sequence[str]) -> str:
    """Returns a student's cell with answers in place of the stubs.

    Raises:
        DemoError: there are not as many answers as stubs.
    """
    found = len(STUB.findall(stubs))
    if found != len(answers):
        raise DemoError(f"{len(answers)} answers for {found} stubs in the cell\n{stubs}")
    todo = iter(answers)
    return STUB.sub(lambda stub: textwrap.indent(next(todo), stub[1]), stubs)


def submission(
    released: NotebookNode, solution: NotebookNode, answers: Mapping[str, Sequence[str]]
) -> NotebookNode:
    """Returns the released notebook with these answers, by grade id, filled in."""
    notebook = nbformat.from_dict(released)
    cells = exercises(notebook)
    unknown = set(answers) - set(cells)
    if unknown:
        raise DemoError(f"no exercise {sorted(unknown)[0]!r}; choose from {', '.join(cells)}")
    for name, texts in answers.items():
        cells[name].source = filled(cells[name].source, texts)
    if answers.keys() >= cells.keys():  # whoever solves all of it writes the essays as well
        essays = {c.metadata.nbgrader.grade_id: c for c in solution.cells if utils.is_solution(c)}
        for cell in notebook.cells:
            if utils.is_solution(cell) and cell.cell_type == "markdown":
                cell.source = essays[cell.metadata.nbgrader.grade_id].source
    return notebook


def submissions(
    released: NotebookNode, solution: NotebookNode, half: Half
) -> dict[str, NotebookNode]:
    """Returns what each of the three students hands in."""
    solved = {name: answers_of(cell.source) for name, cell in exercises(solution).items()}
    unknown = (half.right | half.wrong.keys()) - solved.keys()
    if unknown:
        raise DemoError(f"no exercise {sorted(unknown)[0]!r}; choose from {', '.join(solved)}")
    mistakes = {k: (v,) if isinstance(v, str) else v for k, v in half.wrong.items()}
    right = {name: solved[name] for name in half.right}
    answers: dict[str, Mapping] = {
        "untouched": {},
        "solved": solved,
        "half-solved": right | mistakes,
    }
    return {name: submission(released, solution, answers[name]) for name in STUDENTS}


def deserved(full: Mapping[str, float], half: Half) -> dict[str, dict[str, float]]:
    """Returns the points of each autograded cell that each of the three students deserves."""
    return {
        "untouched": dict.fromkeys(full, 0.0),
        "solved": dict(full),
        "half-solved": {
            check: points if check.removeprefix("check-") in half.right else 0.0
            for check, points in full.items()
        },
    }


# --- the course ----------------------------------------------------------------------------------


def nbgrader(course: Path, *arguments: str) -> None:
    """Runs an nbgrader command in the course's folder, untouched by the user's own settings.

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


def save(notebook: NotebookNode, path: Path) -> None:
    """Writes the notebook to `path`, folders included."""
    path.parent.mkdir(parents=True, exist_ok=True)
    nbformat.write(notebook, path)


def read_grades(course: Path, report: Report) -> None:
    """Reads from the course's gradebook what nbgrader gave, and compares it with its export."""
    with (course / "grades.csv").open(newline="", encoding="utf-8") as file:
        exported = {row["student_id"]: float(row["score"]) for row in csv.DictReader(file)}
    with Gradebook(f"sqlite:///{(course / 'gradebook.db').as_posix()}") as gradebook:
        for student in STUDENTS:
            grades = gradebook.find_submission_notebook(report.name, report.name, student).grades
            report.waiting[student] = [g.name for g in grades if g.needs_manual_grade]
            report.scores[student] = {
                g.name: g.auto_score or 0.0 for g in grades if g.name in report.full
            }
            total = sum(report.scores[student].values())
            if exported[student] != total:
                report.faults.append(
                    f"{student}: the export says {exported[student]:g}, the gradebook {total:g}"
                )


def compare(report: Report, written: Sequence[str]) -> None:
    """Notes every autograded cell that scored other than deserved, and essays not waiting."""
    for student in STUDENTS:
        for cell, points in report.deserved[student].items():
            got = report.scores[student].get(cell)
            if got != points:
                report.faults.append(f"{student}: {cell} deserves {points:g}, got {got}")
        waiting = sorted(written) if student == "solved" else []
        if sorted(report.waiting[student]) != waiting:
            report.faults.append(
                f"{student}: waiting for a person are {report.waiting[student]}, not {waiting}"
            )


def look_through(report: Report, autograded: Path) -> None:
    """Notes cells that ran out of time, and in the solved notebook errors and stderr."""
    for student in STUDENTS:
        path = autograded / student / report.name / f"{report.name}.ipynb"
        for number, cell in enumerate(nbformat.read(path, as_version=4).cells):
            for output in cell.get("outputs", []):
                name = output.get("ename") or output.get("name")
                if name == "CellTimeoutError" or (
                    student == "solved" and (output.output_type == "error" or name == "stderr")
                ):
                    said = output.get("evalue") or output.get("text", "")
                    report.faults.append(f"{student}: cell {number} ends in {name}: {said}")


def grade(path: Path, course: Path, half: Half) -> Report:
    """Grades three submissions of the solution notebook at `path` in a new course.

    Args:
        path: the solution notebook.
        course: folder for the course; it is made, and left as it is after grading.
        half: what the half-solved submission holds.
    """
    start, name = time.monotonic(), path.stem
    solution = nbformat.read(path, as_version=4)
    graded = [cell for cell in solution.cells if utils.is_grade(cell)]
    full = {
        cell.metadata.nbgrader.grade_id: float(cell.metadata.nbgrader.points)
        for cell in graded
        if not utils.is_solution(cell)
    }
    written = [c.metadata.nbgrader.grade_id for c in graded if utils.is_solution(c)]
    report = Report(name, full, deserved(full, half))

    save(solution, course / "source" / name / path.name)
    (course / "nbgrader_config.py").write_text(CONFIG, encoding="utf-8")
    nbgrader(course, "generate_assignment", name)
    released = nbformat.read(course / "release" / name / path.name, as_version=4)
    for student, notebook in submissions(released, solution, half).items():
        save(notebook, course / "submitted" / student / name / path.name)
    nbgrader(course, "autograde", name)
    nbgrader(course, "export", "--to=grades.csv")

    read_grades(course, report)
    compare(report, written)
    look_through(report, course / "autograded")
    report.seconds = time.monotonic() - start
    return report


def grade_all(paths: Sequence[Path], folder: Path, jobs: int = 2) -> Iterator[Report]:
    """Grades the notebooks, `jobs` of them at a time, each in a course of its own in `folder`.

    Yields:
        The report on each notebook, in their order.

    Raises:
        DemoError: a notebook is not in `HALF_SOLVED`, or nbgrader failed.
    """
    for path in paths:
        if path.stem not in HALF_SOLVED:
            raise DemoError(f"{path.stem} has no half-solved submission; add one to HALF_SOLVED")
    with ThreadPoolExecutor(jobs) as pool:
        yield from pool.map(lambda p: grade(p, folder / p.stem, HALF_SOLVED[p.stem]), paths)


def main(arguments: list[str] | None = None) -> int:
    """Prints the scores of the three submissions; returns 1 where one is not as deserved."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", help="such as 02; all, if none is given")
    parser.add_argument("--from", dest="source", type=Path, default=SOLUTIONS, metavar="FOLDER")
    parser.add_argument("--jobs", type=int, default=2, help="notebooks graded at a time")
    options = parser.parse_args(arguments)

    paths = sorted(options.source.glob("*.ipynb"))
    unknown = [name for name in options.names if not any(p.stem.startswith(name) for p in paths)]
    if unknown or not paths:
        parser.error(f"no notebook {unknown or ''}; there are {[p.stem for p in paths]}")
    if options.names:
        paths = [path for path in paths if path.stem.startswith(tuple(options.names))]
    print(f"{'autograded points':<28}" + "".join(f"{student:>14}" for student in STUDENTS))
    reports = []
    try:
        with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
            for report in grade_all(paths, Path(folder), options.jobs):
                print(report, flush=True)
                reports.append(report)
    except DemoError as error:
        print(f"Stopped: {error}", file=sys.stderr)
        return 1
    waiting = sum(len(report.waiting["solved"]) for report in reports)
    print(f"Written answers are left to a person: {waiting} of the solved submissions wait.")
    return 1 if any(report.faults for report in reports) else 0


if __name__ == "__main__":
    sys.exit(main())
