"""Bounds on the gradient of a multilayer perceptron, layer by layer, for one example.

Notebook 05 and its explorer use this module; the bounds are those of Li's lecture slides (CMPT 726,
2022), with the lower one put right. Layers are numbered 1 to L and the last one is linear:

    z⁽ˡ⁾ = W⁽ˡ⁾ a⁽ˡ⁻¹⁾ + b⁽ˡ⁾,   a⁽ˡ⁾ = σ(z⁽ˡ⁾) for l < L,   ŷ = z⁽ᴸ⁾,
    ∂L/∂W⁽ˡ⁾ = δ⁽ˡ⁾ a⁽ˡ⁻¹⁾ᵀ,   δ⁽ˡ⁾ = D⁽ˡ⁾ W⁽ˡ⁺¹⁾ᵀ δ⁽ˡ⁺¹⁾,   δ⁽ᴸ⁾ = ∂L/∂ŷ.

Everywhere `weights` are W⁽¹⁾ … W⁽ᴸ⁾ of shapes (n⁽ˡ⁾, n⁽ˡ⁻¹⁾), `passed` is what `forward` returned
for them, and `output_gradient` is ∂L/∂ŷ.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from helpers import activations


@dataclass(frozen=True)
class Trace:
    """What one example leaves behind on its way forward; lists run from layer 1 upwards.

    Attributes:
        inputs: a⁽⁰⁾ … a⁽ᴸ⁻¹⁾, what each layer's weights are multiplied with; L vectors.
        pre_activations: z⁽¹⁾ … z⁽ᴸ⁻¹⁾ of the hidden layers.
        slopes: σ′(z⁽¹⁾) … σ′(z⁽ᴸ⁻¹⁾), the diagonals of D⁽ˡ⁾.
        output: ŷ.
    """

    inputs: list[NDArray]
    pre_activations: list[NDArray]
    slopes: list[NDArray]
    output: NDArray


def forward(
    weights: Sequence[NDArray],
    x: NDArray,
    activation: str,
    biases: Sequence[NDArray] | None = None,
) -> Trace:
    """Return what the input `x` leaves behind in a network whose hidden units are `activation`.

    Raises:
        ValueError: no unit is called `activation`.
    """
    unit = activations.get(activation)
    inputs, zs = [np.asarray(x)], []
    for W, b in zip(weights, biases or [np.zeros(1)] * len(weights), strict=True):
        zs.append(W @ inputs[-1] + b)
        inputs.append(unit.value(zs[-1]))
    return Trace(inputs[:-1], zs[:-1], [unit.derivative(z) for z in zs[:-1]], zs[-1])


def backward(
    weights: Sequence[NDArray], slopes: Sequence[NDArray], output_gradient: NDArray
) -> list[NDArray]:
    """Return δ⁽¹⁾ … δ⁽ᴸ⁾, the loss's gradient at the pre-activations of each layer."""
    deltas = [np.asarray(output_gradient)]
    for W, d in zip(reversed(weights[1:]), reversed(slopes), strict=True):
        deltas.append(d * (W.T @ deltas[-1]))
    return deltas[::-1]


def gradient_norms(weights: Sequence[NDArray], passed: Trace, output_gradient: NDArray) -> NDArray:
    """Return ‖∂L/∂W⁽ˡ⁾‖ = ‖δ⁽ˡ⁾‖ ‖a⁽ˡ⁻¹⁾‖ for l = 1 … L (Frobenius and spectral norm agree)."""
    return _norms(backward(weights, passed.slopes, output_gradient)) * _norms(passed.inputs)


def largest_stretch(A: NDArray) -> float:
    """Return the largest ‖Av‖ over unit vectors v: A's largest singular value."""
    return float(np.linalg.svdvals(A)[0])


def smallest_stretch(A: NDArray) -> float:
    """Return the smallest ‖Av‖ over unit vectors v.

    It is A's smallest singular value where A has at least as many rows as columns. A wide A takes
    some direction to zero, so there it is 0, whatever its singular values are. A value below the
    rounding error of the decomposition is 0 too.
    """
    rows, columns = A.shape
    if rows < columns:
        return 0.0
    values = np.linalg.svdvals(A)
    negligible = rows * np.finfo(values.dtype).eps * values[0]
    return float(values[-1]) if values[-1] > negligible else 0.0


def upper_bounds(
    weights: Sequence[NDArray], passed: Trace, output_gradient: NDArray, joint: bool = False
) -> NDArray:
    """Return an upper bound on ‖∂L/∂W⁽ˡ⁾‖ for l = 1 … L.

    ‖a⁽ˡ⁻¹⁾‖ · ∏ σ_max(D⁽ᵏ⁾) σ_max(W⁽ᵏ⁺¹⁾) · ‖∂L/∂ŷ‖, the product over k = l … L−1. Where `joint`,
    each factor is σ_max(D⁽ᵏ⁾ W⁽ᵏ⁺¹⁾ᵀ) in one, which is smaller and so tighter.
    """
    return _bounds(largest_stretch, np.max, weights, passed, output_gradient, joint)


def lower_bounds(
    weights: Sequence[NDArray], passed: Trace, output_gradient: NDArray, joint: bool = False
) -> NDArray:
    """Return a lower bound on ‖∂L/∂W⁽ˡ⁾‖ for l = 1 … L, with the smallest stretches instead.

    It is 0 below any layer that widens towards the output, and, unless `joint`, below any layer
    with a dead unit.
    """
    return _bounds(smallest_stretch, np.min, weights, passed, output_gradient, joint)


def looseness(
    weights: Sequence[NDArray], passed: Trace, output_gradient: NDArray
) -> tuple[NDArray, NDArray]:
    """Return where the upper bound on ‖∂L/∂W⁽¹⁾‖ is lost: log₁₀ of the factor at each step.

    On its way from layer k + 1 to layer k the gradient v is multiplied by W⁽ᵏ⁺¹⁾ᵀ and by D⁽ᵏ⁾; at
    each the bound grows by the largest stretch, the gradient by its own. What is lost at
    W⁽²⁾ … W⁽ᴸ⁾ and at D⁽¹⁾ … D⁽ᴸ⁻¹⁾, all ≥ 0, adds up to log₁₀(bound / gradient).
    """
    deltas = backward(weights, passed.slopes, output_gradient)
    at_weights, at_slopes = [], []
    for W, d, delta, below in zip(weights[1:], passed.slopes, deltas[1:], deltas, strict=False):
        moved = np.linalg.norm(W.T @ delta)
        at_weights.append(largest_stretch(W) * np.linalg.norm(delta) / moved)
        at_slopes.append(np.abs(d).max() * moved / np.linalg.norm(below))
    return np.log10(at_weights), np.log10(at_slopes)


def _norms(vectors: Sequence[NDArray]) -> NDArray:
    return np.array([np.linalg.norm(v) for v in vectors])


def _bounds(
    stretch: Callable[[NDArray], float],
    pick: Callable[[NDArray], float],
    weights: Sequence[NDArray],
    passed: Trace,
    output_gradient: NDArray,
    joint: bool,
) -> NDArray:
    factors = [
        stretch(d[:, None] * W.T) if joint else pick(np.abs(d)) * stretch(W.T)
        for W, d in zip(weights[1:], passed.slopes, strict=True)
    ]
    products = np.cumprod([np.linalg.norm(output_gradient), *reversed(factors)])[::-1]
    return products * _norms(passed.inputs)
