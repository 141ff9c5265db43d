"""One judge of all exercises: the check under an exercise and the hidden test differ in draws only.

An exercise consists of tasks, usually one: a function (or class) that the student writes, its
reference, the kinds of input it must hold for, and named mistakes, each a sentence and a wrong
implementation. `Check.verdict` draws inputs of every kind, calls the answer on copies of them in a
state of its own, and compares. A mistake is named only where its implementation agrees with the
answer on every input drawn, and no other one does. Each room's `check` module holds its exercises.
"""

import contextlib
import copy
import os
import re
import traceback
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from IPython import get_ipython
from numpy.random import Generator

from helpers.calling import attempted, caller, own_state, warm_up
from helpers.differences import Finding, State, arguments, difference, wrong
from helpers.limits import TimeLimit, limits

SECONDS = 10.0  # processor time that one check gives the student's code
VISIBLE, HIDDEN = (0,), (1, 2, 3)  # seeds of the check under an exercise and of the hidden test


@dataclass(frozen=True)
class Verdict:
    """What one check found: the exercise, its state, and what to tell the student."""

    exercise: str
    state: State
    message: str = ""

    def __str__(self) -> str:
        """Return the lines that the student reads."""
        head = f"{self.state.value}: {self.exercise}"
        return head + "".join(f"\n    {line}" for line in self.message.splitlines())


# --- what an exercise is --------------------------------------------------------------------------


@dataclass(frozen=True)
class Given:
    """One input of an answer: its arguments, and how a message speaks of them."""

    args: tuple
    kwargs: Mapping[str, Any] = field(default_factory=dict)
    said: str = ""
    note: str = ""  # what a message about one element of the first argument adds

    def __str__(self) -> str:
        """Return the words for it; by default its arguments."""
        return self.said or arguments(self.args, self.kwargs)


# A kind of input: draws one or several inputs. A tuple stands for positional arguments.
Kind = Callable[[Generator], "Given | tuple | list"]


def plain(call: Callable, answer: Callable, given: Given) -> Any:
    """Return what the answer returns: the observation of most tasks."""
    return call(answer, *given.args, **given.kwargs)


@dataclass(frozen=True)
class Task:
    """What one function of the student has to do.

    Attributes:
        reference: a right implementation, independent of the notebook's; or several, where the
            text leaves a choice (each entry of the answer then agrees with one of them).
        kinds: by name, what draws inputs of that kind; in the order in which faults are told.
        mistakes: a sentence that names a mistake, to a wrong implementation that makes it.
        observe: (call, answer, given) to what is compared: numbers, arrays, strings, and tuples,
            lists and dictionaries of them. It must call the answer by way of `call` alone.
        verify: (observation, given) raises `Finding`; stands in for the comparison with the
            reference where many answers are right.
        rtol: relative tolerance.
        atol: absolute tolerance.
        single: tolerances, relative and absolute, where an input is float32.
        elementwise: whether a message may quote the one element of the input that differs.
        silent: whether an overflow or an invalid operation on the way is a fault of its own.
        forbidden: what the answer may not call, each as (owner, name), a module or class and the
            attribute that holds it; a third entry, called with the arguments, says when.
        name: the function's name, which messages need where an exercise has several tasks.
        hint: a sentence for any wrong answer that no mistake explains.
        a_class: whether a class is asked for.
    """

    reference: Callable | tuple[Callable, ...]
    kinds: Mapping[str, Kind]
    mistakes: Mapping[str, Callable] = field(default_factory=dict)
    observe: Callable[[Callable, Callable, Given], Any] = plain
    verify: Callable[[Any, Given], None] | None = None
    rtol: float = 1e-7
    atol: float = 1e-9
    single: tuple[float, float] = (2e-4, 2e-6)
    elementwise: bool = False
    silent: bool = False
    forbidden: Sequence[tuple] = ()
    name: str = ""
    hint: str = ""
    a_class: bool = False

    @property
    def references(self) -> tuple[Callable, ...]:
        """The right implementations."""
        return self.reference if isinstance(self.reference, tuple) else (self.reference,)

    def draw(self, rng: Generator) -> list[Given]:
        """Return inputs of every kind; of the first twice, as an answer may remember the last."""
        drawn: list[Given] = []
        for kind in [*list(self.kinds.values())[:1], *self.kinds.values()]:
            one = kind(rng)
            for given in one if isinstance(one, list) else [one]:
                drawn.append(given if isinstance(given, Given) else Given(tuple(given)))
        return drawn

    def observed(self, implementation: Callable, given: Given) -> Any:
        """Return the observation of a reference or a mistake; an error is an observation, too."""
        try:
            with np.errstate(all="ignore"), warnings.catch_warnings():
                warnings.simplefilter("ignore")
                return self.observe(_trusted, implementation, given)
        except Exception as error:  # noqa: BLE001 - a wrong implementation may do anything
            return f"{type(error).__name__}"

    def tolerances(self, given: Given) -> tuple[float, float]:
        """Return the relative and the absolute tolerance for this input."""
        parts = [*given.args, *given.kwargs.values()]
        single = any(str(getattr(part, "dtype", "")).endswith("float32") for part in parts)
        return self.single if single else (self.rtol, self.atol)

    def judge(self, answer: Callable, rng: Generator) -> None:
        """Raise `Finding` unless the answer is right on inputs of every kind."""
        attempted(answer, self.a_class)
        inputs = self.draw(rng)
        seen: list[tuple[Given, Any]] = []
        first: Finding | None = None
        for given in inputs:
            heard: list[str] | None = [] if self.silent else None
            try:
                received = self._observed(caller(answer, self.forbidden, heard), answer, given)
            except Finding as finding:
                if first is None:
                    raise  # what was found before comes first
                received = str(finding).partition(":")[0]  # a mistake may fail in the same way
            seen.append((given, received))
            if first is None:
                try:
                    self.compare(received, given)
                    if heard:
                        wrong(_overflow(heard[0], given))
                except Finding as finding:
                    first = finding
        if first is not None:
            raise Finding(first.state, self._explained(str(first), seen))

    def _observed(self, call: Callable, answer: Callable, given: Given) -> Any:
        try:
            return self.observe(call, answer, given)
        except Finding:
            raise
        except Exception as error:  # noqa: BLE001 - what the answer gave back may be anything
            said = f"for {given}: what it returns cannot be used ({type(error).__name__}: {error})"
            raise Finding(State.MALFORMED, said) from error

    def compare(self, received: Any, given: Given) -> None:
        """Raise `Finding` unless the observation is a right one."""
        if self.verify:
            self.verify(received, given)
            return
        rtol, atol = self.tolerances(given)
        expected = [self.observed(reference, given) for reference in self.references]
        fault = difference(received, expected, rtol, atol)
        if fault:
            raise Finding(fault.state, fault.told(given, self.elementwise))

    def _explained(self, said: str, seen: Sequence[tuple[Given, Any]]) -> str:
        named = [
            sentence
            for sentence, implementation in self.mistakes.items()
            if all(self.agrees(implementation, *place) for place in seen)
        ]
        reason = named[0] if len(named) == 1 else ""
        return "\n".join(filter(None, [reason, said, "" if reason else self.hint]))

    def agrees(self, implementation: Callable, given: Given, received: Any) -> bool:
        """Whether an implementation's observation is the one received."""
        rtol, atol = self.tolerances(given)
        return difference(received, [self.observed(implementation, given)], rtol, atol) is None


def _overflow(event: str, given: Given) -> str:
    advice = {"overflow": "Take exponentials of -|z| only; np.where computes both its branches."}
    other = "NumPy would warn: think of what happens at 0 and far out."
    return f"for {given}: {event} on the way, right result or not.\n{advice.get(event, other)}"


def _trusted(function: Callable, *args: Any, **kwargs: Any) -> Any:
    given, named = copy.deepcopy((args, kwargs))
    return function(*given, **named)


class Check:
    """One exercise's check: call it under the exercise with the student's answers."""

    def __init__(self, title: str, *tasks: Task, seconds: float, torch: bool) -> None:
        """Judge as many answers as there are tasks, in their order; see `Checklist`."""
        self.title = title
        self.tasks = tasks
        self.seconds = seconds
        self.torch = torch
        self.latest: Verdict | None = None

    def __repr__(self) -> str:
        """Return for instance `Check('2.3 Tanh', not attempted yet)`."""
        state = self.latest.state if self.latest else State.NOT_ATTEMPTED
        return f"Check({self.title!r}, {state.value[2:]})"

    @property
    def done(self) -> bool:
        """Whether the latest answer was right."""
        return self.latest is not None and self.latest.state is State.RIGHT

    def __call__(self, *answers: Any) -> None:
        """Print the verdict on the answers.

        Raises:
            AssertionError: nbgrader is validating or grading, and the answer is not right. Without
                it a cell that only prints would count as passed.
        """
        self.latest = self.verdict(*answers)
        print(self.latest)
        if os.environ.get("NBGRADER_EXECUTION") and not self.done:
            raise AssertionError(str(self.latest))

    def grade(self, *answers: Any) -> None:
        """Judge the answers on the hidden test's draws.

        Raises:
            AssertionError: the answer is not right; the message is what the check would print.
        """
        verdict = self.verdict(*answers, seeds=HIDDEN)
        if verdict.state is not State.RIGHT:
            raise AssertionError(str(verdict))

    def verdict(self, *answers: Any, seeds: Sequence[int] = VISIBLE) -> Verdict:
        """Return the verdict on the answers; whatever they do to global state is undone."""
        try:
            if len(answers) != len(self.tasks):
                raise TypeError(f"{self.title} takes {len(self.tasks)} answers")
            if self.torch:
                warm_up()
            with own_state(), limits(self.seconds * len(seeds)):
                for seed in seeds:
                    for task, answer in zip(self.tasks, answers, strict=True):
                        said = f"{task.name}: " if len(self.tasks) > 1 else ""
                        task.judge(answer, np.random.default_rng(seed))
        except Finding as finding:
            message = said + str(finding) if str(finding) else ""
            return Verdict(self.title, finding.state, message)
        except TimeLimit as limit:
            return Verdict(self.title, State.RAISED, str(limit))
        return Verdict(self.title, State.RIGHT)


class Checklist:
    """All the checks of one notebook, in order, and how many are done."""

    def __init__(self, notebook: str, torch: bool = False) -> None:
        """Start an empty list.

        Args:
            notebook: its name.
            torch: whether answers may use optimisers and the like, which PyTorch imports late;
                that is then done before the time of the first check starts.
        """
        self.notebook = notebook
        self.torch = torch
        self.checks: list[Check] = []
        if shell := get_ipython():
            shell.set_custom_exc((NameError,), _name_error)

    def exercise(self, title: str, *tasks: Task, seconds: float = SECONDS) -> Check:
        """Return the check of an exercise with these tasks, added to the list."""
        self.checks.append(Check(title, *tasks, seconds=seconds, torch=self.torch))
        return self.checks[-1]

    def progress(self) -> None:
        """Print a line an exercise, done or not yet, and how many are done."""
        for check in self.checks:
            print(f"{'✓ done   ' if check.done else '○ not yet'}  {check.title}")
        done = sum(check.done for check in self.checks)
        print(f"{done} of {len(self.checks)} exercises of {self.notebook} are done.")


@contextlib.contextmanager
def waits_for(*exercises: str) -> Iterator[None]:
    """Run the cell's lines; where a stub among them is still empty, say which answer they wait for.

    Args:
        exercises: the names, as the student knows them, of the answers that the lines use.
    """
    try:
        yield
    except NotImplementedError:
        print(f"○ This waits for your answer to {' and '.join(exercises)}.")


def _name_error(shell: Any, kind: type, error: NameError, tb: Any, tb_offset: int = 0) -> None:
    """Tell a check that is run before its answer exists what to do; show any other NameError."""
    last = traceback.extract_tb(tb)[-1]
    called = re.match(r"check\.(\w+)\(", last.line or "")
    if called is None or not re.match(r"<(module|cell line: \d+)>", last.name):
        shell.showtraceback((kind, error, tb), tb_offset=tb_offset)
    elif os.environ.get("NBGRADER_EXECUTION"):
        shell.showtraceback((kind, error, tb), tb_offset=tb_offset)
    else:
        title = getattr(shell.user_ns.get("check"), called[1], None)
        message = f"{error.name} is not defined: run the cell with your answer first."
        print(Verdict(getattr(title, "title", ""), State.NOT_ATTEMPTED, message))
