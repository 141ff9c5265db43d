"""The judge by an exercise made up here; by those of the course, see judging.py."""

import os
import sys
import warnings

import numpy as np
import pytest
import torch
from matplotlib import pyplot as plt
from nbclient import NotebookClient
from nbformat.v4 import new_code_cell, new_notebook

from helpers.differences import State
from helpers.judge import Checklist, Task, waits_for
from helpers.plotting import contrast_on_white
from helpers.verdict import COLORS, Verdict


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
    return Checklist("0 · Test").exercise("0.1 Double", task, seconds=1000)


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
        ("from functools import wraps\ndef on_floats(g):\n @wraps(g)\n def call(x):\n"
         "  return np.vectorize(g)(x)\n return call\n"
         "@on_floats\ndef f(x): return 2 * x if x > 0 else 0.0", State.RIGHT, ""),
        ("f = ...", State.NOT_ATTEMPTED, ""),
        ("def f(x): raise NotImplementedError", State.NOT_ATTEMPTED, ""),
        ("def g(): raise NotImplementedError\ndef f(x): return g()", State.NOT_ATTEMPTED, "`g`"),
        ("f = lambda x: x**2", State.WRONG, "This is the square."),
        ("f = lambda x: 2 * x + 1e-6", State.WRONG, "expected 3.273923, received 3.273924"),
        ("f = lambda x: x * np.nan", State.WRONG, "received nan"),
        ("f = lambda x: x.ravel() * 2", State.MALFORMED, "expected shape (), received shape (1,)"),
        ("f = lambda x: 2 * x > 0", State.MALFORMED, "True and False"),
        ("f = lambda x: 'two'", State.MALFORMED, "expected numbers, received 'two'"),
        ("f = lambda x: 10**5000", State.MALFORMED, "received an object of type int"),
        ("f = lambda x: torch.ones(3).bfloat16()", State.MALFORMED, "an object of type Tensor"),
        ("f = lambda x: torch.ones(3).to_sparse()", State.MALFORMED, "an object of type Tensor"),
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
        ("class Half(torch.nn.Module): pass\ndef f(x): return Half()(x)", State.RAISED,
         'is missing the required "forward"'),
        ("def f(x): exit()", State.RAISED, "SystemExit"),
        ("import sys\ndef f(x): sys.exit()", State.RAISED, "SystemExit"),
        ("def f(x): return f(x)", State.RAISED, "RecursionError"),
        ("def f(x, y): return 2 * x", State.RAISED, "missing 1 required positional argument"),
        ("def f(x):\n while True: pass", State.RAISED, "0.3 seconds of work"),
        ("def f(x):\n while True:\n  try: x + x\n  except: pass", State.RAISED, "0.3 seconds of"),
        ("import time\ndef f(x):\n while True: time.sleep(0.05)", State.RAISED, "still waiting"),
        ("def f(x): return -np.negative(2 * x)", State.MALFORMED, "it uses numpy.negative"),
        ("from numpy import negative as n\ndef f(x): return -n(2 * x)", State.MALFORMED, "it uses"),
        ("from warnings import formatwarning as w\ndef f(x): return w(1, UserWarning, 'a', 1)",
         State.MALFORMED, "it uses warnings.formatwarning"),
        ("def f(x): return torch.tensor(1.0).item() * 2 * x", State.MALFORMED, "Tensor.item"),
    ],
)  # fmt: skip
def test_whatever_an_answer_does_ends_in_a_verdict(double, source, state, fragment, monkeypatch):
    if "sleep" in source:
        monkeypatch.setattr("helpers.limits.WAITING", 0.3 / double.seconds)
    elif "while" in source:
        double.seconds = 0.3
    verdict = double.verdict(written(source))
    assert verdict.state is state, str(verdict)
    assert fragment in verdict.message, str(verdict)
    if state is not State.RIGHT:
        with pytest.raises(AssertionError, match=state.value[2:]):
            double.grade(written(source))
    assert np.negative(1) == -1 and torch.tensor(2.0).item() == 2  # what was forbidden is back
    assert warnings.formatwarning("a", UserWarning, "b", 1)


def test_what_an_answer_sets_is_put_back_and_what_a_student_set_is_not_in_a_message(double):
    cwd, threads, depth = os.getcwd(), torch.get_num_threads(), sys.getrecursionlimit()
    with np.printoptions(precision=3, suppress=True, floatmode="fixed", sign="+"):
        before = np.get_printoptions()
        said = double.verdict(written("def f(x):\n x /= 1e9\n return x")).message
        double.verdict(
            written(
                "import os, sys\ndef f(x):\n os.chdir(os.sep)\n torch.set_num_threads(2)\n"
                " sys.setrecursionlimit(5000)\n np.set_printoptions(precision=1)\n return 2 * x"
            )
        )
        assert np.get_printoptions() == before
    assert "became [1.636962e-09, " in said
    assert (os.getcwd(), torch.get_num_threads(), sys.getrecursionlimit()) == (cwd, threads, depth)


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


def test_what_waits_for_an_answer_says_so_and_leaves_no_figure(capsys):
    with waits_for("exercise 0.1"):
        plt.subplots()
        raise NotImplementedError
    assert plt.get_fignums() == []
    assert capsys.readouterr().out == "○ This waits for your answer to exercise 0.1.\n"
    with pytest.raises(NotImplementedError, match="forward"), waits_for("exercise 0.1"):
        torch.nn.Module()(1)


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
        "1 not checked since the kernel started: Run > Run All Cells once.",
    ]


@pytest.mark.parametrize("state", State)
def test_a_card_says_in_words_what_it_shows_in_color(state):
    page = Verdict("0.1 <Double>", state, "for x < 1:\n    expected 2").card("7 of 10 done")
    assert 'role="status"' in page and f"{state.value}</strong>" in page and "7 of 10 done" in page
    assert "0.1 &lt;Double&gt;" in page and "for x &lt; 1:\n    expected 2" in page
    # under white letters; and beside JupyterLab's dark page, as a mark
    assert 4.5 <= contrast_on_white(COLORS[state]) <= contrast_on_white("#111111") / 3


def test_where_a_browser_looks_on_the_plain_form_stays(double, capsys, monkeypatch):
    shown = []
    monkeypatch.setattr("helpers.verdict.display", lambda data, **_: shown.append(data))
    monkeypatch.setenv("JPY_SESSION_NAME", "01.ipynb")
    double(written("f = lambda x: 2 * x"))
    assert shown[0]["text/plain"] == str(double.latest) == "✓ right: 0.1 Double"
    assert "1 of 1 done" in shown[0]["text/html"] and capsys.readouterr().out == ""
    monkeypatch.setenv("NBGRADER_EXECUTION", "autograde")
    double(written("f = lambda x: 2 * x"))
    assert capsys.readouterr().out == "✓ right: 0.1 Double\n" and len(shown) == 1


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
        "def relu_derivative(z):\n    return (z > 0) * 1.0",
        "assert relu_derivative(0) == 7",  # says nothing of the answer
        line + "check.relu(relu_derivative)",
        "import nowhere\n\ndef relu_derivative(z):\n    return 7 * z",
        line + "check.relu(relu_derivative)",
        "deff relu_derivative(z):\n    return 7 * z",
        line + "check.relu(relu_derivative)",
        "def relu_derivative(z):\n    return 7 * z\n\nrelu_derivative(unknown)",
        line + "check.relu(relu_derivative)",  # the new function is there, and judged
        "def mine(z):\n    return (z > 0) * 1.0",
        "relu_derivative = mine\nrelu_derivative(unknown)",
        "relu_derivative = mine\nrelu_derivative(unknown)",
        line + "check.relu(relu_derivative)",  # what it means was there before: it did not run
        "relu_derivative = mine",
        "return relu_derivative(3)",  # defines nothing
        line + "check.relu(relu_derivative)",
        "explore.runs(\n    unknown)",
    ]
    notebook = new_notebook(cells=[new_code_cell(cell) for cell in cells])
    NotebookClient(notebook, kernel_name="python3", allow_errors=True).execute()
    told = ["".join(o.get("text", o.get("ename", "")) for o in c.outputs) for c in notebook.cells]
    assert told[0].startswith("○ not attempted yet: 2.2 Slope of ReLU\n    relu_derivative is not")
    assert told[3] == "✓ right: 2.2 Slope of ReLU\n"
    assert told[5].startswith("! raised an error: 2.2 Slope of ReLU\n    SystemExit: exit()")
    assert told[6] == told[14] == "NameError"
    assert told[9] == "✓ right: 2.2 Slope of ReLU\n"
    for place, why in [(11, "ModuleNotFoundError: No module"), (13, "SyntaxError: invalid")]:
        assert told[place].startswith("! raised an error: 2.2 Slope of ReLU\n    the cell that")
        assert why in told[place]
    assert told[15].startswith("✗ wrong value")
    assert "did not run (NameError" in told[19]
    assert told[22] == "✓ right: 2.2 Slope of ReLU\n"
    assert told[23].startswith("○ This needs the cells above, for `explore`: Run")
