"""ReLU nets on [0, 1] and how far, exactly, they stay from x²."""

from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray


class ReluNet:
    """The net ŷ(x) = W₂ max(W₁ x + b₁, 0) + b₂ with one input, N hidden units and one output.

    W₁ has the shape (N, 1), b₁ (N,), W₂ (1, N) and b₂ (1,); for b₂ a number will do. Other shapes
    and parameters that are not finite raise a ValueError.
    """

    def __init__(self, W1: ArrayLike, b1: ArrayLike, W2: ArrayLike, b2: ArrayLike) -> None:
        units = np.size(b1)
        self.W1 = _parameter("W1", W1, (units, 1))
        self.b1 = _parameter("b1", b1, (units,))
        self.W2 = _parameter("W2", W2, (1, units))
        self.b2 = _parameter("b2", np.reshape(b2, (1,)) if np.ndim(b2) == 0 else b2, (1,))

    def __call__(self, x: ArrayLike) -> NDArray:
        """Return ŷ(x), of x's shape."""
        z = np.asarray(x, dtype=np.float64)[..., None] * self.W1[:, 0] + self.b1
        return np.maximum(z, 0) @ self.W2[0] + self.b2[0]

    def __iter__(self) -> Iterator[NDArray]:
        return iter((self.W1, self.b1, self.W2, self.b2))

    def __repr__(self) -> str:
        return f"ReluNet({self.units} units, {self.parameters} parameters)"

    @property
    def units(self) -> int:
        """The number N of hidden units."""
        return len(self.b1)

    @property
    def parameters(self) -> int:
        """The number of weights and biases, 3N + 1."""
        return sum(parameter.size for parameter in self)

    @property
    def breakpoints(self) -> NDArray:
        """Where units switch on or off inside (0, 1): −b/w, sorted; at most one a unit."""
        moving = self.W1[:, 0] != 0
        with np.errstate(over="ignore"):  # a tiny w has its breakpoint beyond every number
            points = -self.b1[moving] / self.W1[moving, 0]
        return np.unique(points[(points > 0) & (points < 1)])


class SupError(NamedTuple):
    """The largest |x² − ŷ(x)| on [0, 1], and the points where it is reached, from left to right."""

    value: float
    points: NDArray

    @property
    def at(self) -> str:
        """The points as text."""
        return ", ".join(f"{x:.4g}" for x in self.points)


def sup_error(net: Callable[[NDArray], NDArray], knots: ArrayLike | None = None) -> SupError:
    """Return the exact supremum of |x² − ŷ(x)| on [0, 1], and where it is reached.

    The net may bend at the knots, by default its `breakpoints`. Between two of them it has a slope
    m, so x² − ŷ(x) has a vertex at m/2, which counts where it lies on its own piece.
    """
    if knots is None:
        knots = net.breakpoints  # type: ignore[attr-defined]
    ends = np.unique(np.clip(np.concatenate([[0.0, 1.0], np.ravel(knots)]), 0, 1))
    slopes = np.diff(net(ends)) / np.diff(ends)
    vertices = np.clip(slopes / 2, ends[:-1], ends[1:])
    candidates = np.unique(np.concatenate([ends, vertices]))
    sizes = np.abs(candidates**2 - net(candidates))
    value = float(sizes.max())
    points = candidates[sizes >= value - 1e-9 * max(1.0, value)]
    apart = np.diff(points, prepend=-1.0) > 1e-9  # one point, were it computed in two ways
    return SupError(value, points[apart])


def hinges(breakpoints: ArrayLike, slopes: ArrayLike, offset: float = 0.0) -> ReluNet:
    """Return the net ŷ(x) = offset + Σ kᵢ max(x − pᵢ, 0) with breakpoints pᵢ and slopes kᵢ."""
    p, k = np.asarray(breakpoints, dtype=np.float64), np.asarray(slopes, dtype=np.float64)
    return ReluNet(np.ones((p.size, 1)), -p, k.reshape(1, -1), np.asarray(offset))


def equal_pieces(units: int) -> ReluNet:
    """Return the net of N ≥ 1 equal pieces, chords of x² lowered by half their error: 1/(8N²)."""
    _at_least_one("units", units)
    h = 1 / units
    return hinges(h * np.arange(units), [h] + [2 * h] * (units - 1), -(h**2) / 8)


def best_net(units: int) -> ReluNet:
    """Return the net with the smallest sup error that N ≥ 1 units can have, 1/(2(2N + 1)²)."""
    _at_least_one("units", units)
    h = 2 / (2 * units + 1)  # N + 1 pieces as wide as this, but the first, flat one: half as wide
    return hinges(h * (np.arange(units) + 0.5), np.full(units, 2 * h), h**2 / 8)


class DeepNet(NamedTuple):
    """A ReLU net given by its layers' weights and biases, with one input and one output."""

    layers: tuple[tuple[NDArray, NDArray], ...]

    def __call__(self, x: ArrayLike) -> NDArray:
        """Return the net's output, of x's shape."""
        a = np.asarray(x, dtype=np.float64)[..., None]
        for W, b in self.layers[:-1]:
            a = np.maximum(a @ W.T + b, 0)
        W, b = self.layers[-1]
        return (a @ W.T + b)[..., 0]

    @property
    def parameters(self) -> int:
        """The number of weights and biases, zeros included."""
        return sum(W.size + b.size for W, b in self.layers)


def sawtooth_net(layers: int) -> DeepNet:
    """Return the net of J ≥ 1 layers of 3 units that bends at multiples of 2^−J: error 4^−J / 8.

    Two units of a layer fold the sawtooth once more, the third carries x − Σ Tⱼ(x)/4ʲ along, as in
    Yarotsky (2017), "Error bounds for approximations with deep ReLU networks".
    """
    _at_least_one("layers", layers)
    tooth, bias = np.array([2.0, -4.0, 0.0]), np.array([0.0, -0.5, 0.0])
    sums = [np.array([0.0, 0.0, 1.0]) - tooth / 4**j for j in range(1, layers + 1)]
    first = (np.ones((3, 1)), bias)
    inner = [(np.stack([tooth, tooth, carried]), bias) for carried in sums[:-1]]
    last = (sums[-1].reshape(1, 3), np.array([-(4.0**-layers) / 8]))
    return DeepNet((first, *inner, last))


def _at_least_one(name: str, value: int) -> None:
    if value < 1:
        raise ValueError(f"{name} is {value}; give at least 1")


def _parameter(name: str, value: ArrayLike, shape: tuple[int, ...]) -> NDArray:
    array = np.array(value, dtype=np.float64)
    if array.shape != shape:
        reason = f"b1 has length {shape[0] * shape[1]}, so {name}" if len(shape) == 2 else "it"
        raise ValueError(f"{name} has shape {array.shape}; {reason} needs the shape {shape}")
    if not np.isfinite(array).all():
        raise ValueError(f"{name} is {array}; every entry must be finite")
    return array
