"""The judge, by every exercise: stubs, right answers, named mistakes and answers that slipped by.

`RIGHT` and `WRONG` of a room stand in tests/ROOM/cases.py, as sources written as students would.
"""

import importlib
import os
import random
import time
import warnings
from dataclasses import replace

import matplotlib as mpl
import numpy as np
import pytest
import torch
from matplotlib import pyplot as plt
from nbclient import NotebookClient
from nbformat.v4 import new_code_cell, new_notebook

from benchmarks import verdicts
from benchmarks.exercises import ROOMS, exercises
from helpers.calling import own_state, warm_up
from helpers.differences import Finding, State, difference
from helpers.judge import HIDDEN, VISIBLE, Checklist, Task

warm_up()  # what a check does before its time starts
ALL = {f"{room}.{name}": e for room in ROOMS for name, e in exercises(room).items()}
CASES = {room: importlib.import_module(f"tests.{room}.cases") for room in ROOMS}
RIGHT, WRONG = (
    [(key, i) for key, e in ALL.items() for i in range(len(getattr(CASES[e.room], kind)[e.name]))]
    for kind in ("RIGHT", "WRONG")
)
SEEDS = range(20)


def judged(key, source, seeds=VISIBLE):
    exercise = ALL[key]
    return exercise.check.verdict(*exercise.made(source), seeds=seeds)


def test_every_check_has_its_exercise_and_its_right_answers():
    for room in ROOMS:
        checks = importlib.import_module(f"helpers.{room}.check").checklist.checks
        assert [e.check for e in exercises(room).values()] == checks
        assert set(CASES[room].RIGHT) == set(exercises(room)) >= set(CASES[room].WRONG)


@pytest.mark.parametrize("key", ALL)
def test_a_stub_is_not_attempted_and_the_solution_is_right(key):
    exercise = ALL[key]
    assert judged(key, exercise.stub).state is State.NOT_ATTEMPTED
    for seeds in (VISIBLE, HIDDEN):
        verdict = judged(key, exercise.solution, seeds)
        assert verdict.state is State.RIGHT, str(verdict)


@pytest.mark.parametrize(("key", "i"), RIGHT)
def test_a_right_answer_is_right_in_time(key, i):
    source = CASES[ALL[key].room].RIGHT[ALL[key].name][i]
    start = time.process_time()
    verdict = judged(key, source)
    assert time.process_time() - start < 2
    assert verdict.state is State.RIGHT, str(verdict)
    verdict = judged(key, source, HIDDEN)
    assert verdict.state is State.RIGHT, str(verdict)


@pytest.mark.parametrize(("key", "i"), WRONG)
def test_a_wrong_answer_is_wrong_in_the_check_and_in_the_hidden_test(key, i):
    source, fragment = CASES[ALL[key].room].WRONG[ALL[key].name][i]
    for seeds in (VISIBLE, HIDDEN):
        verdict = judged(key, source, seeds)
        assert verdict.state not in (State.RIGHT, State.NOT_ATTEMPTED), source
        assert fragment in verdict.message, str(verdict)


@pytest.mark.parametrize("key", ALL)
def test_each_named_mistake_gets_its_own_sentence(key):
    """For twenty draws any two mistakes are told apart; for one, the sentence is seen whole."""
    for task in ALL[key].check.tasks:
        for sentence, mistake in task.mistakes.items():
            with own_state(), pytest.raises(Finding) as found:
                replace(task, forbidden=()).judge(mistake, np.random.default_rng(0))
            assert str(found.value).startswith(sentence), f"{sentence}\n{found.value}"
        for seed in SEEDS:
            assert_told_apart(task, np.random.default_rng(seed))


def assert_told_apart(task, rng):
    inputs = task.draw(rng)
    seen = {
        sentence: [(given, task.observed(mistake, given)) for given in inputs]
        for sentence, mistake in task.mistakes.items()
    }
    for sentence, places in seen.items():
        for other, others in seen.items():
            agree = all(
                difference(here, [there], *task.tolerances(given)) is None
                for (given, here), (_, there) in zip(places, others, strict=True)
            )
            assert agree is (other == sentence), f"{sentence}\n{other}"


@pytest.mark.parametrize("room", ROOMS)
def test_few_of_a_fixed_sample_of_mutants_are_missed(room):
    """The short form of `python -m benchmarks.verdicts`."""
    rows = [verdicts.measured(exercise, most=4) for exercise in exercises(room).values()]
    assert sum(row["caught"] for row in rows) > len(rows)
    assert not [change for row in rows for change in row["missed"]]


# --- a verdict depends on the answer alone -------------------------------------------------------


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


@pytest.mark.parametrize("key", ALL)
def test_a_verdict_does_not_depend_on_global_state_and_leaves_it(key, undo):
    exercise = ALL[key]
    answers = exercise.made(exercise.solution)
    strange_state(undo)
    states = random.getstate(), np.random.get_state()[1].copy(), torch.get_rng_state()
    verdict = exercise.check.verdict(*answers)
    assert verdict.state is State.RIGHT, str(verdict)
    assert np.geterr()["over"] == "raise" and torch.get_default_dtype() is torch.float64
    assert not torch.is_grad_enabled() and mpl.rcParams["axes.facecolor"] == "black"
    assert random.getstate() == states[0] and torch.equal(torch.get_rng_state(), states[2])
    np.testing.assert_array_equal(np.random.get_state()[1], states[1])
    assert plt.get_fignums() == []


@pytest.fixture
def double():
    """A check of its own: twice a number."""
    task = Task(
        lambda x: 2 * x,
        {"any": lambda rng: (rng.uniform(1, 2, 3),), "one": lambda rng: (np.array(0.5),)},
        {"This is the square.": lambda x: x**2, "This is the half.": lambda x: x / 2},
        elementwise=True,
        silent=True,
        forbidden=[(np, "negative"), (warnings, "formatwarning"), (torch.Tensor, "item")],
    )
    return Checklist("0 · Test").exercise("0.1 Double", task, seconds=0.3)


def written(source):
    space = {"np": np, "torch": torch, "warnings": warnings}
    exec(source, space)
    return space["f"]


@pytest.mark.parametrize(
    ("source", "state", "fragment"),
    [
        ("f = lambda x: x + x", State.RIGHT, ""),
        ("f = lambda x: torch.tensor(x + x, requires_grad=True)", State.RIGHT, ""),
        ("f = lambda x: (2 * x).tolist()", State.RIGHT, ""),
        ("f = ...", State.NOT_ATTEMPTED, ""),
        ("def f(x): raise NotImplementedError", State.NOT_ATTEMPTED, ""),
        ("def g(): raise NotImplementedError\ndef f(x): return g()", State.NOT_ATTEMPTED, "`g`"),
        ("f = lambda x: x**2", State.WRONG, "This is the square."),
        ("f = lambda x: 2 * x + 1e-6", State.WRONG, "expected 3.273923, received 3.273924"),
        ("f = lambda x: x * np.nan", State.WRONG, "received nan"),
        ("f = lambda x: x.ravel() * 2", State.MALFORMED, "expected shape (), received shape (1,)"),
        ("f = lambda x: 2 * x > 0", State.MALFORMED, "True and False"),
        ("f = lambda x: 'two'", State.MALFORMED, "expected numbers, received 'two'"),
        ("def f(x): 2 * x", State.MALFORMED, "`return` missing"),
        ("def f(x): yield 2 * x", State.MALFORMED, "generator"),
        ("f = lambda x: (y for y in 2 * x)", State.MALFORMED, "generator"),
        ("class f:\n def __init__(s, x): pass", State.MALFORMED, "received the class f"),
        ("f = 3", State.MALFORMED, "expected a function, received 3"),
        ("def f(x):\n x *= 2\n return x", State.WRONG, "changed its input in place"),
        ("def f(x):\n np.exp(1e4 * x)\n return 2 * x", State.WRONG, "overflow"),
        ("def f(x):\n with np.errstate(all='ignore'): np.exp(1e4 * x)\n return 2 * x",
         State.WRONG, "overflow"),
        ("from numpy import errstate\n@errstate(over='ignore')\ndef f(x):\n"
         " np.exp(1e4 * x)\n return 2 * x", State.WRONG, "overflow"),
        ("def f(x): return 1 / 0", State.RAISED, "ZeroDivisionError"),
        ("def f(x): return undefined", State.RAISED, "'undefined' is not defined"),
        ("def f(x): exit()", State.RAISED, "SystemExit"),
        ("import sys\ndef f(x): sys.exit()", State.RAISED, "SystemExit"),
        ("def f(x): return f(x)", State.RAISED, "RecursionError"),
        ("def f(x, y): return 2 * x", State.RAISED, "missing 1 required positional argument"),
        ("def f(x):\n while True: pass", State.RAISED, "0.3 seconds of work"),
        ("import time\ndef f(x):\n while True: time.sleep(0.05)", State.RAISED, "still waiting"),
        ("def f(x): return -np.negative(2 * x)", State.MALFORMED, "it uses numpy.negative"),
        ("from numpy import negative as n\ndef f(x): return -n(2 * x)", State.MALFORMED, "it uses"),
        ("from warnings import formatwarning as w\ndef f(x): return w(1, UserWarning, 'a', 1)",
         State.MALFORMED, "it uses warnings.formatwarning"),
        ("def f(x): return torch.tensor(1.0).item() * 2 * x", State.MALFORMED, "Tensor.item"),
    ],
)  # fmt: skip
def test_whatever_an_answer_does_ends_in_a_verdict(double, source, state, fragment, monkeypatch):
    monkeypatch.setattr("helpers.limits.WAITING", 12)
    verdict = double.verdict(written(source))
    assert verdict.state is state, str(verdict)
    assert fragment in verdict.message, str(verdict)
    if state is not State.RIGHT:
        with pytest.raises(AssertionError, match=state.value[2:]):
            double.grade(written(source))
    assert np.negative(1) == -1 and torch.tensor(2.0).item() == 2  # what was forbidden is back
    assert warnings.formatwarning("a", UserWarning, "b", 1)


def test_a_mistake_is_named_only_where_it_explains_every_input(double):
    """Agreeing on some inputs is not enough, and of two that agree none is named."""
    often = "f = lambda x: x**2 if x.ndim else x"
    assert "square" not in double.verdict(written(often)).message
    (task,) = double.tasks
    task.mistakes["This is its own product."] = lambda x: x * x
    assert "This is" not in double.verdict(written("f = lambda x: x**2")).message


def test_the_checks_draws_learned_by_heart_fail_the_hidden_test(double):
    seen = []
    double.verdict(lambda x: seen.append(x) or 2 * x)

    def by_heart(x):
        return 2 * x if any(np.array_equal(x, known) for known in seen) else 0 * x

    assert double.verdict(by_heart).state is State.RIGHT
    with pytest.raises(AssertionError, match="wrong value"):
        double.grade(by_heart)


def test_a_check_prints_remembers_and_raises_for_nbgrader(double, capsys, monkeypatch):
    monkeypatch.delenv("NBGRADER_EXECUTION", raising=False)
    double(written("f = lambda x: x / 2"))
    shown = capsys.readouterr().out
    assert shown.startswith("✗ wrong value: 0.1 Double\n    This is the half.\n    for input 1.63")
    assert not double.done and "wrong" in repr(double)
    double.grade(written("f = lambda x: 2 * x"))
    assert not double.done  # the hidden test leaves the student's progress alone
    monkeypatch.setitem(os.environ, "NBGRADER_EXECUTION", "autograde")
    with pytest.raises(AssertionError, match="This is the half"):
        double(written("f = lambda x: x / 2"))


def test_progress_counts_what_is_done(capsys):
    checklist = Checklist("0 · Test")
    one, _ = (checklist.exercise(f"0.{i}", Task(abs, {"one": lambda rng: (-1,)})) for i in (1, 2))
    one(abs)
    capsys.readouterr()
    checklist.progress()
    assert capsys.readouterr().out.splitlines() == [
        "✓ done     0.1",
        "○ not yet  0.2",
        "1 of 2 exercises of 0 · Test are done.",
    ]


def test_in_a_kernel_names_exits_and_missing_answers_end_in_verdicts():
    line = "from helpers.activation_derivatives import check\n"
    cells = [
        line + "check.relu(relu_derivative)",  # before the cell with the answer
        "check = np = activations = 'mine'\nfrom torch import *\nfrom numpy import *",
        "def relu_derivative(z):\n    return (z > 0) * 1.0",
        line + "check.relu(relu_derivative)\ncheck.relu.grade(relu_derivative)",
        "def relu_derivative(z):\n    exit()",
        line + "check.relu(relu_derivative)",
        "undefined_elsewhere",
    ]
    notebook = new_notebook(cells=[new_code_cell(cell) for cell in cells])
    NotebookClient(notebook, kernel_name="python3", allow_errors=True).execute()
    told = ["".join(o.get("text", o.get("ename", "")) for o in c.outputs) for c in notebook.cells]
    assert told[0].startswith("○ not attempted yet: 2.2 Slope of ReLU\n    relu_derivative is not")
    assert told[3] == "✓ right: 2.2 Slope of ReLU\n"
    assert told[5].startswith("! raised an error: 2.2 Slope of ReLU\n    SystemExit: exit()")
    assert told[6] == "NameError"
