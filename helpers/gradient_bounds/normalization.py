"""Layer normalisation as the lecture slides define it, and gradients through normalised layers.

Ba, Kiros and Hinton (2016); the slides (Mo Chen, CMPT 726, 2022) write, with z̄ the mean of z,
√n / ‖z − z̄ 1‖ · diag(v) (z − z̄ 1) + u: PyTorch's `nn.LayerNorm` with `eps=0`, its weight the
scale v and its bias the shift u.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from helpers import activations


def layer_norm(z: NDArray, scale: NDArray | float = 1.0, shift: NDArray | float = 0.0) -> NDArray:
    """Return z normalised along its last axis, scaled and shifted; no row is constant."""
    centred = z - z.mean(-1, keepdims=True)
    norm = np.linalg.norm(centred, axis=-1, keepdims=True)
    return scale * (np.sqrt(z.shape[-1]) * centred / norm) + shift


def layer_norm_jacobian(z: NDArray) -> NDArray:
    """Return ∂ẑ/∂z for one example, ẑ = layer_norm(z): √n/‖z − z̄‖ · (I − 1 1ᵀ/n − ẑ ẑᵀ/n)."""
    n, normal = len(z), layer_norm(z)
    return (np.eye(n) - 1 / n - np.outer(normal, normal) / n) / z.std()


def hidden_jacobians(
    weights: Sequence[NDArray], x: NDArray, activation: str, normalised: bool
) -> list[NDArray]:
    """Return each layer's ∂a⁽ˡ⁾/∂a⁽ˡ⁻¹⁾; a⁽ˡ⁾ = σ(z⁽ˡ⁾) or, `normalised`, σ(layer_norm(z⁽ˡ⁾))."""
    unit = activations.get(activation)
    a, jacobians = np.asarray(x), []
    for W in weights:
        z, inner = W @ a, W
        if normalised:
            z, inner = layer_norm(z), layer_norm_jacobian(z) @ W
        a = unit.value(z)
        jacobians.append(unit.derivative(z)[:, None] * inner)
    return jacobians
