"""Findings about an answer: how it differs from what was expected, and the words for that."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any, NoReturn

import numpy as np
import torch
from numpy.typing import NDArray


class State(Enum):
    """How an answer stands: a symbol and words, so that colour is not needed."""

    NOT_ATTEMPTED = "○ not attempted yet"
    RAISED = "! raised an error"
    MALFORMED = "△ not the kind of answer asked for"
    WRONG = "✗ wrong value"
    RIGHT = "✓ right"


class Finding(Exception):  # noqa: N818 - a result on its way up, not an error
    """Ends a judgement with a state other than right."""

    def __init__(self, state: State, message: str = "") -> None:
        super().__init__(message)
        self.state = state


def wrong(message: str) -> NoReturn:
    """End the judgement with the state `WRONG` and this message."""
    raise Finding(State.WRONG, message)


def malformed(message: str) -> NoReturn:
    """End the judgement with the state `MALFORMED` and this message."""
    raise Finding(State.MALFORMED, message)


class Remark(str):
    """An observation that is a sentence: why there are no numbers to compare."""


@dataclass(frozen=True)
class Fault:
    """The first difference between what was expected and what was received."""

    state: State
    what: str  # the sentence, to stand after "for INPUT"
    index: tuple[int, ...] = ()
    shape: tuple[int, ...] = ()

    def told(self, given: Any, elementwise: bool) -> str:
        """Return the sentence with the input that it is about."""
        if elementwise and len(self.index) == len(self.shape):
            for part in given.args:
                if isinstance(part, np.ndarray) and part.shape == self.shape:
                    single = " in float32" if part.dtype == np.float32 else ""
                    note = f" and {given.note}" if given.note else ""
                    return f"for input {describe(part[self.index])}{single}{note}: {self.what}"
        at = ", ".join(map(str, self.index))
        place = f", at index {at if len(self.index) == 1 else f'({at})'}" if self.index else ""
        return f"for {given}{place}: {self.what}"


def difference(received: Any, expected: Sequence[Any], rtol: float, atol: float) -> Fault | None:
    """Return how an observation differs from every one of those expected; None where it agrees.

    Numbers are compared entry by entry, each with any one of those expected; NaN equals NaN alone.
    """
    first = expected[0]
    if isinstance(received, Remark):
        return Fault(State.WRONG, received)
    if isinstance(first, Mapping):
        if not isinstance(received, Mapping):
            return Fault(State.MALFORMED, f"expected a dictionary, received {describe(received)}")
        if missing := [key for key in first if key not in received]:
            return Fault(State.MALFORMED, f"the entry {missing[0]!r} is missing")
        parts = [(f"{key}: ", received[key], [e[key] for e in expected]) for key in first]
    elif isinstance(first, (tuple, list)):
        array = isinstance(received, np.ndarray) and received.ndim
        size = len(received) if array or isinstance(received, (tuple, list)) else None
        if size != len(first):
            got = describe(received) if size is None else f"{size}: {describe(received)}"
            return Fault(State.MALFORMED, f"expected {len(first)} values, received {got}")
        told = [f"value {i} of {size}: " for i in range(1, len(first) + 1)] if size != 1 else [""]
        parts = [(told[i], received[i], [e[i] for e in expected]) for i in range(len(first))]
    elif isinstance(first, (str, bool)) or first is None:
        if any(type(received) is type(e) and received == e for e in expected):
            return None
        return Fault(State.WRONG, f"expected {describe(first)}, received {describe(received)}")
    else:
        return _unequal(received, [np.asarray(detached(e)) for e in expected], rtol, atol)
    for said, got, wanted in parts:
        if fault := difference(got, wanted, rtol, atol):
            return Fault(fault.state, said + fault.what, fault.index, fault.shape)
    return None


def _unequal(received: Any, expected: Sequence[NDArray], rtol: float, atol: float) -> Fault | None:
    try:
        value = as_array(received)
    except Finding as finding:
        return Fault(finding.state, str(finding))
    if value.dtype.kind == "b" and expected[0].dtype.kind != "b":
        said = "expected numbers, received True and False; make them 1 and 0"
        return Fault(State.MALFORMED, said)
    if all(value.shape != e.shape for e in expected):
        said = f"expected shape {expected[0].shape}, received shape {value.shape}"
        return Fault(State.MALFORMED, said)
    near = [np.isclose(value, e, rtol=rtol, atol=atol, equal_nan=True) for e in expected]
    right = np.logical_or.reduce(near)
    if right.all():
        return None
    index = tuple(int(i) for i in np.argwhere(~right)[0])
    wanted, got = expected[0][index], value[index]
    choices = " or ".join(dict.fromkeys(apart(e[index], got)[0] for e in expected))
    said = f"expected {choices}, received {apart(wanted, got)[1]}"
    if np.isnan(got):
        said += "\n(nan comes of inf/inf, inf - inf or 0/0, or of a root or logarithm below 0)"
    if value.dtype == np.float32 and np.isclose(got, wanted, rtol=1e-4):
        said += " (float32 keeps 7 digits; compute in float64)"
    return Fault(State.WRONG, said, index, value.shape)


def apart(expected: Any, received: Any) -> tuple[str, str]:
    """Return both numbers with digits enough to tell them apart, at least six."""
    for digits in range(6, 18):
        texts = f"{expected:.{digits}g}", f"{received:.{digits}g}"
        if texts[0] != texts[1]:
            break
    return texts


def detached(value: Any) -> Any:
    """Return a tensor as an array, and anything else as it is."""
    is_tensor = isinstance(value, torch.Tensor)
    return value.detach().cpu().resolve_conj().numpy() if is_tensor else value


def as_array(value: Any) -> NDArray:
    """Return a number, sequence, array or tensor as an array; raise `Finding` if it is none."""
    try:
        sequence = isinstance(value, (list, tuple))
        array = np.asarray([*map(detached, value)] if sequence else detached(value))
    except (TypeError, ValueError, RuntimeError):
        array = np.asarray(None)
    if array.dtype.kind not in "biufc":
        malformed(f"expected numbers, received {describe(value)}")
    return array


def by_name(values: Any, *names: str) -> dict[str, Any]:
    """Return the several values of an answer by these names; raise `Finding` if it has others."""
    if not isinstance(values, (tuple, list)) or len(values) != len(names):
        malformed(f"expected ({', '.join(names)}), received {describe(values)}")
    return dict(zip(names, values, strict=True))


def describe(value: Any) -> str:
    """Return a short text for a value: numbers to six digits, long arrays abridged, or its type."""
    try:
        return _described(value)
    except Exception:  # noqa: BLE001 - 10**5000 has too many digits, a sparse tensor no array
        return f"an object of type {type(value).__name__}"


def _described(value: Any) -> str:
    if isinstance(value, torch.Tensor):
        array = describe(detached(value))
        return f"tensor({array})" if value.ndim else array
    if isinstance(value, (bool, np.bool_, int, np.integer)):
        return str(value)
    if isinstance(value, (float, np.inexact)):
        return f"{value:.6g}"
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


def arguments(args: tuple, kwargs: Mapping) -> str:
    """Return the arguments of a call in words."""
    named = [f"{key} = {describe(value)}" for key, value in kwargs.items()]
    return ", ".join([*map(describe, args), *named]) or "no arguments"
