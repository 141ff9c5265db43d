"""The law of Marchenko and Pastur (1967) on singular values of random matrices, for notebook 05.

The singular values of a large fan_out×fan_in matrix of independent entries of variance s² fill the
interval from σ₋ = s |√fan_in − √fan_out| to σ₊ = s (√fan_in + √fan_out).
"""

import numpy as np
from numpy.typing import ArrayLike, NDArray


def edges(fan_in: int, fan_out: int, variance: float) -> tuple[float, float]:
    """Return σ₋ and σ₊; raise ValueError for a size below 1 or a variance that is not positive."""
    if min(fan_out, fan_in) < 1 or not variance > 0:
        given = f"fan_in, fan_out, variance are {fan_in}, {fan_out}, {variance}"
        raise ValueError(f"{given}; give sizes of at least 1 and a positive variance")
    n, m = np.sqrt(fan_in), np.sqrt(fan_out)
    return float(np.sqrt(variance) * abs(n - m)), float(np.sqrt(variance) * (n + m))


def density(values: ArrayLike, fan_in: int, fan_out: int, variance: float) -> NDArray:
    """Return the density of the singular values at these ones; 0 outside the edges.

    √((σ₊² − σ²)(σ² − σ₋²)) / (π s² p σ) with p = min(fan_out, fan_in); it integrates to 1.
    """
    low, high = edges(fan_in, fan_out, variance)
    v = np.asarray(values, dtype=np.float64)
    inside = (v > low) & (v < high)
    root = np.sqrt(np.where(inside, (high**2 - v**2) * (v**2 - low**2), 0.0))
    return root / (np.pi * variance * min(fan_out, fan_in) * np.where(inside, v, 1.0))
