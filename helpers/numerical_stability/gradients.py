"""The gradient as a product of random matrices: sampling it, and its variance, in logarithms.

Notebook 04 models ∇W⁽ˡ⁾ℒ = D⁽ˡ⁾ W⁽ˡ⁺¹⁾ᵀ D⁽ˡ⁺¹⁾ … W⁽ᴸ⁾ᵀ D⁽ᴸ⁾ ∇_y ℒ a⁽ˡ⁻¹⁾ᵀ with all entries
independent, normal and of mean 0.
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.random import Generator
from numpy.typing import ArrayLike, DTypeLike, NDArray


@dataclass(frozen=True)
class RandomProduct:
    """The model's settings; numbers out of their range raise a ValueError."""

    L: int  # number of layers, at least 3
    layer: int  # the layer l whose weights' gradient is meant, from 2 to L − 1
    N: int  # width of every layer
    slope: float = 1.0  # standard deviation of the slopes σ′(z)
    weight: float = 1.0  # … of the weights
    output: float = 1.0  # … of ∂ℒ/∂y
    activation: float = 1.0  # … of the activations a⁽ˡ⁻¹⁾

    def __post_init__(self) -> None:
        """Check every number."""
        if self.N < 1 or not 2 <= self.layer < self.L:
            said = f"layer is {self.layer} with L = {self.L} and N = {self.N}"
            raise ValueError(f"{said}; choose a layer from 2 to L − 1, and N at least 1")
        for name in ("slope", "weight", "output", "activation"):
            if not (value := getattr(self, name)) >= 0:
                raise ValueError(f"{name} is {value}; a standard deviation is at least 0")


def log10_variance(model: RandomProduct) -> float:
    """Return log₁₀ of the variance of an entry of the gradient; −inf where the variance is 0.

    Var = N^(L−l) · slope^(2(L−l+1)) · weight^(2(L−l)) · output² · activation², as a sum of logs.
    """
    m, steps = model, model.L - model.layer
    with np.errstate(divide="ignore"):
        logs = np.log10([m.N, m.slope, m.weight, m.output, m.activation])
    return float(np.dot([steps, 2 * (steps + 1), 2 * steps, 2, 2], logs))


def spread(model: RandomProduct, repeats: int) -> float:
    """Return the relative standard deviation of the empirical variance over that many gradients.

    One gradient's mean square multiplies L − l + 1 factors mean(s²u²), s and u standard normal
    of length N, each of relative variance 8/N, and one mean(a²) of relative variance 2/N.
    """
    growth = (1 + 8 / model.N) ** (model.L - model.layer + 1) * (1 + 2 / model.N)
    return float(np.sqrt((growth - 1) / repeats))


def sample_gradient(model: RandomProduct, rng: Generator, dtype: DTypeLike = np.float64) -> NDArray:
    """Return one sample of the gradient, (N, N), multiplied out from the output backwards.

    Entries are drawn in float64 and multiplied in `dtype`; what overflows becomes inf or NaN.
    """
    N = model.N

    def normal(std: float, *shape: int) -> NDArray:
        return (std * rng.standard_normal(shape)).astype(dtype)

    with np.errstate(over="ignore", invalid="ignore", under="ignore"):
        delta = normal(model.slope, N) * normal(model.output, N)
        for _ in range(model.L - model.layer):
            delta = normal(model.slope, N) * (normal(model.weight, N, N) @ delta)
        return np.outer(delta, normal(model.activation, N))


def log10_mean(logs: ArrayLike, axis: int = 0) -> NDArray:
    """Return log₁₀ of the mean of 10^logs, whatever their size; −inf where all are −inf."""
    logs = np.asarray(logs)
    return np.logaddexp.reduce(np.log(10) * logs, axis) / np.log(10) - np.log10(logs.shape[axis])


class LogSample(NamedTuple):
    """Samples of the gradient δ aᵀ, in logarithms."""

    diagonal: NDArray  # log₁₀ magnitude of each gradient's diagonal entries, (repeats, N)
    mean_square: NDArray  # log₁₀ of each gradient's mean square over all its entries, (repeats,)


def sample_log10(model: RandomProduct, repeats: int, rng: Generator) -> LogSample:
    """Return `repeats` samples with the law of `sample_gradient`, which cannot leave the range.

    A Gaussian matrix times an independent vector v is a Gaussian vector of standard deviation
    weight · ‖v‖ per entry, so N numbers do for N², and ‖v‖ is carried as a logarithm.
    """

    def normal() -> NDArray:
        return rng.standard_normal((repeats, model.N))

    with np.errstate(divide="ignore"):
        v, scale = normal() * normal(), np.log10(model.slope) + np.log10(model.output)
        for _ in range(model.L - model.layer):
            scale = scale + np.log10(model.slope) + np.log10(model.weight)
            scale = scale + np.log10(np.linalg.norm(v, axis=1, keepdims=True))
            v = normal() * normal()
        delta = scale + np.log10(np.abs(v))
        a = np.log10(model.activation) + np.log10(np.abs(normal()))
    return LogSample(delta + a, log10_mean(2 * delta, axis=1) + log10_mean(2 * a, axis=1))
