"""The judge, by every exercise of a room: stubs, right answers, named mistakes, wrong answers.

A room's test_check.py imports all of this and names its room; `RIGHT` and `WRONG` stand in its
cases.py, as sources written as students would; one that ends in a `return` is a function's body.
"""

import ast
import importlib
import random
import textwrap
import warnings
from dataclasses import replace

import matplotlib as mpl
import numpy as np
import pytest
import torch
from matplotlib import pyplot as plt

from benchmarks import verdicts
from benchmarks.exercises import exercises
from helpers.calling import own_state, warm_up
from helpers.differences import Finding, State, difference
from helpers.judge import HIDDEN, VISIBLE

warm_up()  # what a check does before its time starts
SEEDS = range(10)


def cases(room):
    return importlib.import_module(f"tests.{room}.cases")


def pytest_generate_tests(metafunc):
    """Give each test the room's exercises, and its right or wrong answers where it takes them."""
    room, known = metafunc.module.ROOM, exercises(metafunc.module.ROOM)
    if "answer" in metafunc.fixturenames:
        found = cases(room).WRONG if "wrong" in metafunc.function.__name__ else cases(room).RIGHT
        each = [(known[name], answer) for name in found for answer in found[name]]
        names = [f"{name}-{i}" for name in found for i in range(len(found[name]))]
        metafunc.parametrize(("exercise", "answer"), each, ids=names)
    elif "exercise" in metafunc.fixturenames:
        metafunc.parametrize("exercise", known.values(), ids=known)
    elif "room" in metafunc.fixturenames:
        metafunc.parametrize("room", [room])


def whole(exercise, source):
    """Put a body under the heading that the exercise's function has in the solution."""
    if not isinstance(ast.parse(source).body[-1], ast.Return):
        return source
    (asked,) = ast.parse(exercise.solution).body
    heading = f"def {asked.name}({ast.unparse(asked.args)}):\n"
    return heading + textwrap.indent(source, "    ")


def judged(exercise, source, seeds=VISIBLE):
    return exercise.check.verdict(*exercise.made(whole(exercise, source)), seeds=seeds)


def test_every_check_has_its_exercise_and_its_right_answers(room):
    checks = importlib.import_module(f"helpers.{room}.check").checklist.checks
    assert [e.check for e in exercises(room).values()] == checks
    assert set(cases(room).RIGHT) == set(exercises(room)) >= set(cases(room).WRONG)


def test_a_stub_is_not_attempted_and_the_solution_is_right(exercise):
    assert judged(exercise, exercise.stub).state is State.NOT_ATTEMPTED
    for seeds in (VISIBLE, HIDDEN):
        verdict = judged(exercise, exercise.solution, seeds)
        assert verdict.state is State.RIGHT, str(verdict)


def test_a_right_answer_is_right(exercise, answer):
    for seeds in (VISIBLE, HIDDEN):
        verdict = judged(exercise, answer, seeds)
        assert verdict.state is State.RIGHT, str(verdict)


def test_a_wrong_answer_is_wrong_in_the_check_and_in_the_hidden_test(exercise, answer):
    source, fragment = answer
    for seeds in (VISIBLE, HIDDEN):
        verdict = judged(exercise, source, seeds)
        assert verdict.state not in (State.RIGHT, State.NOT_ATTEMPTED), source
        assert fragment in verdict.message, str(verdict)


def test_each_named_mistake_gets_its_own_sentence(exercise):
    """For ten draws any two are told apart, and from what is right; for one, all is seen."""
    for task in exercise.check.tasks:
        for sentence, mistake in task.mistakes.items():
            with own_state(), pytest.raises(Finding) as found:
                replace(task, forbidden=()).judge(mistake, np.random.default_rng(0))
            assert str(found.value).startswith(sentence), f"{sentence}\n{found.value}"
        for seed in SEEDS:
            assert_told_apart(task, np.random.default_rng(seed))


def assert_told_apart(task, rng):
    """Group the mistakes by what is observed, input by input, until each stands alone."""
    groups = [list(task.mistakes.items())]
    right = [] if task.verify or isinstance(task.reference, tuple) else [("right", task.reference)]
    groups[0] += right
    for given in task.draw(rng):
        groups = [part for group in groups if len(group) > 1 for part in split(task, group, given)]
    together = [[sentence for sentence, _ in group] for group in groups if len(group) > 1]
    assert together == []


def split(task, group, given):
    """Return the parts of a group whose members are observed alike on this input."""
    parts = []
    for sentence, mistake in group:
        seen = task.observed(mistake, given)
        for other, members in parts:
            if difference(seen, [other], *task.tolerances(given)) is None:
                members.append((sentence, mistake))
                break
        else:
            parts.append((seen, [(sentence, mistake)]))
    return [members for _, members in parts]


def test_few_of_a_fixed_sample_of_mutants_are_missed(room):
    """The short form of `python -m benchmarks.verdicts`."""
    known = exercises(room).values()
    rows = [verdicts.measured(exercise, most=3, more=(100, 101)) for exercise in known]
    assert sum(row["caught"] for row in rows) > len(rows)
    assert not [change for row in rows for change in row["missed"]]


def strange_state(undo):
    """Sets whatever a student might set."""
    np.seterr(all="raise")
    torch.set_default_dtype(torch.float64)
    torch.set_grad_enabled(False)
    warnings.simplefilter("error")
    mpl.rcParams.update({"axes.facecolor": "black", "lines.linewidth": 0, "image.origin": "lower"})


@pytest.fixture
def undo():
    before = np.geterr(), torch.get_default_dtype(), torch.is_grad_enabled()
    with warnings.catch_warnings(), mpl.rc_context():
        yield
    np.seterr(**before[0])
    torch.set_default_dtype(before[1])
    torch.set_grad_enabled(before[2])


def test_a_verdict_does_not_depend_on_global_state_and_leaves_it(exercise, undo):
    answers = exercise.made(exercise.solution)
    strange_state(undo)
    states = random.getstate(), np.random.get_state()[1].copy(), torch.get_rng_state()
    figures = plt.get_fignums()
    verdict = exercise.check.verdict(*answers)
    assert verdict.state is State.RIGHT, str(verdict)
    assert np.geterr()["over"] == "raise" and torch.get_default_dtype() is torch.float64
    assert not torch.is_grad_enabled() and mpl.rcParams["axes.facecolor"] == "black"
    assert random.getstate() == states[0] and torch.equal(torch.get_rng_state(), states[2])
    np.testing.assert_array_equal(np.random.get_state()[1], states[1])
    assert plt.get_fignums() == figures
