"""Bounds on the gradient of a multilayer perceptron, layer by layer, for one example.

The bounds are those of Mo Chen's lecture slides (CMPT 726, 2022), with the lower one put right:

    z⁽ˡ⁾ = W⁽ˡ⁾ a⁽ˡ⁻¹⁾ + b⁽ˡ⁾,   a⁽ˡ⁾ = σ(z⁽ˡ⁾) for l < L,   ŷ = z⁽ᴸ⁾,
    ∂L/∂W⁽ˡ⁾ = δ⁽ˡ⁾ a⁽ˡ⁻¹⁾ᵀ,   δ⁽ˡ⁾ = D⁽ˡ⁾ W⁽ˡ⁺¹⁾ᵀ δ⁽ˡ⁺¹⁾,   δ⁽ᴸ⁾ = ∂L/∂ŷ.

`weights` are W⁽¹⁾ … W⁽ᴸ⁾, `passed` what `forward` returned, `g` is ∂L/∂ŷ.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from helpers import activations

Layers = Sequence[NDArray]


@dataclass(frozen=True)
class Trace:
    """What one example leaves behind on its way forward."""

    inputs: list[NDArray]  # of the layers: a⁽⁰⁾ … a⁽ᴸ⁻¹⁾
    pre_activations: list[NDArray]  # of the hidden layers: z⁽¹⁾ … z⁽ᴸ⁻¹⁾
    slopes: list[NDArray]  # σ′(z⁽¹⁾) … σ′(z⁽ᴸ⁻¹⁾), the diagonals of D⁽ˡ⁾
    output: NDArray  # ŷ


def forward(weights: Layers, x: NDArray, activation: str, biases: Layers | None = None) -> Trace:
    """Return what `x` leaves behind on its way; raise ValueError for a unit that is not known."""
    unit = activations.get(activation)
    inputs, zs = [np.asarray(x)], []
    for W, b in zip(weights, biases or [np.zeros(1)] * len(weights), strict=True):
        zs.append(W @ inputs[-1] + b)
        inputs.append(unit.value(zs[-1]))
    return Trace(inputs[:-1], zs[:-1], [unit.derivative(z) for z in zs[:-1]], zs[-1])


def backward(weights: Layers, slopes: Layers, g: NDArray) -> list[NDArray]:
    """Return δ⁽¹⁾ … δ⁽ᴸ⁾, the loss's gradient at the pre-activations of each layer."""
    deltas = [np.asarray(g)]
    for W, d in zip(reversed(weights[1:]), reversed(slopes), strict=True):
        deltas.append(d * (W.T @ deltas[-1]))
    return deltas[::-1]


def gradient_norms(weights: Layers, passed: Trace, g: NDArray) -> NDArray:
    """Return ‖∂L/∂W⁽ˡ⁾‖ = ‖δ⁽ˡ⁾‖ ‖a⁽ˡ⁻¹⁾‖ for l = 1 … L (Frobenius and spectral norm agree)."""
    return _norms(backward(weights, passed.slopes, g)) * _norms(passed.inputs)


def largest_stretch(A: NDArray) -> float:
    """Return the largest ‖Au‖ over unit vectors u: A's largest singular value."""
    return float(np.linalg.svdvals(A)[0])


def smallest_stretch(A: NDArray) -> float:
    """Return the smallest ‖Au‖ over unit vectors u: A's smallest singular value, 0 for a wide A."""
    full = np.linalg.matrix_rank(A) == A.shape[1]
    return float(np.linalg.svdvals(A)[-1]) if full else 0.0


def upper_bounds(weights: Layers, passed: Trace, g: NDArray, joint: bool = False) -> NDArray:
    """Return an upper bound on ‖∂L/∂W⁽ˡ⁾‖ for l = 1 … L.

    ‖a⁽ˡ⁻¹⁾‖ · ∏ σ_max(D⁽ᵏ⁾) σ_max(W⁽ᵏ⁺¹⁾) · ‖∂L/∂ŷ‖, the product over k = l … L−1. Where `joint`,
    each factor is σ_max(D⁽ᵏ⁾ W⁽ᵏ⁺¹⁾ᵀ) in one, which is smaller and so tighter.
    """
    return _bounds(np.max, largest_stretch, weights, passed, g, joint)


def lower_bounds(weights: Layers, passed: Trace, g: NDArray, joint: bool = False) -> NDArray:
    """Return a lower bound on ‖∂L/∂W⁽ˡ⁾‖ for l = 1 … L, with the smallest stretches instead."""
    return _bounds(np.min, smallest_stretch, weights, passed, g, joint)


def looseness(weights: Layers, passed: Trace, g: NDArray) -> tuple[NDArray, NDArray]:
    """Return log₁₀ of what the upper bound on ‖∂L/∂W⁽¹⁾‖ loses at W⁽²⁾ … W⁽ᴸ⁾, at D⁽¹⁾ … D⁽ᴸ⁻¹⁾.

    All these losses are ≥ 0 and add up to log₁₀(bound / gradient).
    """
    deltas = backward(weights, passed.slopes, g)
    at_weights, at_slopes = [], []
    for W, d, delta, below in zip(weights[1:], passed.slopes, deltas[1:], deltas, strict=False):
        moved = np.linalg.norm(W.T @ delta)
        at_weights.append(largest_stretch(W) * np.linalg.norm(delta) / moved)
        at_slopes.append(np.abs(d).max() * moved / np.linalg.norm(below))
    return np.log10(at_weights), np.log10(at_slopes)


def _norms(vectors: Layers) -> NDArray:
    return np.array([np.linalg.norm(v) for v in vectors])


def _bounds(
    pick: Callable, stretch: Callable, weights: Layers, passed: Trace, g: NDArray, joint: bool
) -> NDArray:
    factors = [
        stretch(d[:, None] * W.T) if joint else pick(np.abs(d)) * stretch(W.T)
        for W, d in zip(weights[1:], passed.slopes, strict=True)
    ]
    return np.cumprod([np.linalg.norm(g), *reversed(factors)])[::-1] * _norms(passed.inputs)
