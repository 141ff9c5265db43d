"""A made-up class: who answered what, what each deserves, and what became of the files.

`python -m tests.teaching.made_up COURSE 40 02_activation_derivatives` fills a course with it.
"""

import copy
import importlib
import json
import random
import sys
from functools import cache
from itertools import islice
from pathlib import Path

import nbformat
from nbformat.v4 import new_code_cell, new_markdown_cell

from benchmarks.exercises import ROOMS, exercises, solved
from benchmarks.verdicts import mutants
from helpers.differences import State
from helpers.judge import HIDDEN, VISIBLE
from tests.judging import whole as as_function
from tools import release

WRITTEN = "The gradient is a product of many factors, and each is small."
REPAIRED = ("check deleted", "split", "duplicated", "Markdown", "moved", "retyped")
REPAIRED += ("metadata lost", "metadata and ids lost")
HARMLESS = ("Colab", "VS Code", "another kernel", "helpers.py beside", "exit()", "noise on stderr")
OFTEN = {State.RIGHT: 60, "named": 22, State.WRONG: 4, State.MALFORMED: 3, State.RAISED: 3, None: 8}
NOISE = "print('look', file=__import__('sys').stderr)"


@cache
def told(room):
    """Return answers by exercise and by what its check says of them, those with a name apart."""
    cases, found = importlib.import_module(f"tests.{room}.cases"), {}
    for name, exercise in exercises(room).items():
        mistakes = [sentence for task in exercise.check.tasks for sentence in task.mistakes]
        wrong = [source for source, _ in cases.WRONG.get(name, [])]
        sources = [exercise.solution, *cases.RIGHT[name], *wrong]
        sources += [source for source, _ in islice(mutants(exercise.solution), 40)]
        found[name] = {}
        for source in sources:
            answer = as_function(exercise, source)
            if not all(f"{part}(" in answer or f"{part} =" in answer for part in exercise.answers):
                answer = f"{exercise.solution}\n\n\n{answer}"  # the rest is the solution's
            verdict = exercise.check.verdict(*exercise.made(answer))
            named = next((known for known in mistakes if known in verdict.message), None)
            kind = found[name].setdefault("named" if named else verdict.state, {})
            kind.setdefault(named or source, answer)
    return found


def answers(room, rng):
    """Return a student's answers by the names of their checks; where it is blank, none."""
    found = {}
    for name, kinds in told(room).items():
        kind = rng.choices(list(OFTEN), OFTEN.values())[0]
        if kind:
            several = [*kinds.get(kind, kinds[State.WRONG]).values()]
            common = [1 / place for place in range(1, len(several) + 1)]
            found[name] = rng.choices(several, common)[0]
    return found


def deserved(room, given):
    """Return which checks pass where all answers stand in one namespace."""
    known, right = exercises(room), set()
    own = {name for exercise in known.values() for name in exercise.answers}
    space = {name: value for name, value in solved(room).items() if name not in own}
    for name, exercise in known.items():
        try:
            exec(compile(given.get(name, exercise.stub), f"<{name}>", "exec"), space)
            asked = [space[answer] for answer in exercise.answers]
        except Exception:  # noqa: BLE001 - a student's cell may fail
            continue
        verdicts = (exercise.check.verdict(*asked, seeds=seeds) for seeds in (VISIBLE, HIDDEN))
        if all(verdict.state is State.RIGHT for verdict in verdicts):
            right.add(name)
    return right


def handed_in(source, given):
    """Return the released notebook of the solution at `source`, with a student's answers."""
    notebook = nbformat.reads(release.released(source), as_version=4)
    for cell, check in zip(notebook.cells, [*notebook.cells[1:], None], strict=True):
        if not cell.metadata.get("nbgrader", {}).get("solution"):
            continue
        if cell.cell_type == "markdown":
            cell.source = WRITTEN if given else cell.source
        else:
            name = check.source.partition("check.")[2].partition("(")[0]
            cell.source = given.get(name, cell.source)
    return notebook


def damage(kind, notebook, folder, name):
    """Do to the notebook, or to its folder, what students do; the answer `name` bears the brunt."""
    cells, place = notebook.cells, [cell.id for cell in notebook.cells].index(name)
    cell, lines = cells[place], cells[place].source.splitlines()
    match kind:
        case "check deleted":
            del cells[place + 1]
        case "split":
            cells.insert(place + 1, copy.deepcopy(cell))
            cell.source = "\n".join(lines[: len(lines) // 2])
            cells[place + 1].update(id="half", source="\n".join(lines[len(lines) // 2 :]))
        case "duplicated":
            cells.insert(place, copy.deepcopy(cell))
            cells[place].update(id="first-try", source="def broken(:")
        case "Markdown":
            cells[place] = new_markdown_cell(cell.source, metadata=cell.metadata, id=cell.id)
        case "moved":
            cells.append(cells.pop(place))
        case "retyped":
            cells[place] = new_code_cell(cell.source)
        case "metadata lost" | "metadata and ids lost":
            notebook.metadata = {}
            for cell in cells:
                cell.metadata = {}
        case "VS Code":
            notebook.metadata = {"language_info": {"name": "python", "version": "3.12.1"}}
            cell.metadata["vscode"] = {"languageId": "python"}
        case "Colab":
            notebook.metadata = {"colab": {}, "kernelspec": {"name": "python3"}}
            for i, cell in enumerate(cells):
                cell.metadata |= {"id": f"x{i:03}", "colab": {"base_uri": "there"}}
        case "another kernel":
            notebook.metadata.kernelspec = {"name": "my-conda", "display_name": "Mine"}
        case "helpers.py beside":
            (folder / "helpers.py").write_text("raise ImportError('not the package')\n")
        case "exit()":
            cell.source += "\n\nexit()"
        case "noise on stderr":  # from here on before every cell, the checks included
            event = f"get_ipython().events.register('pre_run_cell', lambda info: {NOISE})"
            cells.insert(place, new_code_cell(event))
        case _:
            raise ValueError(kind)
    if kind in ("metadata and ids lost", "Colab"):
        notebook.nbformat_minor = 0
        for cell in cells:
            del cell["id"]


def put_source(course, name, assignment=""):
    """Write a solution's first cell and its exercises, each with the text above; return the path.

    The assignment bears the notebook's name unless another is given.
    """
    path = course / "source" / (assignment or name) / f"{name}.ipynb"
    path.parent.mkdir(parents=True, exist_ok=True)
    solution = nbformat.read(ROOMS[name[3:]], as_version=4)
    cells = solution.cells
    graded = [i for i, cell in enumerate(cells) if "nbgrader" in cell.metadata]
    first = next(i for i, cell in enumerate(cells) if cell.cell_type == "code")
    above = [i - 1 for i in graded if cells[i - 1].cell_type == "markdown"]
    solution.cells = [cells[i] for i in sorted({first, *graded, *above})]
    path.write_text(nbformat.writes(solution), encoding="utf-8")
    return path


def hand_in(course, student, name, notebook, assignment=""):
    """Write a student's notebook to the course; return its folder."""
    folder = course / "submitted" / student / (assignment or name)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{name}.ipynb").write_text(nbformat.writes(notebook), encoding="utf-8")
    return folder


def fill(course, students, name, damages=REPAIRED + HARMLESS):
    """Write a class's submissions over a short form of a notebook; return what each deserves.

    The first submissions are damaged, one by each of `damages`; the 20th hands in a blank one.
    """
    room, due, source = name[3:], {}, put_source(course, name)
    for i in range(students):
        rng = random.Random(i)
        given = answers(room, rng) if i != 19 else {}
        right, notebook = deserved(room, given), handed_in(source, given)
        folder = hand_in(course, f"s{i:02}", name, notebook)
        if i < len(damages):
            ids = {cell.source: cell.id for cell in notebook.cells}
            damage(damages[i], notebook, folder, ids[given[rng.choice(sorted(right))]])
            hand_in(course, f"s{i:02}", name, notebook)
        due[f"s{i:02}"] = sorted(right)
    return due


if __name__ == "__main__":
    folder, students, name = sys.argv[1:]
    due = fill(Path(folder), int(students), name)
    Path(folder, "deserved.json").write_text(json.dumps(due), encoding="utf-8")
