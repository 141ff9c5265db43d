"""Calling a student's code: on copies, in a state of its own, within limits, and never delegated.

Whatever the code does ends in a value or in a `Finding`, and is undone.
"""

import contextlib
import copy
import inspect
import io
import linecache
import os
import random
import sys
import traceback
import types
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cache, partial
from typing import Any

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import torch
from IPython import get_ipython

from helpers.differences import Finding, State, arguments, describe, detached, malformed, wrong


class Delegated(BaseException):
    """An answer called what it was asked to write itself; no `except Exception` holds it back."""


def attempted(answer: Any, a_class: bool) -> None:
    """Raise `Finding` where there is no answer, or not the kind of thing asked for."""
    if answer is None or answer is ...:
        raise Finding(State.NOT_ATTEMPTED)
    if a_class != inspect.isclass(answer) or not callable(answer):
        wanted = "a class" if a_class else "a function"
        got = f"the class {answer.__name__}" if inspect.isclass(answer) else describe(answer)
        malformed(f"expected {wanted}, received {got}")
    if inspect.isgeneratorfunction(answer) or inspect.iscoroutinefunction(answer):
        malformed("the function is a generator; give its result back with `return`, not `yield`")


def caller(
    answer: Callable, forbidden: Sequence[tuple] = (), heard: list[str] | None = None
) -> Callable[..., Any]:
    """Return `call(function, *args, **kwargs)`, which runs the student's code on copies.

    It raises `Finding` where a stub is still empty, the code raises (the student's own line is
    quoted with the arguments), calls what is forbidden, returns nothing, or changes an argument.
    Where `heard` is given, overflows and the like are added to it, though they be silenced.
    """

    def call(function: Callable, *args: Any, **kwargs: Any) -> Any:
        given, named = copy.deepcopy((args, kwargs))
        try:
            with contextlib.ExitStack() as undo:
                _forbid(undo, forbidden, answer)
                if heard is not None:
                    function = inspect.unwrap(function, stop=_not_numpys)  # its errstate goes
                    _listen(undo, heard, answer)
                value = function(*given, **named)
        except NotImplementedError as error:
            if by_torch(error):
                raise Finding(State.RAISED, explain(error, answer, args, kwargs)) from error
            raise Finding(State.NOT_ATTEMPTED, _other_stub(error, answer)) from None
        except Delegated as error:
            malformed(f"it uses {error}: write yourself what the exercise asks for")
        except Finding:
            raise
        except (Exception, SystemExit) as error:  # noqa: BLE001 - whatever it raises is told
            raise Finding(State.RAISED, explain(error, answer, args, kwargs)) from error
        shown = arguments(args, kwargs)
        if value is None:
            malformed(f"returned nothing; is a `return` missing? Called with {shown}")
        if inspect.isgenerator(value):
            malformed(f"returned a generator for {shown}; return the numbers themselves")
        for old, new in zip([*args, *kwargs.values()], [*given, *named.values()], strict=True):
            if not _same(old, new):
                wrong(
                    f"changed its input in place: {describe(old)} became {describe(new)}.\n"
                    "Compute with a copy, and leave what the caller gave as it was."
                )
        return value

    return call


def by_torch(error: NotImplementedError) -> bool:
    """Return whether PyTorch raised it, as for a module without `forward`; no stub is to blame."""
    *_, (frame, _) = traceback.walk_tb(error.__traceback__)
    return frame.f_globals.get("__name__", "").startswith("torch.")


def _not_numpys(function: Any) -> bool:
    return not getattr(function, "__globals__", {}).get("__name__", "").startswith("numpy.")


def _other_stub(error: NotImplementedError, answer: Callable) -> str:
    name = traceback.extract_tb(error.__traceback__)[-1].name
    parts = {getattr(answer, "__name__", name), "forward", "backward", "__init__", "<lambda>"}
    return "" if name in parts else f"it calls `{name}`, which is not attempted yet"


def explain(error: BaseException, answer: Any, args: tuple, kwargs: Mapping) -> str:
    """Return the error, the student's own line that raised it, and the arguments in use."""
    if isinstance(error, MemoryError) or "can't allocate memory" in str(error):
        reason = "asked for more memory than a check allows"
    else:
        reason = f"{type(error).__name__}: {error}"
    home = {function.__code__.co_filename for function in _functions(answer)}
    frames = traceback.extract_tb(error.__traceback__)
    outside = [f for f in frames if f.filename in home] or [
        f for f in frames if "site-packages" not in f.filename and "helpers" not in f.filename
    ]
    line = ""
    if outside:
        frame = outside[-1]
        text = frame.line or linecache.getline(frame.filename, frame.lineno or 0).strip()
        line = f"\nin your line {frame.lineno}: {text}"
    return f"{reason}{line}\ncalled with {arguments(args, kwargs)}"


def _functions(answer: Any) -> list[types.FunctionType]:
    """Return the Python functions that an answer consists of."""
    parts = [answer, *vars(answer).values()] if inspect.isclass(answer) else [answer]
    bare = [inspect.unwrap(getattr(part, "__func__", part)) for part in parts]
    return [part for part in bare if isinstance(part, types.FunctionType)]


def _forbid(undo: contextlib.ExitStack, forbidden: Sequence[tuple], answer: Any) -> None:
    """Put a guard in the place of what an answer may not call, by whatever name it knows it.

    Where a third entry says when, its docstring, such as "of a matrix", ends the name in messages.
    """
    for owner, name, *when in forbidden:
        original = getattr(owner, name)
        label = f"{owner.__name__.removeprefix('helpers.')}.{name}"
        label += "".join(f" {condition.__doc__}" for condition in when if condition.__doc__)
        if isinstance(original, types.FunctionType) and not original.__closure__ and not when:
            # Whatever name the answer knows it by, it is this function: its code is replaced, by
            # that of a function that stands alone.
            space: dict[str, Any] = {}
            imported = "from helpers.calling import Delegated"
            exec(f"def guard(*_, **__):\n {imported}\n raise Delegated({label!r})", space)
            undo.callback(setattr, original, "__code__", original.__code__)
            original.__code__ = space["guard"].__code__
        else:
            _replace(undo, owner, name, _guard(label, original, *when), answer)


def _guard(label: str, original: Callable, *when: Callable[..., bool]) -> Callable:
    def guard(*args: Any, **kwargs: Any) -> Any:
        if all(condition(*args, **kwargs) for condition in when):
            raise Delegated(label)
        return original(*args, **kwargs)

    return guard


def _replace(undo: contextlib.ExitStack, owner: Any, name: str, new: Any, answer: Any) -> None:
    """Put `new` in the place of an attribute, and of the names by which the answer knows it."""
    original = getattr(owner, name)
    if name in vars(owner):
        undo.callback(setattr, owner, name, original)
    else:
        undo.callback(delattr, owner, name)
    setattr(owner, name, new)
    for space in {id(f.__globals__): f.__globals__ for f in _functions(answer)}.values():
        for known in [key for key, value in space.items() if value is original]:
            undo.callback(space.__setitem__, known, original)
            space[known] = new


def _listen(undo: contextlib.ExitStack, heard: list[str], answer: Any) -> None:
    """Record each overflow, division by zero and invalid operation, though they be silenced."""
    errstate = np.errstate
    loud = errstate(all="call", under="ignore", call=lambda event, _: heard.append(event))
    undo.enter_context(loud)
    _replace(undo, np, "errstate", lambda **_: errstate(), answer)
    _replace(undo, np, "seterr", lambda **_: np.geterr(), answer)


@cache
def warm_up() -> None:
    """Import what PyTorch imports at first use, so that no time limit can cut an import short."""
    x = torch.ones(2, requires_grad=True)
    torch.autograd.grad(x * x, x, torch.eye(2), is_grads_batched=True)
    torch.optim.SGD([x], lr=0.1).step()
    torch.autograd.gradcheck(torch.sin, torch.ones(1, dtype=torch.float64, requires_grad=True))


@contextlib.contextmanager
def own_state() -> Iterator[None]:
    """Run the block under fixed global settings, unheard; then all is as the student had it."""
    python, numpy, dtype = random.getstate(), np.random.get_state(), torch.get_default_dtype()
    figures = set(plt.get_fignums())
    with contextlib.ExitStack() as undo:
        for context in (
            contextlib.redirect_stdout(io.StringIO()),
            contextlib.redirect_stderr(io.StringIO()),
            warnings.catch_warnings(),
            np.errstate(all="warn", under="ignore"),
            torch.enable_grad(),
            torch.random.fork_rng(devices=[]),
            mpl.rc_context(),
            np.printoptions(suppress=False, floatmode="maxprec", sign="-", formatter=None),
        ):
            undo.enter_context(context)
        undo.callback(random.setstate, python)
        undo.callback(np.random.set_state, numpy)
        undo.callback(torch.set_default_dtype, dtype)
        undo.callback(torch.set_num_threads, torch.get_num_threads())
        with contextlib.suppress(OSError):  # the working folder may be gone
            undo.callback(os.chdir, os.getcwd())
        undo.callback(sys.setrecursionlimit, sys.getrecursionlimit())
        undo.callback(lambda: list(map(plt.close, set(plt.get_fignums()) - figures)))
        if shell := get_ipython():  # where exit() would end the kernel
            _replace(undo, shell, "ask_exit", partial(sys.exit, "exit() was called"), None)
        warnings.simplefilter("ignore")
        mpl.rcdefaults()
        torch.set_default_dtype(torch.float32)
        random.seed(0), np.random.seed(0), torch.manual_seed(0)
        yield


def _same(before: Any, after: Any) -> bool:
    if isinstance(before, (torch.Tensor, np.ndarray)) and type(before) is type(after):
        old, new = detached(before), detached(after)
        return np.array_equal(old, new, equal_nan=old.dtype == new.dtype and old.dtype.kind in "fc")
    if isinstance(before, (list, tuple)) and isinstance(after, (list, tuple)):
        return len(before) == len(after) and all(map(_same, before, after))
    if isinstance(before, dict) and isinstance(after, dict):
        return before.keys() == after.keys() and all(_same(before[k], after[k]) for k in before)
    return True
