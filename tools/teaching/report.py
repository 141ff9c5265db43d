"""The class report: what a class got right and which mistakes it made, as a page and a CSV.

Read from the autograded notebooks and the gradebook: `python -m tools.teaching.report COURSE` for
every assignment of the course. Names are left out unless `--names` asks for them.
"""

import argparse
import ast
import base64
import csv
import html
import importlib
import io
import re
import sys
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from pathlib import Path

import matplotlib as mpl
import nbformat
from matplotlib.figure import Figure
from nbformat import NotebookNode
from nbgrader import utils
from nbgrader.api import Gradebook, MissingEntry

from helpers.differences import State
from helpers.palette import GREEN, GREY, OCHRE
from helpers.verdict import COLORS
from tools.teaching import repair
from tools.teaching.grade import GradingError, configured

CALL = re.compile(r"^from helpers\.(\w+) import check$.*?^check\.(\w+)\(([\w, ]+)", re.M | re.S)
WORDS = {
    State.RIGHT: "right",
    State.WRONG: "wrong",
    State.MALFORMED: "malformed",
    State.RAISED: "raised",
    State.NOT_ATTEMPTED: "not attempted",
}
OPEN = 5  # mistakes of which the example is seen at once
STYLE = """body { font: 16px/1.5 sans-serif; max-width: 60em; margin: 2em auto; padding: 0 1em;
 color: #222; background: white } img { max-width: 100% } h2 { margin-top: 2em }
table { border-collapse: collapse } td, th { padding: 2px 12px; text-align: left;
 border-bottom: 1px solid #ccc } td.n { text-align: right }
pre { background: #f4f4f4; padding: 8px 12px; overflow-x: auto }
details { margin: 4px 0 12px } details details { margin-left: 1em } summary { cursor: pointer }
@media print { details::details-content { content-visibility: visible } }"""


@dataclass
class Exercise:
    """What a class made of one exercise in code."""

    name: str
    title: str
    answers: list[str]  # the functions asked for
    known: list[str]  # sentences that name a mistake
    states: dict[str, State] = field(default_factory=dict)  # by student
    mistakes: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))

    def add(self, student: str, check: NotebookNode, answer: NotebookNode, broken: dict) -> None:
        """Take in one student's answer, and what the check said of it.

        Args:
            student: whose it is.
            check: the cell of the check.
            answer: the cell of the answer.
            broken: the functions of this student's answers so far that are not right, each with
                the title of its exercise; those of this answer are added.
        """
        state, message = verdict(check, answer)
        self.states[student] = state
        if state is State.RIGHT:
            return
        below = [
            title for name, title in broken.items() if re.search(rf"\b{name}\(", answer.source)
        ]
        broken.update(dict.fromkeys(self.answers, self.title))
        if state is State.NOT_ATTEMPTED:
            return
        plain = " ".join(message.split())
        named = next((known for known in self.known if " ".join(known.split()) in plain), None)
        inherited = f"it calls the answer to {below[0]}, which is not right" if below else None
        self.mistakes[named or inherited or unnamed(message)].append(shown(answer.source))


def unnamed(message: str) -> str:
    """Return what a message says in its first line, without the input and its numbers."""
    line = re.sub(r"\[[^:]*\]", "…", message.strip()).partition("\n")[0]  # arrays fill lines
    line = re.sub(r"^(\w+: )?for .*?: (?!.*: expected)", r"\1", line)
    line = re.sub(r"-?\b\d[\d.]*(?:e[+-]?\d+)?\b(?!-)", "…", re.split(r"; |\. ", line)[0])
    if re.fullmatch(r".*expected …, received …", line):
        return "a wrong value that no known mistake explains"
    return line[:90]


def verdict(check: NotebookNode, answer: NotebookNode) -> tuple[State, str]:
    """Return how an answer stands by its check's outputs, and the message without its head."""
    errors = [output for output in check.outputs if output.output_type == "error"]
    if not errors:
        return State.RIGHT, ""
    said = errors[-1].evalue
    for state in State:
        if said.startswith(state.value):
            return state, said.partition("\n")[2]
    for output in answer.outputs:
        if output.output_type == "error":
            said = f"the cell of the answer ended in {output.ename}"
            return State.RAISED, said
    return State.RAISED, f"the check ended in {errors[-1].ename}: {said}"


def shown(source: str) -> str:
    """Return an answer without what may tell whose it is: comments and docstrings."""
    try:
        tree = ast.parse(source)
    except (SyntaxError, ValueError):  # before Python 3.12 a NUL was the latter
        return "(not Python: left out)"
    for node in ast.walk(tree):
        documented = ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef
        if isinstance(node, documented) and ast.get_docstring(node):
            node.body = node.body[1:] or [ast.Pass()]
    return ast.unparse(tree)


@dataclass
class Written:
    """What a class got for one written question."""

    name: str
    full: float
    blank: int = 0
    waiting: int = 0
    points: Counter = field(default_factory=Counter)  # how many have so many points


@dataclass
class Notebook:
    """What a class made of one notebook."""

    name: str
    exercises: dict[str, Exercise]
    written: dict[str, Written]
    students: list[str] = field(default_factory=list)
    ungraded: list[str] = field(default_factory=list)
    remarks: dict[str, list[str]] = field(default_factory=dict)  # by student


def gathered(course: Path, assignment: str) -> list[Notebook]:
    """Return what the class made of each notebook of an assignment."""
    notebooks = []
    with Gradebook(configured(course).CourseDirectory.db_url) as book:
        for path in sorted((course / "release" / assignment).glob("*.ipynb")):
            found = _empty(path)
            for folder in sorted((course / "submitted").glob(f"*/{assignment}")):
                student = folder.parent.name
                graded = course / "autograded" / student / assignment / path.name
                if not graded.is_file():
                    found.ungraded.append(student)
                    continue
                found.students.append(student)
                cells = nbformat.read(graded, as_version=4).cells
                found.remarks[student] = repair.remarks(cells)
                answer, broken = cells[0], {}
                for cell in cells:
                    if _id(cell) in found.exercises:
                        found.exercises[_id(cell)].add(student, cell, answer, broken)
                    elif utils.is_solution(cell):
                        answer = cell  # of the check that follows
                _count(book, assignment, found, student)
            notebooks.append(found)
    return notebooks


def _id(cell: NotebookNode) -> str:
    return cell.metadata.get("nbgrader", {}).get("grade_id", "")


def _empty(path: Path) -> Notebook:
    exercises, written = {}, {}
    for cell in nbformat.read(path, as_version=4).cells:
        if not utils.is_grade(cell):
            continue
        if utils.is_solution(cell):
            written[_id(cell)] = Written(_id(cell), cell.metadata.nbgrader.points)
        elif call := CALL.search(cell.source):
            check = getattr(importlib.import_module(f"helpers.{call[1]}.check"), call[2])
            known = [  # as the judge says it: of several functions it names the one first
                f"{task.name}: {sentence}" if check.tasks[1:] else sentence
                for task in check.tasks
                for sentence in task.mistakes
            ]
            answers = call[3].replace(",", " ").split()
            exercises[_id(cell)] = Exercise(_id(cell), check.title, answers, known)
    return Notebook(path.stem, exercises, written)


def _count(book: Gradebook, assignment: str, found: Notebook, student: str) -> None:
    for question in found.written.values():
        try:
            grade = book.find_grade(question.name, found.name, assignment, student)
        except MissingEntry:
            continue
        if grade.manual_score is not None:
            question.points[grade.manual_score] += 1
        elif grade.needs_manual_grade:
            question.waiting += 1
        else:
            question.blank += 1


def bars(rows: dict[str, dict[str, int]], colors: dict[str, str], alt: str) -> str:
    """Return a figure of stacked bars as an HTML image.

    Args:
        rows: by the label of a bar, how many of each kind.
        colors: by kind, in the order in which they are stacked.
        alt: the text that stands for it.
    """
    with mpl.rc_context(mpl.rcParamsDefault):
        figure = Figure(figsize=(9, 0.9 + 0.36 * len(rows)), layout="constrained")
        ax = figure.add_subplot()
        left = dict.fromkeys(rows, 0)
        for kind, color in colors.items():
            widths = [row.get(kind, 0) for row in rows.values()]
            drawn = ax.barh(list(rows), widths, left=list(left.values()), color=color, label=kind)
            labels = [width or "" for width in widths]
            ax.bar_label(drawn, labels, label_type="center", color="white", fontsize=9)
            left = {label: left[label] + n for label, n in zip(rows, widths, strict=True)}
        ax.invert_yaxis()
        ax.spines[["top", "right", "left"]].set_visible(False)
        ax.tick_params(axis="y", length=0)
        ax.xaxis.get_major_locator().set_params(integer=True)
        ax.set_xlabel("students")
        figure.legend(loc="outside upper left", ncols=len(colors), frameon=False)
        png = io.BytesIO()
        figure.savefig(png, dpi=110)
    data = base64.b64encode(png.getvalue()).decode()
    return f'<p><img alt="{html.escape(alt)}" src="data:image/png;base64,{data}"></p>'


def _told(counts: dict[str, dict[str, int]]) -> str:
    return ". ".join(
        f"{label}: " + ", ".join(f"{n} {kind}" for kind, n in row.items() if n)
        for label, row in counts.items()
    )


def page(assignment: str, notebooks: list[Notebook], names: bool) -> str:
    """Return the report as one HTML page."""
    parts = [f"<h1>Class report: {html.escape(assignment)}</h1>"]
    for notebook in notebooks:
        parts += _section(notebook, names)
    return (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
        f"<title>Class report: {html.escape(assignment)}</title><style>{STYLE}</style></head>"
        "<body>" + "\n".join(parts) + "</body></html>\n"
    )


def _section(notebook: Notebook, names: bool) -> list[str]:
    parts = [f"<h2>{html.escape(notebook.name)}</h2>"]
    parts.append(
        f"<p>{len(notebook.students)} graded, {len(notebook.ungraded)} handed in but not graded"
        + (f" ({html.escape(', '.join(notebook.ungraded))})" if names and notebook.ungraded else "")
        + ".</p>"
    )
    if not notebook.students:
        return [*parts, "<p>Nothing has been graded yet.</p>"]
    counts = {}
    for exercise in notebook.exercises.values():
        found = Counter(exercise.states.values())
        counts[exercise.title] = {word: found[state] for state, word in WORDS.items()}
    colors = {word: COLORS[state] for state, word in WORDS.items()}
    parts += ["<h3>Exercises in code</h3>", bars(counts, colors, _told(counts))]
    parts.append("<h3>What to explain</h3>")
    mistakes = [
        (len(examples), exercise.title, sentence, examples)
        for exercise in notebook.exercises.values()
        for sentence, examples in exercise.mistakes.items()
    ]
    mistakes.sort(key=lambda row: -row[0])
    once = sum(n == 1 for n, *_ in mistakes)
    for place, (n, title, sentence, examples) in enumerate(mistakes):
        if place == len(mistakes) - once:
            parts.append(f"<details><summary>{once} more, made once each</summary>")
        parts.append(
            f"<details{' open' * (place < OPEN)}><summary><strong>{n} ×</strong> "
            f"{html.escape(title)}: {html.escape(sentence)}</summary>"
            f"<pre>{html.escape(min(examples, key=len))}</pre></details>"
        )
    parts += ["</details>"] * (once > 0)
    if not mistakes:
        parts.append("<p>No mistakes.</p>")
    if notebook.written:
        rows = {
            f"{w.name.removeprefix('written-')} ({w.full:g} points)": {
                "graded": sum(w.points.values()),
                "waiting": w.waiting,
                "blank": w.blank,
            }
            for w in notebook.written.values()
        }
        colors = {"graded": GREEN, "waiting": OCHRE, "blank": GREY}
        parts += ["<h3>Written questions</h3>", bars(rows, colors, _told(rows))]
        for w in notebook.written.values():
            if w.points:
                said = ", ".join(f"{n} have {p:g}" for p, n in sorted(w.points.items())[::-1])
                name = html.escape(w.name.removeprefix("written-"))
                parts.append(f"<p>{name}: of {w.full:g} points {said}.</p>")
    counts: Counter[str] = Counter()
    for student, lines in notebook.remarks.items():
        short = [re.sub(r"'[^']*'", "", re.sub(r"^[\w-]+: ", "a cell: ", line)) for line in lines]
        counts.update([f"{student}: {line}" for line in lines] if names else set(short))
    if counts:
        items = "".join(f"<li>{n} × {html.escape(line)}</li>" for line, n in counts.most_common())
        parts.append(f"<h3>Repaired, or refused by the system</h3><ul>{items}</ul>")
    if names:
        parts.append("<h3>Students</h3><table><tr><th>student<th>right<th>not right</tr>")
        for student in notebook.students:
            of = [(e.title, e.states.get(student)) for e in notebook.exercises.values()]
            other = "; ".join(f"{t} ({WORDS[s]})" for t, s in of if s and s is not State.RIGHT)
            right = sum(state is State.RIGHT for _, state in of)
            parts.append(
                f'<tr><td>{html.escape(student)}<td class="n">{right}<td>{html.escape(other)}</tr>'
            )
        parts.append("</table>")
    return parts


def rows(notebooks: list[Notebook]) -> list[tuple[str, str, str, str, int]]:
    """Return the report as rows: notebook, exercise, what is counted, which one, how many."""
    found = []
    for notebook in notebooks:
        for e in notebook.exercises.values():
            counts = Counter(e.states.values())
            found += [(notebook.name, e.title, "state", WORDS[s], counts[s]) for s in WORDS]
            for sentence, examples in sorted(e.mistakes.items(), key=lambda item: -len(item[1])):
                found.append((notebook.name, e.title, "mistake", sentence, len(examples)))
        for w in notebook.written.values():
            found += [
                (notebook.name, w.name, "points", f"{p:g} of {w.full:g}", n)
                for p, n in sorted(w.points.items())
            ]
            found.append((notebook.name, w.name, "state", "waiting", w.waiting))
            found.append((notebook.name, w.name, "state", "blank", w.blank))
    return found


def write(course: Path, assignment: str, names: bool = False) -> Path:
    """Write the report of an assignment to `COURSE/reports/`; return the page's path."""
    notebooks = gathered(course, assignment)
    folder = course / "reports"
    folder.mkdir(exist_ok=True)
    path = folder / f"{assignment}.html"
    path.write_text(page(assignment, notebooks, names), encoding="utf-8")
    with open(folder / f"{assignment}.csv", "w", encoding="utf-8", newline="") as file:
        table = csv.writer(file)
        table.writerow(["notebook", "exercise", "what", "which", "students"])
        table.writerows(rows(notebooks))
    return path


def main(arguments: list[str] | None = None) -> int:
    """Write a course's reports; return 1 without a released assignment, 2 with wrong settings."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("course", type=Path, help="the course's folder")
    parser.add_argument("--names", action="store_true", help="name the students")
    options = parser.parse_args(arguments)
    assignments = sorted(path.name for path in (options.course / "release").glob("*"))
    try:
        for assignment in assignments:
            print(write(options.course, assignment, options.names))
    except GradingError as error:
        print(error, file=sys.stderr)
        return 2
    if not assignments:
        print(f"{options.course} has no released assignment", file=sys.stderr)
    return 0 if assignments else 1


if __name__ == "__main__":
    sys.exit(main())
