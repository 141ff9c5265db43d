"""A signal through many layers: real random networks, and what mean-field theory predicts.

Notebook 04 sends a random input forward and a random gradient backward through layers of equal
width and follows the mean squares of a⁽ˡ⁾ and δ⁽ˡ⁾. A layer is known by its unit and its `gain`
n · Var W: 1 for Xavier's weights and 2 for Kaiming's where n_in = n_out.

Theory: Poole et al. 2016 and Schoenholz et al. 2017 for wide layers, Hanin and Nica 2020 for the
spread that a finite width brings.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from helpers import activations, initialization

GAINS = {"xavier": 1.0, "kaiming": 2.0}  # n Var W where n_in = n_out = n

_T = np.linspace(-10, 10, 2001)[:-1] + 10 / 2000  # midpoints: symmetric about 0, never 0
_PHI = np.exp(-_T * _T / 2) / np.exp(-_T * _T / 2).sum()


@dataclass(frozen=True)
class Signal:
    """Mean squares by layer, of one network or many.

    Attributes:
        activations: mean of a² for layers 0 (the input) to depth, (…, depth + 1).
        gradients: mean of δ² for layers 1 to depth over that of layer `depth`, (…, depth).
    """

    activations: NDArray
    gradients: NDArray


@dataclass(frozen=True)
class MeanField(Signal):
    """What theory predicts: means over networks, and the spread from one network to the next.

    Attributes:
        activation_spread: standard deviation of ln of the mean of a², (depth + 1,).
        gradient_spread: standard deviation of ln of the mean of δ², (depth,).
    """

    activation_spread: NDArray
    gradient_spread: NDArray

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


def gaussian_moment(unit: str, variance: float, power: int = 2, slope: bool = False) -> float:
    """Return E[σ(z)^power], or E[σ′(z)^power], for z ~ N(0, variance), by summing over a grid.

    Raises:
        ValueError: an unknown unit, or a negative variance.
    """
    if not variance >= 0:
        raise ValueError(f"variance is {variance}; it is at least 0")
    known = activations.get(unit)
    function = known.derivative if slope else known.value
    return float(_PHI @ function(np.sqrt(variance) * _T) ** power)


def mean_field(
    unit: str, gain: float, depth: int, width: float = np.inf, second_moment: float = 1.0
) -> MeanField:
    """Return the mean squares that theory predicts layer by layer.

    q = gain · E[a²] is the variance of z; E[a²] of the next layer is E[σ(z)²] over z ~ N(0, q),
    and δ² grows by gain · E[σ′(z)²] on its way back through the layer.

    Args:
        unit: name of the activation unit.
        gain: n · Var W, at least 0.
        depth: number of layers, at least 1.
        width: units a layer; inf for no spread.
        second_moment: E[x²] of the input.

    Raises:
        ValueError: an unknown unit, or a number out of its range.
    """
    _check(gain, depth, width)
    squares, growth = [float(second_moment)], []
    noise, back = [2 / width], []  # what each layer adds to the variance of the logarithm
    for _ in range(depth):
        q = gain * squares[-1]
        square, slope = gaussian_moment(unit, q), gaussian_moment(unit, q, slope=True)
        finite = np.isfinite(width)
        kept = _response(unit, q) ** 2 * noise[-1] if finite else 0.0
        noise.append(kept + (_tail(unit, q, False) - 1) / width if finite else 0.0)
        back.append((3 * _tail(unit, q, True) - 1) / width if finite else 0.0)
        squares.append(square)
        growth.append(gain * slope)
    products = np.cumprod([1.0, *growth[-2::-1]])[::-1]  # over layers l … depth − 1
    spreads = np.cumsum([0.0, *back[-2::-1]])[::-1]
    return MeanField(np.array(squares), products, np.sqrt(noise), np.sqrt(spreads))


def _tail(unit: str, q: float, slope: bool) -> float:
    # fourth moment over squared second moment; 1 where there is nothing to vary
    square = gaussian_moment(unit, q, slope=slope)
    return gaussian_moment(unit, q, 4, slope) / square**2 if square**2 > 0 else 1.0


def _response(unit: str, q: float, step: float = 1e-3) -> float:
    # d ln E[σ(z)²] / d ln q: 1 for ReLU, which hands on every fluctuation; below 1 for tanh
    above, below = gaussian_moment(unit, q * (1 + step)), gaussian_moment(unit, q * (1 - step))
    return float(np.log(above / below) / np.log((1 + step) / (1 - step))) if below > 0 else 0.0


def unit_matrices(
    depth: int, width: int, rng: np.random.Generator, distribution: str = "normal"
) -> Iterator[NDArray]:
    """Yield `depth` square float32 matrices of mean 0 and variance 1, to be scaled by the user.

    Raises:
        ValueError: `distribution` is neither `normal` nor `uniform`.
    """
    if distribution not in ("normal", "uniform"):
        raise ValueError(f"distribution {distribution!r} unknown; choose normal or uniform")
    for _ in range(depth):
        if distribution == "normal":
            yield rng.standard_normal((width, width), dtype=np.float32)
        else:
            yield np.float32(2 * np.sqrt(3)) * (
                rng.random((width, width), dtype=np.float32) - np.float32(0.5)
            )


def forward_backward(
    unit: str, matrices: Sequence[NDArray], scale: float, inputs: NDArray, top: NDArray
) -> tuple[list[NDArray], list[NDArray]]:
    """Return the activations and the gradients δ of layers whose weights are scale · matrix.

    Args:
        unit: name of the activation unit, after every layer.
        matrices: for each layer a matrix (fan_out, fan_in).
        scale: what the matrices are multiplied by, at least 0.
        inputs: (fan_in,) or, for a batch, (fan_in, batch).
        top: gradient with respect to the last activations, of their shape.

    Returns:
        a⁽⁰⁾ to a⁽ᴸ⁾ and δ⁽¹⁾ to δ⁽ᴸ⁾, as lists of arrays.

    Raises:
        ValueError: a matrix that is not 2-D, a negative scale, or an unknown unit.
    """
    known = activations.get(unit)
    if not scale >= 0:
        raise ValueError(f"scale is {scale}; it is at least 0")
    for matrix in matrices:
        initialization.fans(matrix)
    scale = matrices[0].dtype.type(scale)
    signals, slopes = [inputs], []
    for matrix in matrices:
        z = matrix @ signals[-1] * scale
        signals.append(known.value(z))
        slopes.append(known.derivative(z))
    deltas = [slopes[-1] * top]
    for matrix, slope in zip(matrices[:0:-1], slopes[-2::-1], strict=True):
        deltas.append(slope * (matrix.T @ deltas[-1] * scale))
    return signals, deltas[::-1]


def mean_squares(signals: Sequence[NDArray]) -> NDArray:
    """Return the mean square of each array, (len(signals),), computed in float64."""
    return np.array([np.mean(np.square(signal, dtype=np.float64)) for signal in signals])


def through_depth(
    pairs: Sequence[tuple[str, float]],
    depth: int,
    width: int,
    seeds: Sequence[int],
    distribution: str = "normal",
) -> dict[tuple[str, float], Signal]:
    """Return what happens to a random signal in real networks, one a seed, for each pair.

    Every pair sees the same inputs and the same unit matrices, times √(gain / width).

    Args:
        pairs: (unit, gain) with gain = n · Var W.
        depth: number of layers, at least 1.
        width: units a layer and inputs, at least 1.
        seeds: a network for each.
        distribution: of the weights, `normal` or `uniform`.

    Returns:
        For each pair a `Signal` of arrays (seeds, depth + 1) and (seeds, depth).

    Raises:
        ValueError: a number out of its range, an unknown unit or distribution.
    """
    found: dict[tuple[str, float], list[tuple[NDArray, NDArray]]] = {pair: [] for pair in pairs}
    for _, gain in pairs:
        _check(gain, depth, width)
    for rng in map(np.random.default_rng, seeds):
        inputs, top = rng.standard_normal((2, width), dtype=np.float32)
        matrices = list(unit_matrices(depth, width, rng, distribution))
        for unit, gain in pairs:
            a, delta = forward_backward(unit, matrices, np.sqrt(gain / width), inputs, top)
            squares = mean_squares(delta)
            found[unit, gain].append((mean_squares(a), squares / squares[-1]))
    return {
        pair: Signal(np.array([a for a, _ in runs]), np.array([delta for _, delta in runs]))
        for pair, runs in found.items()
    }
