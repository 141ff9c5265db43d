"""Singular values of random weight matrices, and matrices whose singular values are chosen.

Notebook 05 holds them against the law of Marchenko and Pastur (1967): the singular values of a
large m×n matrix of independent entries of variance s² fill the interval from s |√m − √n| to
s (√m + √n).
"""

from collections.abc import Callable, Sequence

import numpy as np
from numpy.random import Generator
from numpy.typing import ArrayLike, NDArray

from helpers.initialization import normal

# Variance of a weight by rule, as a function of fan_in and fan_out. The page "Distilled" calls
# the first Xavier's; Glorot and Bengio (2010) give the second, He et al. (2015) the third; the
# slides give the fourth as He's.
VARIANCES: dict[str, Callable[[int, int], float]] = {
    "1/n_in": lambda fan_in, fan_out: 1 / fan_in,
    "2/(n_in + n_out)": lambda fan_in, fan_out: 2 / (fan_in + fan_out),
    "2/n_in": lambda fan_in, fan_out: 2 / fan_in,
    "4/(n_in + n_out)": lambda fan_in, fan_out: 4 / (fan_in + fan_out),
}


def singular_values(W: NDArray) -> NDArray:
    """Return W's singular values, largest first; min(m, n) of them."""
    return np.linalg.svd(W, compute_uv=False)


def edges(fan_in: int, fan_out: int, variance: float) -> tuple[float, float]:
    """Return the ends of the interval that the singular values fill, smaller first.

    Args:
        fan_in: number of columns, at least 1.
        fan_out: number of rows, at least 1.
        variance: of an entry, positive.

    Raises:
        ValueError: a size below 1 or a variance that is not positive.
    """
    if min(fan_out, fan_in) < 1 or not variance > 0:
        raise ValueError(
            f"fan_in, fan_out, variance are {fan_in}, {fan_out}, {variance}; "
            "give sizes of at least 1 and a positive variance"
        )
    n, m = np.sqrt(fan_in), np.sqrt(fan_out)
    return float(np.sqrt(variance) * abs(n - m)), float(np.sqrt(variance) * (n + m))


def density(values: ArrayLike, fan_in: int, fan_out: int, variance: float) -> NDArray:
    """Return Marchenko and Pastur's density at these singular values; 0 outside the edges.

    √((σ₊² − σ²)(σ² − σ₋²)) / (π s² p σ) with p = min(fan_out, fan_in); it integrates to 1.
    """
    low, high = edges(fan_in, fan_out, variance)
    v = np.asarray(values, dtype=np.float64)
    inside = (v > low) & (v < high)
    safe = np.where(inside, v, 1.0)
    root = np.sqrt(np.where(inside, (high**2 - safe**2) * (safe**2 - low**2), 0.0))
    return root / (np.pi * variance * min(fan_out, fan_in) * safe)


def orthogonal(fan_in: int, fan_out: int, rng: Generator, gain: float = 1.0) -> NDArray:
    """Return a random matrix whose singular values are all `gain` (Saxe et al. 2014)."""
    tall = rng.normal(size=(max(fan_out, fan_in), min(fan_out, fan_in)))
    q, r = np.linalg.qr(tall)
    q = q * np.sign(np.diag(r))  # without this, signs would favour some rotations
    return gain * (q if fan_out >= fan_in else q.T)


def layers(widths: Sequence[int], rule: str, rng: Generator, gain: float = 1.0) -> list[NDArray]:
    """Return W⁽¹⁾ … W⁽ᴸ⁾ of a network with widths n⁽⁰⁾ … n⁽ᴸ⁾.

    Args:
        widths: L + 1 widths, input first.
        rule: a key of `VARIANCES`, or `"orthogonal"`.
        rng: where the draws come from.
        gain: factor on every weight.

    Raises:
        ValueError: no rule is called so.
    """
    if rule != "orthogonal" and rule not in VARIANCES:
        raise ValueError(f"rule {rule!r} unknown; choose from orthogonal, {', '.join(VARIANCES)}")
    shapes = list(zip(widths[:-1], widths[1:], strict=True))
    if rule == "orthogonal":
        return [orthogonal(n, m, rng, gain) for n, m in shapes]
    return [normal(n, m, gain * np.sqrt(VARIANCES[rule](n, m)), rng) for n, m in shapes]
