"""The gradient as a product of random matrices: sampling it, and its variance, in logarithms.

Notebook 04 models ∇W⁽ˡ⁾ℒ = D⁽ˡ⁾ W⁽ˡ⁺¹⁾ᵀ D⁽ˡ⁺¹⁾ … W⁽ᴸ⁾ᵀ D⁽ᴸ⁾ ∇_y ℒ a⁽ˡ⁻¹⁾ᵀ with all entries
independent, normal and of mean 0. `sample_gradient` multiplies the matrices out; `sample_log10`
has the same law without any matrix, and neither overflows nor underflows.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray


@dataclass(frozen=True)
class RandomProduct:
    """The model's settings; numbers out of their range raise a ValueError.

    Attributes:
        L: number of layers, at least 3.
        layer: the layer l whose weights' gradient is meant, from 2 to L − 1.
        N: width of every layer, at least 1.
        slope: standard deviation of the slopes σ′(z), at least 0.
        weight: standard deviation of the weights, at least 0.
        output: standard deviation of ∂ℒ/∂y, at least 0.
        activation: standard deviation of the activations a⁽ˡ⁻¹⁾, at least 0.
    """

    L: int
    layer: int
    N: int
    slope: float = 1.0
    weight: float = 1.0
    output: float = 1.0
    activation: float = 1.0

    def __post_init__(self) -> None:
        """Check every number."""
        if self.N < 1:
            raise ValueError(f"N is {self.N}; a layer has at least 1 unit")
        if not 2 <= self.layer < self.L:
            raise ValueError(
                f"layer is {self.layer}; with L = {self.L} choose from 2 to {self.L - 1}"
            )
        for name in ("slope", "weight", "output", "activation"):
            value = getattr(self, name)
            if not value >= 0:
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


def sample_gradient(
    model: RandomProduct, rng: np.random.Generator, dtype: DTypeLike = np.float64
) -> NDArray:
    """Return one sample of the gradient, (N, N), multiplied out from the output backwards.

    Args:
        model: the settings.
        rng: where the entries come from, in float64.
        dtype: the precision in which they are multiplied; what overflows becomes inf or NaN.
    """
    N = model.N

    def normal(std: float, *shape: int) -> NDArray:
        return (std * rng.standard_normal(shape)).astype(dtype)

    with np.errstate(over="ignore", invalid="ignore", under="ignore"):
        delta = normal(model.slope, N) * normal(model.output, N)
        for _ in range(model.L - model.layer):
            delta = normal(model.slope, N) * (normal(model.weight, N, N) @ delta)
        return np.outer(delta, normal(model.activation, N))


@dataclass(frozen=True)
class LogSample:
    """Samples of the gradient δ aᵀ, as log₁₀|δ| and log₁₀|a|, each of shape (repeats, N)."""

    delta: NDArray
    activation: NDArray

    @property
    def diagonal(self) -> NDArray:
        """log₁₀ magnitude of each gradient's diagonal entries, (repeats, N)."""
        return self.delta + self.activation

    @property
    def mean_square(self) -> NDArray:
        """log₁₀ of each gradient's mean square over all its N × N entries, (repeats,)."""
        return log10_mean(2 * self.delta, axis=1) + log10_mean(2 * self.activation, axis=1)


def log10_mean(logs: ArrayLike, axis: int | None = None) -> NDArray:
    """Return log₁₀ of the mean of 10^logs, whatever their size; −inf where all are −inf."""
    logs = np.asarray(logs, dtype=np.float64)
    top = np.max(logs, axis=axis, keepdims=True)
    top = np.where(np.isfinite(top), top, 0)
    with np.errstate(divide="ignore"):
        mean = np.log10(np.mean(10 ** (logs - top), axis=axis))
    return mean + np.squeeze(top, axis=axis)


def sample_log10(model: RandomProduct, repeats: int, rng: np.random.Generator) -> LogSample:
    """Return `repeats` samples of the gradient with the law of `sample_gradient`.

    A Gaussian matrix times an independent vector v is a Gaussian vector of standard deviation
    weight · ‖v‖ per entry, so N numbers do for N², and ‖v‖ is carried as a logarithm.
    """
    shape = (repeats, model.N)
    with np.errstate(divide="ignore"):
        slope, weight, output, activation = np.log10(
            [model.slope, model.weight, model.output, model.activation]
        )
        vector = rng.standard_normal(shape) * rng.standard_normal(shape)
        scale = np.full((repeats, 1), slope + output)
        for _ in range(model.L - model.layer):
            norm = np.linalg.norm(vector, axis=1, keepdims=True)
            scale = scale + slope + weight + np.log10(norm)
            vector = rng.standard_normal(shape) * rng.standard_normal(shape)
        a = rng.standard_normal(shape)
        return LogSample(scale + np.log10(np.abs(vector)), activation + np.log10(np.abs(a)))
