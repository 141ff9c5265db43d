"""Layer normalisation as the lecture slides define it, and gradients through normalised layers.

Ba, Kiros and Hinton (2016); the slides (Li, CMPT 726, 2022) write, with z̄ the mean of z,
√n / ‖z − z̄ 1‖ · diag(v) (z − z̄ 1) + u: PyTorch's `nn.LayerNorm` with weight v, bias u and `eps=0`.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from helpers import activations


def layer_norm(z: NDArray, v: NDArray | float = 1.0, u: NDArray | float = 0.0) -> NDArray:
    """Return z normalised along its last axis, scaled by v and shifted by u; no row is constant."""
    centred = z - z.mean(-1, keepdims=True)
    norm = np.linalg.norm(centred, axis=-1, keepdims=True)
    return v * (np.sqrt(z.shape[-1]) * centred / norm) + u


def layer_norm_jacobian(z: NDArray) -> NDArray:
    """Return ∂ layer_norm(z) / ∂z for one example, v = 1: √n/‖z − z̄‖ · (I − 1 1ᵀ/n − ẑ ẑᵀ/n).

    Two of its singular values are 0 (z may move along 1 and along ẑ = layer_norm(z) without any
    effect); the other n − 2 are 1 / std(z).
    """
    n, normal = len(z), layer_norm(z)
    return (np.eye(n) - 1 / n - np.outer(normal, normal) / n) / z.std()


def hidden_jacobians(
    weights: Sequence[NDArray], x: NDArray, activation: str, normalised: bool
) -> list[NDArray]:
    """Return ∂a⁽ˡ⁾/∂a⁽ˡ⁻¹⁾ for every layer of `weights`, at the input x.

    Each layer is a⁽ˡ⁾ = σ(z⁽ˡ⁾) or, where `normalised`, σ(layer_norm(z⁽ˡ⁾)), z⁽ˡ⁾ = W⁽ˡ⁾ a⁽ˡ⁻¹⁾.
    """
    unit = activations.get(activation)
    a, jacobians = np.asarray(x), []
    for W in weights:
        z, inner = W @ a, W
        if normalised:
            z, inner = layer_norm(z), layer_norm_jacobian(z) @ W
        a = unit.value(z)
        jacobians.append(unit.derivative(z)[:, None] * inner)
    return jacobians
