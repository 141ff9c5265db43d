"""The checks that stand under each exercise: what they share.

One module a notebook holds that notebook's checks; each opens with `checklist = Checklist(...)`
and one `@checklist.exercise` function an exercise, which looks at the student's answer in
teaching order (attempted, callable, returns something, type, shape, values) with the functions
below and returns nothing when all is right. Logic raises `Finding`; `Check` catches and prints.
"""

import contextlib
import copy
import io
import linecache
import os
import random
import traceback
import warnings
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any, NoReturn

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray

from helpers.limits import TimeLimit, limits

SECONDS = 10.0  # how long one check may take before it gives up on the student's code


class State(Enum):
    """How an answer stands: a symbol and words, so that colour is not needed."""

    NOT_ATTEMPTED = "○ not attempted yet"
    RAISED = "! raised an error"
    MALFORMED = "△ not the kind of answer asked for"
    WRONG = "✗ wrong value"
    RIGHT = "✓ right"


@dataclass(frozen=True)
class Verdict:
    """What one check found: the exercise, its state, and what to tell the student."""

    exercise: str
    state: State
    message: str = ""

    def __str__(self) -> str:
        """Return the lines that the student reads."""
        head = f"{self.state.value}: {self.exercise}"
        body = "".join(f"\n    {line}" for line in self.message.splitlines())
        return head + body


class Finding(Exception):  # noqa: N818 - a result on its way up, not an error
    """Ends a check with a state other than right."""

    def __init__(self, state: State, message: str = "") -> None:
        """Keep the state and the message for the verdict."""
        super().__init__(message)
        self.state = state


def wrong(message: str) -> NoReturn:
    """End the check with the state `WRONG` and this message."""
    raise Finding(State.WRONG, message)


def malformed(message: str) -> NoReturn:
    """End the check with the state `MALFORMED` and this message."""
    raise Finding(State.MALFORMED, message)


class Check:
    """One exercise's check: call it under the exercise with the student's answer."""

    def __init__(self, title: str, examine: Callable[..., None], seconds: float) -> None:
        """Wrap `examine`, which returns None for a right answer and raises `Finding` otherwise."""
        self.title = title
        self.examine = examine
        self.seconds = seconds
        self.latest: Verdict | None = None
        self.__doc__ = examine.__doc__

    def __repr__(self) -> str:
        """Return for instance `Check('2.3 Tanh', not attempted yet)`."""
        state = self.latest.state if self.latest else State.NOT_ATTEMPTED
        return f"Check({self.title!r}, {state.value[2:]})"

    @property
    def done(self) -> bool:
        """Whether the latest answer was right."""
        return self.latest is not None and self.latest.state is State.RIGHT

    def __call__(self, *answers: object) -> None:
        """Examine the answers and print the verdict on stdout.

        Raises:
            AssertionError: nbgrader is validating or grading, and the answer is not right. Without
                it a cell that only prints would count as passed.
        """
        verdict = self.verdict(*answers)
        print(verdict)
        if os.environ.get("NBGRADER_EXECUTION") and verdict.state is not State.RIGHT:
            raise AssertionError(f"{verdict.state.value}: {verdict.exercise}")

    def verdict(self, *answers: object) -> Verdict:
        """Return the verdict on the answers; the global random states stay as they were."""
        try:
            with limits(self.seconds), random_states_kept(), silence():
                if any(answer is None or answer is ... for answer in answers):
                    raise Finding(State.NOT_ATTEMPTED)
                self.examine(*answers)
            self.latest = Verdict(self.title, State.RIGHT)
        except Finding as finding:
            self.latest = Verdict(self.title, finding.state, str(finding))
        except TimeLimit:
            message = f"still running after {self.seconds:g} seconds; is there an endless loop?"
            self.latest = Verdict(self.title, State.RAISED, message)
        return self.latest


class Checklist:
    """All the checks of one notebook, in order, and how many are done."""

    def __init__(self, notebook: str) -> None:
        """Start an empty list for the notebook of that name."""
        self.notebook = notebook
        self.checks: list[Check] = []

    def exercise(
        self, title: str, seconds: float = SECONDS
    ) -> Callable[[Callable[..., None]], Check]:
        """Return the decorator that turns an examining function into a `Check` on this list."""

        def register(examine: Callable[..., None]) -> Check:
            check = Check(title, examine, seconds)
            self.checks.append(check)
            return check

        return register

    def progress(self) -> None:
        """Print a line an exercise, done or not yet, and how many are done."""
        done = [
            check.latest is not None and check.latest.state is State.RIGHT for check in self.checks
        ]
        for check, right in zip(self.checks, done, strict=True):
            print(f"{'✓ done   ' if right else '○ not yet'}  {check.title}")
        print(f"{sum(done)} of {len(done)} exercises of {self.notebook} are done.")


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


@contextlib.contextmanager
def random_states_kept() -> Iterator[None]:
    """Put the global random states of Python, NumPy and torch back as they were."""
    python, numpy, pytorch = random.getstate(), np.random.get_state(), torch.get_rng_state()
    try:
        yield
    finally:
        random.setstate(python)
        np.random.set_state(numpy)
        torch.set_rng_state(pytorch)


@contextlib.contextmanager
def silence() -> Iterator[None]:
    """Keep what the student's code prints or warns out of the notebook while it is examined."""
    sink = io.StringIO()
    with contextlib.redirect_stdout(sink), contextlib.redirect_stderr(sink):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield


def call(
    answer: Callable,
    *args: Any,
    warnings_wrong: bool = False,
    student: object = None,
    **kwargs: Any,
) -> Any:
    """Return what the student's function returns for copies of these arguments.

    Args:
        answer: the student's function or class.
        *args: its arguments; the student's code gets copies, so the originals stay as they are.
        warnings_wrong: whether a RuntimeWarning (overflow, division by zero) is a wrong answer.
        student: where `answer` is a wrapper, the student's own function or class inside it.
        **kwargs: its keyword arguments.

    Raises:
        Finding: the stub is still empty; the code raised an error (its own line is quoted with
            the arguments); it returned nothing; it changed an argument in place; or it warned and
            `warnings_wrong` is set.
    """
    if not callable(answer):
        malformed(f"expected a function, received {describe(answer)}")
    given = copy.deepcopy((args, kwargs))
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            value = answer(*given[0], **given[1])
        except NotImplementedError:
            raise Finding(State.NOT_ATTEMPTED) from None
        except Finding:
            raise
        except Exception as error:  # noqa: BLE001 - whatever the student's code raises is told
            raise Finding(State.RAISED, explain(error, student or answer, args, kwargs)) from error
    shown = _arguments(args, kwargs)
    if value is None:
        malformed(f"returned nothing for {shown}; is a `return` missing?")
    for before, after in zip(
        [*args, *kwargs.values()], [*given[0], *given[1].values()], strict=True
    ):
        if not _same(before, after):
            wrong(
                f"changed its input in place: {describe(before)} became {describe(after)}.\n"
                "Compute with a copy, and leave what the caller gave as it was."
            )
    numeric = [w for w in caught if issubclass(w.category, RuntimeWarning)]
    if warnings_wrong and numeric:
        wrong(f"right or not, it is unstable: for {shown} NumPy warns '{numeric[0].message}'")
    return value


def explain(error: Exception, answer: object, args: tuple, kwargs: Mapping) -> str:
    """Return the error, the student's own line that raised it, and the arguments in use."""
    if isinstance(error, MemoryError) or "can't allocate memory" in str(error):
        reason = "asked for more memory than a check allows"
    else:
        reason = f"{type(error).__name__}: {error}"
    parts = [answer, *vars(answer).values()] if isinstance(answer, type) else [answer]
    bare = [getattr(part, "__func__", part) for part in parts]  # static methods' functions
    home = {part.__code__.co_filename for part in bare if hasattr(part, "__code__")}
    frames = traceback.extract_tb(error.__traceback__)
    outside = [f for f in frames if f.filename in home] or [
        f for f in frames if "site-packages" not in f.filename and "helpers" not in f.filename
    ]
    line = ""
    if outside:
        frame = outside[-1]
        text = frame.line or linecache.getline(frame.filename, frame.lineno or 0).strip()
        line = f"\nin your line {frame.lineno}: {text}"
    return f"{reason}{line}\ncalled with {_arguments(args, kwargs)}"


def as_array(value: object, given: str = "") -> NDArray:
    """Return a number, sequence, array or tensor as a NumPy array of numbers.

    Raises:
        Finding: it is not made of numbers.
    """
    if isinstance(value, torch.Tensor):
        value = value.detach().cpu().to(torch.float64 if value.is_floating_point() else value.dtype)
    where = f" for {given}" if given else ""
    try:
        array = np.asarray(value)
    except (TypeError, ValueError, RuntimeError):
        array = np.asarray(None)
    if array.dtype.kind not in "biufc":
        malformed(f"expected numbers{where}, received {describe(value)}")
    return array


def expect_shape(received: NDArray, shape: tuple[int, ...], given: str, hint: str = "") -> None:
    """End the check unless the array has this shape; `hint` says what may have gone wrong."""
    if received.shape != tuple(shape):
        message = f"for {given}: expected shape {tuple(shape)}, received shape {received.shape}"
        malformed(message + (f"\n{hint}" if hint else ""))


def expect_close(
    received: object,
    expected: ArrayLike,
    given: str,
    *,
    inputs: NDArray | None = None,
    rtol: float = 1e-5,
    atol: float = 1e-7,
    mistakes: Mapping[str, ArrayLike] | None = None,
    hint: str = "",
) -> None:
    """End the check unless the received numbers are the expected ones.

    Args:
        received: the student's number, array or tensor; its shape must be that of `expected`.
        expected: the reference values.
        given: what the answer was computed for, to be quoted.
        inputs: where the answer is elementwise, the inputs, to quote the one that differs.
        rtol: relative tolerance.
        atol: absolute tolerance.
        mistakes: for each common mistake, a sentence that names it and the value it leads to.
        hint: one sentence added to any other wrong answer.
    """
    expected = np.asarray(expected)
    value = as_array(received, given)
    expect_shape(value, expected.shape, given, hint)
    right = np.isclose(value, expected, rtol=rtol, atol=atol)
    if right.all():
        return
    named = [
        sentence
        for sentence, outcome in (mistakes or {}).items()
        if np.shape(outcome) == value.shape
        and np.allclose(value, outcome, rtol=rtol, atol=atol, equal_nan=True)
    ]
    where = tuple(int(i) for i in np.argwhere(~right)[0])
    place = given if inputs is None else f"input {describe(np.asarray(inputs)[where])}"
    if inputs is None and where:
        place += f", at index {where if len(where) > 1 else where[0]}"
    said = f"for {place}: expected {describe(expected[where])}, received {describe(value[where])}"
    wrong("\n".join(filter(None, [*named[:1], said, "" if named else hint])))


def expect_elementwise(
    answer: Callable,
    reference: Callable[[NDArray], NDArray],
    inputs: ArrayLike,
    *,
    mistakes: Mapping[str, Callable[[NDArray], ArrayLike]] | None = None,
    rtol: float = 1e-5,
    atol: float = 1e-7,
    hint: str = "",
    warnings_wrong: bool = False,
    name: str = "z",
) -> None:
    """End the check unless `answer` is, element by element, the reference function.

    `mistakes` maps a sentence that names a mistake to the function one gets by making it.
    """
    z = np.asarray(inputs, dtype=np.float64)
    given = f"{name} = {describe(z)}"
    received = call(answer, z, warnings_wrong=warnings_wrong)
    with np.errstate(all="ignore"):
        outcomes = {sentence: f(z) for sentence, f in (mistakes or {}).items()}
    expect_close(
        received,
        reference(z),
        given,
        inputs=z,
        rtol=rtol,
        atol=atol,
        mistakes=outcomes,
        hint=hint,
    )


def describe(value: object) -> str:
    """Return a short text for a value: numbers to six digits, long arrays abridged, or its type."""
    if isinstance(value, torch.Tensor):
        return (
            f"tensor({describe(value.detach().cpu().numpy())})"
            if value.ndim
            else f"{value.item():.6g}"
        )
    if isinstance(value, (bool, np.bool_)):
        return str(value)
    if isinstance(value, (int, float, np.number)):
        return f"{value:.6g}" if not isinstance(value, (int, np.integer)) else str(value)
    if isinstance(value, np.ndarray):
        if value.ndim == 0:
            return describe(value[()])
        return np.array2string(value, precision=6, threshold=8, edgeitems=3, separator=", ")
    if isinstance(value, str):
        return repr(value if len(value) < 60 else value[:57] + "…")
    if isinstance(value, (tuple, list)) and len(value) <= 6:
        inside = ", ".join(describe(item) for item in value)
        return f"({inside})" if isinstance(value, tuple) else f"[{inside}]"
    return f"an object of type {type(value).__name__}"


def _arguments(args: tuple, kwargs: Mapping) -> str:
    named = [f"{key} = {describe(value)}" for key, value in kwargs.items()]
    return ", ".join([*map(describe, args), *named]) or "no arguments"


def _same(before: object, after: object) -> bool:
    if isinstance(before, torch.Tensor) and isinstance(after, torch.Tensor):
        return before.shape == after.shape and torch.equal(
            before.detach().nan_to_num(), after.detach().nan_to_num()
        )
    if isinstance(before, np.ndarray) and isinstance(after, np.ndarray):
        return before.shape == after.shape and np.array_equal(
            before, after, equal_nan=before.dtype.kind in "fc"
        )
    if isinstance(before, (list, tuple)) and isinstance(after, (list, tuple)):
        return len(before) == len(after) and all(map(_same, before, after))
    if isinstance(before, dict) and isinstance(after, dict):
        return before.keys() == after.keys() and all(_same(before[k], after[k]) for k in before)
    return True


__all__ = [
    "Check",
    "Checklist",
    "Finding",
    "State",
    "Verdict",
    "as_array",
    "call",
    "describe",
    "expect_close",
    "expect_elementwise",
    "expect_shape",
    "malformed",
    "waits_for",
    "wrong",
]
