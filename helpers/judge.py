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
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from numpy.random import Generator

from helpers.calling import attempted, by_torch, caller, own_state, warm_up
from helpers.differences import Fault, Finding, State, arguments, difference, wrong
from helpers.limits import TimeLimit, limits
from helpers.verdict import Verdict, listen, unread

SECONDS = 10.0  # processor time that one check gives the student's code
VISIBLE, HIDDEN = (0,), (1, 2, 3)  # seeds of the check under an exercise and of the hidden test


@dataclass(frozen=True)
class Given:
    """One input of an answer: its arguments, and how a message speaks of them."""

    args: tuple
    kwargs: Mapping[str, Any] = field(default_factory=dict)
    said: str = ""  # the words for it; by default its arguments
    note: str = ""  # what a message about one element of the first argument adds

    def __str__(self) -> str:
        return self.said or arguments(self.args, self.kwargs)


def named(*more: Any, note: str = "", **values: Any) -> Given:
    """Return an input of which messages say these values by name; `more` arguments follow them."""
    return Given((*values.values(), *more), said=arguments((), values), note=note)


Answer = Callable[..., Any]  # what a student writes, or a reference or a mistake like it
# A kind of input: draws one or several inputs. A tuple stands for positional arguments.
Kind = Callable[[Generator], "Given | tuple | list"]


def each(draw: Callable[..., Given], *rows: tuple, **options: Any) -> Kind:
    """Return a kind: an input for each row of arguments that `draw` takes after the generator."""
    return lambda rng: [draw(rng, *row, **options) for row in rows]


def plain(call: Callable, answer: Callable, given: Given) -> Any:
    """Return what the answer returns: the observation of most tasks."""
    return call(answer, *given.args, **given.kwargs)


@dataclass(frozen=True)
class Task:
    """What one function of the student has to do.

    Attributes:
        reference: a right implementation, independent of the notebook's; or several, where the
            text leaves a choice (each entry of the answer then agrees with one of them).
        kinds: what draws inputs, or such by name; in the order in which faults are told.
        mistakes: a sentence that names a mistake, to a wrong implementation that makes it.
        observe: (call, answer, given) to what is compared: numbers, arrays, strings, and tuples,
            lists and dictionaries of them. It must call the answer by way of `call` alone.
        verify: (observation, given) raises `Finding`; stands in for the comparison with the
            reference where many answers are right.
        forbidden: what the answer may not call, each as (owner, name), a module or class and the
            attribute that holds it; a third entry, called with the arguments, says when.
    """

    reference: Callable | tuple[Callable, ...]
    kinds: Kind | Mapping[str, Kind]
    mistakes: Mapping[str, Callable] = field(default_factory=dict)
    observe: Callable[[Callable, Callable, Given], Any] = plain
    verify: Callable[[Any, Given], None] | None = None
    near: tuple[float, float] = (1e-7, 1e-9)  # the relative and the absolute tolerance
    single: tuple[float, float] = (2e-4, 2e-6)  # the same where an input is float32
    elementwise: bool = False  # may a message quote the one element of the input that differs?
    silent: bool = False  # is an overflow or invalid operation on the way a fault of its own?
    forbidden: Sequence[tuple] = ()
    name: str = ""  # of the function; messages need it where an exercise has several tasks
    hint: str = ""  # a sentence for any wrong answer that no mistake explains
    a_class: bool = False  # is a class asked for?

    def draw(self, rng: Generator) -> list[Given]:
        """Return inputs of every kind; after the first one more like it, as answers remember."""
        kinds = [*self.kinds.values()] if isinstance(self.kinds, Mapping) else [self.kinds]
        several = (kind(rng) for kind in (*kinds, kinds[0]))
        first, *others, again = (one if isinstance(one, list) else [one] for one in several)
        drawn = [first[0], again[0], *first[1:], *sum(others, [])]
        return [given if isinstance(given, Given) else Given(tuple(given)) for given in drawn]

    def observed(self, implementation: Callable, given: Given) -> Any:
        """Return the observation of a reference or a mistake, or the name of the error raised."""
        try:
            with np.errstate(all="ignore"), warnings.catch_warnings():
                warnings.simplefilter("ignore")
                return self.observe(_trusted, implementation, given)
        except Exception as error:  # noqa: BLE001 - a wrong implementation may do anything
            return type(error).__name__

    def tolerances(self, given: Given) -> tuple[float, float]:
        """Return the relative and the absolute tolerance for this input."""
        parts = [*given.args, *given.kwargs.values()]
        single = any(str(getattr(part, "dtype", "")).endswith("float32") for part in parts)
        return self.single if single else self.near

    def judge(self, answer: Callable, rng: Generator) -> None:
        """Raise `Finding` unless the answer is right on inputs of every kind."""
        attempted(answer, self.a_class)
        seen: list[tuple[Given, Any]] = []
        first: Finding | None = None
        for given in self.draw(rng):
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
            named = [
                sentence
                for sentence, mistake in self.mistakes.items()
                if all(self._differ(received, given, mistake) is None for given, received in seen)
            ]
            reason, hint = (named[0], "") if len(named) == 1 else ("", self.hint)
            raise Finding(first.state, "\n".join(filter(None, [reason, str(first), hint])))

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
        references = self.reference if isinstance(self.reference, tuple) else (self.reference,)
        if self.verify:
            self.verify(received, given)
        elif fault := self._differ(received, given, *references):
            raise Finding(fault.state, fault.told(given, self.elementwise))

    def _differ(self, received: Any, given: Given, *implementations: Callable) -> Fault | None:
        expected = [self.observed(implementation, given) for implementation in implementations]
        return difference(received, expected, *self.tolerances(given))


def _overflow(event: str, given: Given) -> str:
    advice = {
        "overflow": "Something on the way grows beyond all numbers. Take exponentials of -|z| only,"
        "\nor use a safe function (np.tanh, np.logaddexp); np.where computes both its branches."
    }
    other = "NumPy would warn: think of what happens at 0 and far out."
    return f"for {given}: {event} on the way, right result or not.\n{advice.get(event, other)}"


def _trusted(function: Callable, *args: Any, **kwargs: Any) -> Any:
    given, named = copy.deepcopy((args, kwargs))
    return function(*given, **named)


@dataclass(eq=False)
class Check:
    """One exercise's check: call it under the exercise with an answer for each of its tasks."""

    title: str
    tasks: tuple[Task, ...]
    seconds: float  # processor time for one round of draws
    checklist: "Checklist"
    latest: Verdict | None = None

    def __repr__(self) -> str:
        state = self.latest.state if self.latest else State.NOT_ATTEMPTED
        return f"Check({self.title!r}, {state.value[2:]})"

    @property
    def done(self) -> bool:
        """Whether the latest answer was right."""
        return self.latest is not None and self.latest.state is State.RIGHT

    def __call__(self, *answers: Any) -> None:
        """Tell the verdict; for nbgrader, which passes what only prints, raise it unless right."""
        why = unread(answers)
        self.latest = Verdict(self.title, State.RAISED, why) if why else self.verdict(*answers)
        self.latest.tell(f"{self.checklist.done} of {len(self.checklist.checks)} done")
        if os.environ.get("NBGRADER_EXECUTION") and not self.done:
            raise AssertionError(str(self.latest))

    def grade(self, *answers: Any) -> None:
        """Raise `AssertionError` with the verdict unless it is right on the hidden test's draws."""
        verdict = self.verdict(*answers, seeds=HIDDEN)
        if verdict.state is not State.RIGHT:
            raise AssertionError(str(verdict))

    def verdict(self, *answers: Any, seeds: Sequence[int] = VISIBLE) -> Verdict:
        """Return the verdict on the answers; whatever they do to global state is undone."""
        try:
            if len(answers) != len(self.tasks):
                raise TypeError(f"{self.title} takes {len(self.tasks)} answers")
            if self.checklist.torch:
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
        """Start an empty list; with `torch` what PyTorch imports late is not on a check's time."""
        self.notebook = notebook
        self.torch = torch
        self.checks: list[Check] = []
        listen()

    def exercise(self, title: str, *parts: Any, seconds: float = SECONDS, **options: Any) -> Check:
        """Return the check, added to the list, of these tasks or of one task of these parts."""
        tasks = parts if isinstance(parts[0], Task) else (Task(*parts, **options),)
        self.checks.append(Check(title, tasks, seconds, self))
        return self.checks[-1]

    @property
    def done(self) -> int:
        """How many exercises are done."""
        return sum(check.done for check in self.checks)

    def progress(self) -> None:
        """Print a line an exercise, done or not yet, and how many are done."""
        for check in self.checks:
            print(f"{'✓ done   ' if check.done else '○ not yet'}  {check.title}")
        print(f"{self.done} of {len(self.checks)} exercises of {self.notebook} are done.")
        if unrun := sum(check.latest is None for check in self.checks):
            print(f"{unrun} not checked since the kernel started: Run > Run All Cells once.")


@contextlib.contextmanager
def waits_for(*exercises: str) -> Iterator[None]:
    """Run the cell's lines; where a stub among them is empty, say which answers they wait for.

    A figure that was begun by then is closed, not shown.
    """
    figures = set(plt.get_fignums())
    try:
        yield
    except NotImplementedError as error:
        if by_torch(error):
            raise
        for begun in set(plt.get_fignums()) - figures:
            plt.close(begun)
        print(f"○ This waits for your answer to {' and '.join(exercises)}.")
