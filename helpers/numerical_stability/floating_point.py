"""The limits of floating-point formats, and what subnormal numbers cost on this machine.

Notebook 04 opens with it. A number below the smallest normal one is *subnormal*: it keeps fewer
digits the smaller it is, and many processors compute with it in microcode, many times slower.
"""

import time
from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor


class Limits(NamedTuple):
    """The largest number, the smallest normal one, the smallest of all, and the spacing at 1."""

    largest: float
    smallest_normal: float
    smallest: float
    spacing: float


def limits(dtype: torch.dtype) -> Limits:
    """Return the limits of a floating-point format.

    Raises:
        ValueError: `dtype` is no floating-point format.
    """
    if not dtype.is_floating_point:
        raise ValueError(f"dtype is {dtype}; choose a floating-point one such as torch.float32")
    info = torch.finfo(dtype)
    return Limits(info.max, info.tiny, info.tiny * info.eps, info.eps)


def subnormal_share(values: Tensor) -> float:
    """Return which part of the values is subnormal: not 0, and below the smallest normal number."""
    size = values.abs()
    return float(((size > 0) & (size < torch.finfo(values.dtype).tiny)).double().mean())


def seconds(function: Callable[[], object], repeats: int = 5) -> float:
    """Return the shortest time of several calls, in seconds.

    Raises:
        ValueError: `repeats` is below 1.
    """
    if repeats < 1:
        raise ValueError(f"repeats is {repeats}; give at least 1")
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        function()
        times.append(time.perf_counter() - start)
    return min(times)
