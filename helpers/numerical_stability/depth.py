"""A signal through many layers: real random networks, and what mean-field theory predicts.

Notebook 04 sends a random input forward and a random gradient backward through layers of equal
width and follows the mean squares of a⁽ˡ⁾ and δ⁽ˡ⁾, or the cosine of two inputs. A layer is known
by its unit and its gain, and a residual one, a + branch · W σ(a), by its branch as well.

Theory: Poole et al. 2016 and Schoenholz et al. 2017 for wide layers, Hanin and Nica 2020 for the
spread that a finite width brings.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from helpers import activations

Stack = Sequence[NDArray] | NDArray  # a layer's matrix each
Pair = tuple[str, float] | tuple[str, float, float]  # a unit's name, a gain, perhaps a branch
GAINS = {"xavier": 1.0, "kaiming": 2.0}  # n Var W where n_in = n_out = n

_T = np.linspace(-10, 10, 2001)[:-1] + 10 / 2000  # midpoints: symmetric about 0, never 0
_PHI = np.exp(-_T * _T / 2) / np.exp(-_T * _T / 2).sum()


@dataclass(frozen=True)
class Signal:
    """Mean squares by layer, of one network or many."""

    activations: NDArray  # mean of a² for layers 0 (the input) to depth, (…, depth + 1)
    gradients: NDArray  # mean of δ² for layers 1 to depth, over that of the last, (…, depth)


@dataclass(frozen=True)
class MeanField(Signal):
    """What theory predicts: means over networks, and the spread from one network to the next."""

    activation_spread: NDArray  # standard deviation of ln of the mean of a², (depth + 1,)
    gradient_spread: NDArray  # standard deviation of ln of the mean of δ², (depth,)

    @property
    def typical(self) -> Signal:
        """The medians over networks, e^(−spread²/2) times the means, as for log-normal numbers."""
        return Signal(
            self.activations * np.exp(-(self.activation_spread**2) / 2),
            self.gradients * np.exp(-(self.gradient_spread**2) / 2),
        )


def _check(gain: float, depth: int, width: float) -> None:
    if not gain >= 0:
        raise ValueError(f"gain is {gain}; n · Var W is at least 0")
    if depth < 1 or width < 1:
        raise ValueError(f"depth is {depth} and width {width}; both must be at least 1")


def gaussian_moment(unit: str, variance: float, slope: bool = False) -> float:
    """Return E[σ(z)²], or E[σ′(z)²], for z ~ N(0, variance), by summing over a grid."""
    known = activations.get(unit)
    function = known.derivative if slope else known.value
    return float(_PHI @ function(np.sqrt(variance) * _T) ** 2)


def gain_of(sigma: Callable[[NDArray], NDArray]) -> float:
    """Return the gain with which E[z²] stays 1 from layer to layer: 1 / E[σ(t)²], t ~ N(0, 1)."""
    return float(1 / (_PHI @ sigma(_T) ** 2))


def cosines(unit: str, gain: float, depth: int, start: float) -> NDArray:
    """Return what theory predicts for the cosine of two inputs, of mean square 1, (depth + 1,).

    A layer turns pre-activations z, w of variance q and correlation c into activations of cosine
    E[σ(z) σ(w)] / E[σ(z)²].
    """
    t, phi, sigma = _T[::5], _PHI[::5] / _PHI[::5].sum(), activations.get(unit).value
    q, found = 1.0, [start]
    for _ in range(depth):
        z = np.sqrt(gain * q) * t
        c = min(found[-1], 1.0)
        both = sigma(z) @ (phi[:, None] * sigma(c * z[:, None] + np.sqrt(1 - c * c) * z) @ phi)
        q = float(phi @ sigma(z) ** 2)
        found.append(float(both) / q)
    return np.array(found)


def residual_field(unit: str, gain: float, depth: int, branch: float) -> Signal:
    """Return what theory predicts for residual layers: like `mean_field`, for very wide layers."""
    factor, squares, growth = branch**2 * gain, [1.0], []
    for _ in range(depth):
        growth.append(1 + factor * gaussian_moment(unit, squares[-1], slope=True))
        squares.append(squares[-1] + factor * gaussian_moment(unit, squares[-1]))
    return Signal(np.array(squares), np.cumprod([1.0, *growth[:0:-1]])[::-1])


def mean_field(unit: str, gain: float, depth: int, width: float = np.inf) -> MeanField:
    """Return what theory predicts layer by layer for an input of mean square 1.

    q = gain · E[a²] is the variance of z; E[a²] of the next layer is E[σ(z)²] over z ~ N(0, q),
    and δ² grows by gain · E[σ′(z)²] on its way back. An infinite width brings no spread.
    """
    _check(gain, depth, width)
    squares = [1.0]
    for _ in range(depth):
        squares.append(gaussian_moment(unit, gain * squares[-1]))
    known = activations.get(unit)
    z = np.sqrt(gain * np.array(squares[:-1]))[:, None] * _T  # a row a layer
    a, slopes = known.value(z), known.derivative(z)
    growth = gain * (slopes**2 @ _PHI)
    noise = [2 / width]  # variance of ln of the mean of a²; what a layer adds, and what it hands on
    added = (_over(a**4 @ _PHI, (a**2 @ _PHI) ** 2) - 1) / width
    kept = _over((a * slopes * z) @ _PHI, a**2 @ _PHI) ** 2  # (d ln E[σ²] / d ln q)²; 1 for ReLU
    for new, share in zip(added, kept, strict=True):
        noise.append(share * noise[-1] + new)
    back = (3 * _over(slopes**4 @ _PHI, (slopes**2 @ _PHI) ** 2) - 1) / width
    products = np.cumprod([1.0, *growth[-2::-1]])[::-1]  # over layers l … depth − 1
    spreads = np.cumsum([0.0, *back[-2::-1]])[::-1]
    return MeanField(np.array(squares), products, np.sqrt(noise), np.sqrt(spreads))


def _over(moments: NDArray, others: NDArray) -> NDArray:
    # 1 where there is nothing to vary
    return np.divide(moments, others, out=np.ones_like(moments), where=others > 0)


def unit_matrices(depth: int, width: int, rng: Generator, law: str = "normal") -> NDArray:
    """Return float32 matrices of mean 0 and variance 1, (depth, width, width)."""
    shape = (depth, width, width)
    if law == "normal":
        return rng.standard_normal(shape, dtype=np.float32)
    if law == "uniform":
        return np.float32(2 * np.sqrt(3)) * (rng.random(shape, np.float32) - np.float32(0.5))
    raise ValueError(f"law {law!r} unknown; choose normal or uniform")


def forward_backward(
    unit: str, matrices: Stack, scale: float, x: NDArray, top: NDArray, branch: float | None = None
) -> tuple[list[NDArray], list[NDArray]]:
    """Return a⁽⁰⁾ to a⁽ᴸ⁾ and δ⁽¹⁾ to δ⁽ᴸ⁾ of layers whose weights are scale · matrix.

    A unit follows every layer; a matrix has the shape (fan_out, fan_in), `x` (fan_in,) or, for
    a batch, (fan_in, batch), and `top`, the gradient at the last activations, theirs. With a
    `branch`, a layer gives a + branch · scale · matrix σ(a), and each δ is a gradient at a.
    """
    known = activations.get(unit)
    if branch is not None:
        return _residual(known, matrices, branch * scale, x, top)
    scale = matrices[0].dtype.type(scale)
    signals, slopes = [x], []
    for matrix in matrices:
        z = matrix @ signals[-1] * scale
        signals.append(known.value(z))
        slopes.append(known.derivative(z))
    deltas = [slopes[-1] * top]
    for matrix, slope in zip(matrices[:0:-1], slopes[-2::-1], strict=True):
        deltas.append(slope * (matrix.T @ deltas[-1] * scale))
    return signals, deltas[::-1]


def _residual(
    known: activations.Activation, matrices: Stack, scale: float, x: NDArray, top: NDArray
) -> tuple[list[NDArray], list[NDArray]]:
    signals, deltas, scale = [x], [top], matrices[0].dtype.type(scale)
    for matrix in matrices:
        signals.append(signals[-1] + matrix @ known.value(signals[-1]) * scale)
    for matrix, a in zip(matrices[:0:-1], signals[-2:0:-1], strict=True):
        deltas.append(deltas[-1] + known.derivative(a) * (matrix.T @ deltas[-1] * scale))
    return signals, deltas[::-1]


def mean_squares(signals: Sequence[NDArray]) -> NDArray:
    """Return the mean square of each array, (len(signals),), computed in float64."""
    return np.array([np.mean(np.square(signal, dtype=np.float64)) for signal in signals])


def through_depth(
    pairs: Iterable[Pair], depth: int, width: int, seeds: Iterable[int], law: str = "normal"
) -> dict[Pair, Signal]:
    """Return for each (unit, gain), or with a branch, what becomes of a signal in a network a seed.

    Every pair sees the same inputs and the same unit matrices, times √(gain / width). Each
    `Signal` has arrays of shape (seeds, depth + 1) and (seeds, depth).
    """
    found: dict[Pair, list[tuple[NDArray, NDArray]]] = {pair: [] for pair in pairs}
    for _, gain, *_ in found:
        _check(gain, depth, width)
    for rng in map(np.random.default_rng, seeds):
        inputs, top = rng.standard_normal((2, width), dtype=np.float32)
        matrices = unit_matrices(depth, width, rng, law)
        for (unit, gain, *branch), runs in found.items():
            scale = np.sqrt(gain / width)
            a, delta = forward_backward(unit, matrices, scale, inputs, top, *branch)
            squares = mean_squares(delta)
            runs.append((mean_squares(a), squares / squares[-1]))
    return {pair: Signal(*map(np.array, zip(*runs, strict=True))) for pair, runs in found.items()}
