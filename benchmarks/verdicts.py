"""How true the checks' verdicts are: every solution is broken in many small ways and judged.

`python -m benchmarks.verdicts` mutates each reference solution (operators, constants by one,
comparisons, dropped statements and terms, swapped arguments, axes, transposes, absolute values,
signs, data types), judges each mutant with the seed of the check under the exercise and with those
of the hidden test, and calls it equivalent where ten more seeds find no difference either. It
prints by exercise how many mutants were tried, equivalent, caught and missed, each missed one with
its change, and how often the visible and the hidden verdict differ. `--rooms` and `--most` shorten
it, `--json PATH` writes the rows.
"""

import argparse
import ast
import json
import multiprocessing
import sys
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import numpy as np

from benchmarks.exercises import ROOMS, Exercise, exercises
from helpers.differences import State
from helpers.judge import HIDDEN

MORE = tuple(range(100, 110))  # seeds that decide whether a mutant is equivalent
MOST = 40  # mutants of an exercise
OPERATORS = {
    ast.Add: (ast.Sub,),
    ast.Sub: (ast.Add,),
    ast.Mult: (ast.Div, ast.Add),
    ast.Div: (ast.Mult, ast.FloorDiv),
    ast.Pow: (ast.Mult,),
    ast.MatMult: (ast.Mult,),
    ast.FloorDiv: (ast.Div,),
    ast.Lt: (ast.LtE, ast.Gt),
    ast.LtE: (ast.Lt, ast.GtE),
    ast.Gt: (ast.GtE, ast.Lt),
    ast.GtE: (ast.Gt, ast.LtE),
    ast.Eq: (ast.NotEq,),
    ast.NotEq: (ast.Eq,),
    ast.And: (ast.Or,),
    ast.Or: (ast.And,),
    ast.USub: (ast.UAdd,),
}
NAMES = {
    "sum": "mean",
    "mean": "sum",
    "max": "min",
    "min": "max",
    "maximum": "minimum",
    "minimum": "maximum",
    "log10": "log",
    "log": "log10",
    "abs": "negative",
    "zeros": "ones",
    "ones": "zeros",
    "float64": "float32",
    "cumprod": "cumsum",
    "argmax": "argmin",
    "std": "var",
    "sqrt": "square",
}


def mutants(source: str) -> Iterator[tuple[str, str]]:
    """Yield the sources that differ from this one in one small way, each with its change."""
    originals = list(ast.walk(ast.parse(source)))
    seen = {ast.unparse(originals[0])}
    for place, original in enumerate(originals):
        for change in range(6):
            mutant = ast.parse(source)  # sooner made than copied
            node = list(ast.walk(mutant))[place]
            said = _change(mutant, node, change)
            if said is None:
                continue
            before = f"{ast.unparse(original)} -> " if isinstance(original, ast.expr) else ""
            text = ast.unparse(ast.fix_missing_locations(mutant))
            if text not in seen:
                seen.add(text)
                yield text, f"line {getattr(node, 'lineno', '?')}: {before}{said}"


def _change(tree: ast.AST, node: ast.AST, change: int) -> str | None:
    """Change the node in place in the way of that number; return how, None if there is none."""
    if isinstance(node, (ast.BinOp, ast.UnaryOp, ast.BoolOp)):
        others = OPERATORS.get(type(node.op), ())
        if change < len(others):
            node.op = others[change]()
            return ast.unparse(node)
        if isinstance(node, ast.BinOp) and change in (2, 3):  # a term dropped
            kept = node.left if change == 2 else node.right
            return _put(tree, node, kept)
        if isinstance(node, ast.BinOp) and change == 4 and isinstance(node.op, (ast.Sub, ast.Div)):
            node.left, node.right = node.right, node.left
            return ast.unparse(node)
    elif isinstance(node, ast.Compare):
        others = OPERATORS.get(type(node.ops[0]), ())
        if change < len(others):
            node.ops[0] = others[change]()
            return ast.unparse(node)
    elif isinstance(node, ast.Constant) and type(node.value) in (int, float):
        changed = [node.value + 1, node.value - 1, -node.value, 2 * node.value]
        if change < len(changed):
            node.value = changed[change]
            return repr(node.value)
    elif isinstance(node, ast.Constant) and isinstance(node.value, bool) and change == 0:
        node.value = not node.value
        return repr(node.value)
    elif isinstance(node, ast.Attribute) and change == 0 and node.attr in NAMES:
        node.attr = NAMES[node.attr]
        return ast.unparse(node)
    elif isinstance(node, ast.Attribute) and change == 0 and node.attr in ("T", "mT"):
        return _put(tree, node, node.value)
    elif isinstance(node, ast.Call):
        if change == 0 and len(node.args) > 1:
            node.args[0], node.args[1] = node.args[1], node.args[0]
            return ast.unparse(node)
        if change == 1 and node.keywords:
            del node.keywords[0]
            return ast.unparse(node)
        if change == 2 and len(node.args) == 1:  # the function dropped
            return _put(tree, node, node.args[0])
    elif hasattr(node, "body") and isinstance(node.body, list) and change < len(node.body):
        statement = node.body[change]
        simple = (ast.Assign, ast.AugAssign, ast.Expr, ast.If, ast.For)
        documents = isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant)
        if isinstance(statement, simple) and not documents and len(node.body) > 1:
            del node.body[change]
            return f"without {ast.unparse(statement)}"
    return None


def _put(tree: ast.AST, old: ast.AST, new: ast.AST) -> str | None:
    for parent in ast.walk(tree):
        for field, value in ast.iter_fields(parent):
            if value is old:
                setattr(parent, field, new)
                return ast.unparse(new)
            if isinstance(value, list) and any(part is old for part in value):
                value[next(i for i, part in enumerate(value) if part is old)] = new
                return ast.unparse(new)
    return None


def right(exercise: Exercise, source: str, seeds: tuple[int, ...]) -> bool:
    """Whether the answer that the source defines is judged right with these seeds."""
    try:
        answers = exercise.made(source)
    except Exception:  # noqa: BLE001 - a mutant may do anything
        return False
    return exercise.check.verdict(*answers, seeds=seeds).state is State.RIGHT


def measured(exercise: Exercise, most: int = MOST, more: tuple[int, ...] = MORE) -> dict:
    """Return one exercise's row: numbers of mutants, and the changes that were missed."""
    found = list(mutants(exercise.solution))
    if len(found) > most:
        picked = np.random.default_rng(0).choice(len(found), most, replace=False)
        found = [found[i] for i in sorted(picked)]
    row = {"exercise": exercise.check.title, "tried": len(found), "equivalent": 0, "caught": 0}
    row |= {"differ": 0, "missed": []}
    for source, change in found:
        visible = right(exercise, source, (0,))
        hidden = right(exercise, source, HIDDEN) if visible else False
        if not visible:
            row["caught"] += 1
        elif hidden and right(exercise, source, more):
            row["equivalent"] += 1
        else:
            row["missed"].append(change)
            row["differ"] += visible != hidden
    return row


def _work(room: str, name: str, most: int) -> dict:
    return measured(exercises(room)[name], most)


def main() -> int:
    """Measure the rooms asked for and print the table; exit status 1 where over 1 % is missed."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rooms", nargs="+", choices=ROOMS, default=list(ROOMS))
    parser.add_argument("--most", type=int, default=MOST, help="mutants of an exercise")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    tasks = [(room, name) for room in options.rooms for name in exercises(room)]
    spawn = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(mp_context=spawn) as pool:
        rows = list(pool.map(_work, *zip(*tasks, strict=True), [options.most] * len(tasks)))
    print(f"{'exercise':46s} tried equivalent caught missed")
    for row in rows:
        print(f"{row['exercise']:46.46s} {row['tried']:5d} {row['equivalent']:10d} "
              f"{row['caught']:6d} {len(row['missed']):6d}")  # fmt: skip
        for change in row["missed"]:
            print(f"    missed: {change}")
    tried, equivalent, missed, differ = (
        sum(column)
        for column in zip(
            *((r["tried"], r["equivalent"], len(r["missed"]), r["differ"]) for r in rows),
            strict=True,
        )
    )
    real = tried - equivalent
    print(f"{tried} mutants, {equivalent} equivalent; {missed} of {real} missed "
          f"({missed / real:.1%}); visible and hidden verdicts differ for {differ}")  # fmt: skip
    if options.json:
        options.json.parent.mkdir(parents=True, exist_ok=True)
        options.json.write_text(json.dumps(rows, indent=1), encoding="utf-8")
    return int(missed > 0.01 * real)


if __name__ == "__main__":
    sys.exit(main())
