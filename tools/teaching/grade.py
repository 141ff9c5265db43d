"""Grade what a class handed in: repair, autograde in a sandbox, feedback, the class report.

`python -m tools.teaching.grade COURSE ASSIGNMENT` works on an nbgrader course: `source/ASSIGNMENT/`
holds the solution notebooks, `submitted/STUDENT/ASSIGNMENT/` what was collected. Each student is
graded alone, so that one who cannot be is listed by name and the others have their grades.
"""

import argparse
import fnmatch
import multiprocessing
import re
import sys
import warnings
from concurrent.futures import BrokenExecutor, ProcessPoolExecutor
from dataclasses import dataclass, field
from functools import cache, partial
from pathlib import Path

import loky
import nbformat
from nbgrader.apps import NbGraderAPI
from traitlets.config import Config
from traitlets.config.loader import PyFileConfigLoader

from tools.teaching import repair, sandbox

HERE = Path(__file__).resolve().parent
CONFIG = "nbgrader_config.py"


class GradingError(Exception):
    """The grading cannot start; the message says why."""


@dataclass
class Outcome:
    """What became of one submission: whether it was graded, and what the teacher should know."""

    student: str
    graded: bool = True
    notes: list[str] = field(default_factory=list)


def configured(course: Path, unsafe: bool = False) -> Config:
    """Return the course's settings; a course without any gets a file that takes in ours.

    Raises:
        GradingError: the course's own settings do not take in ours.
    """
    path = course / CONFIG
    line = f"load_subconfig({CONFIG!r}, path={str(HERE)!r})"
    if not path.exists():
        own = f"c = get_config()\nc.CourseDirectory.course_id = {course.resolve().name!r}\n"
        path.write_text(f"{line}\n{own}", encoding="utf-8")
    config = PyFileConfigLoader(CONFIG, path=str(course)).load_config()
    if config.Autograde.get("sanitize_preprocessors") != repair.SANITIZE:
        raise GradingError(f"{path} does not repair what was handed in; add this line:\n{line}")
    config.CourseDirectory.root = root = str(course.resolve())
    if "db_url" not in config.CourseDirectory:  # several processes write to it: they wait in turn
        config.CourseDirectory.db_url = f"sqlite:///{root}/gradebook.db?timeout=300"
    if unsafe:
        config.Execute.kernel_name = ""
        del config["KernelManager"]
    return config


def submission(folder: Path, wanted: list[str]) -> Outcome:
    """Return what can be told of a student's folder before it is graded."""
    outcome, names = Outcome(folder.parent.name), {path.name for path in folder.iterdir()}
    for name in sorted(names):
        if any(fnmatch.fnmatch(name, pattern) for pattern in repair.shadows()):
            outcome.notes.append(f"{name}: left aside, it would stand in a module's place.")
    for name in wanted:
        if name not in names:
            others = ", ".join(sorted(n for n in names if n.endswith(".ipynb"))) or "no notebook"
            outcome.notes.append(f"{name}: not handed in; there is {others}. PLEASE LOOK.")
    outcome.graded = any(name in names for name in wanted)
    return outcome


@cache
def _api(course: Path, unsafe: bool) -> NbGraderAPI:
    return NbGraderAPI(config=configured(course, unsafe))


def autograded(
    course: Path, assignment: str, unsafe: bool, again: bool, outcome: Outcome
) -> Outcome:
    """Return what became of a submission, graded and fed back; runs in a process of the pool."""
    warnings.simplefilter("ignore")  # nbgrader's, on how it speaks to its database
    if not outcome.graded:
        return outcome
    api = _api(course, unsafe)
    done = api.autograde(assignment, outcome.student, force=again)
    outcome.graded = done["success"]
    if not outcome.graded:
        reasons = re.findall(r"^ *([\w.]+(?:Error|Exception): .*)", done["log"], re.M)
        outcome.notes.append((reasons or done["log"].splitlines())[-1])
    for path in sorted((course / "autograded" / outcome.student / assignment).glob("*.ipynb")):
        outcome.notes += repair.remarks(nbformat.read(path, as_version=4).cells)
    if outcome.graded:
        api.generate_feedback(assignment, outcome.student)
    return outcome


def grade(
    course: Path, assignment: str, unsafe: bool = False, again: bool = False, jobs: int = 1
) -> list[Outcome]:
    """Grade each submission that has no grades yet, or all `again`; return what became of each.

    Raises:
        GradingError: there is nothing to grade by, nbgrader cannot release it, or a process died.
    """
    source = sorted((course / "source" / assignment).glob("*.ipynb"))
    if not source:
        raise GradingError(f"{course / 'source' / assignment} holds no notebook")
    api = _api(course, unsafe)
    if not (course / "release" / assignment).is_dir():
        made = api.generate_assignment(assignment)
        if not made["success"]:
            raise GradingError(made["log"])
    folders = sorted((course / "submitted").glob(f"*/{assignment}"))
    found = [submission(folder, [path.name for path in source]) for folder in folders]
    outcomes, work = [], partial(autograded, course, assignment, unsafe, again)
    try:
        with ProcessPoolExecutor(jobs, multiprocessing.get_context("spawn")) as pool:
            for outcome in pool.map(work, found):
                outcomes.append(outcome)
                said = "graded" if outcome.graded else "NOT GRADED"
                print(f"{outcome.student}: {said}", flush=True)
                print("".join(f"    {note}\n" for note in outcome.notes), end="", flush=True)
    except BrokenExecutor as error:
        raise GradingError(
            "a process that grades ended before its work did (memory may have been short); "
            "whoever is graded stays so: run this again, with ARGS=--jobs=1"
        ) from error
    return outcomes


def main(arguments: list[str] | None = None) -> int:
    """Grade and report; return 1 where someone could not be graded, 2 where nothing could."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("course", type=Path, help="the course's folder")
    parser.add_argument("assignment", help="such as 02_activation_derivatives")
    parser.add_argument("--unsafe", action="store_true", help="without a sandbox: see the guide")
    parser.add_argument("--again", action="store_true", help="also what is graded already")
    parser.add_argument("--jobs", type=int, default=loky.cpu_count(), help="students at once")
    parser.add_argument("--names", action="store_true", help="name the students in the report")
    options = parser.parse_args(arguments)
    if options.jobs < 1:
        parser.error(f"--jobs is {options.jobs}; give a number from 1 on")
    warnings.simplefilter("ignore")  # nbgrader's, on how it speaks to its database
    try:
        if not options.unsafe:
            sandbox.tried()
        outcomes = grade(
            options.course, options.assignment, options.unsafe, options.again, options.jobs
        )
    except sandbox.NoSandboxError as error:
        print(f"No sandbox: {error}.", file=sys.stderr)
        print("Students' code would run with your rights; --unsafe allows that.", file=sys.stderr)
        return 2
    except GradingError as error:
        print(error, file=sys.stderr)
        return 2
    from tools.teaching import report  # late: the processes above do without torch

    page = report.write(options.course, options.assignment, options.names)
    left = [outcome.student for outcome in outcomes if not outcome.graded]
    print(f"{len(outcomes) - len(left)} of {len(outcomes)} graded; the class report is {page}")
    if left:
        print(f"Not graded: {', '.join(left)}")
    return 1 if left else 0


if __name__ == "__main__":
    sys.exit(main())
