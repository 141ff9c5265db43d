"""The activation units: value, derivative, torch module, colour and line style of each.

`ACTIVATIONS` is the one dictionary of them all: adding a unit is adding an entry. The NumPy
functions take a scalar or an array of any shape, keep float32 and float64, and stay finite and
silent for any finite input: every exponential is taken of −|z|, so none overflows.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor, nn

from helpers.palette import BLACK, BLUE, GREEN, GREY, OCHRE, ORANGE, PINK, SKY, VIOLET

LEAKY_SLOPE = 0.01  # slope of LeakyReLU below zero, PyTorch's default
BETA_RANGE = 0.1  # Swish draws its β from U(−0.1, 0.1)


def _float(z: ArrayLike) -> NDArray:
    z = np.asarray(z)
    return z if np.issubdtype(z.dtype, np.floating) else z.astype(np.float64)


def relu(z: ArrayLike) -> NDArray:
    """Return max(z, 0)."""
    return np.maximum(_float(z), 0)


def relu_derivative(z: ArrayLike) -> NDArray:
    """Return 1 for z > 0 and 0 for z ≤ 0 (PyTorch's convention at the kink)."""
    z = _float(z)
    return (z > 0).astype(z.dtype)


def leaky_relu(z: ArrayLike) -> NDArray:
    """Return z for z > 0 and 0.01 z for z ≤ 0 (Maas et al. 2013)."""
    z = _float(z)
    return np.where(z > 0, z, LEAKY_SLOPE * z).astype(z.dtype)


def leaky_relu_derivative(z: ArrayLike) -> NDArray:
    """Return 1 for z > 0 and 0.01 for z ≤ 0."""
    z = _float(z)
    return np.where(z > 0, 1, LEAKY_SLOPE).astype(z.dtype)


def sigmoid(z: ArrayLike) -> NDArray:
    """Return s(z) = 1 / (1 + e^−z)."""
    z = _float(z)
    e = np.exp(-np.abs(z))
    return np.where(z >= 0, 1, e) / (1 + e)


def sigmoid_derivative(z: ArrayLike) -> NDArray:
    """Return s(z) (1 − s(z)), at most ¼."""
    e = np.exp(-np.abs(_float(z)))
    return e / (1 + e) ** 2


def tanh(z: ArrayLike) -> NDArray:
    """Return (e^z − e^−z) / (e^z + e^−z)."""
    return np.tanh(_float(z))


def tanh_derivative(z: ArrayLike) -> NDArray:
    """Return 1 − tanh²(z), which is 4 s(2z) (1 − s(2z)), at most 1."""
    return 4 * sigmoid_derivative(2 * np.clip(_float(z), -400, 400))  # farther out it is 0


def softplus(z: ArrayLike) -> NDArray:
    """Return ln(1 + e^z), a smooth ReLU."""
    z = _float(z)
    return np.maximum(z, 0) + np.log1p(np.exp(-np.abs(z)))


def swish(z: ArrayLike, beta: float = 1.0) -> NDArray:
    """Return z s(βz) (Ramachandran, Zoph and Le 2017)."""
    return _float(z) * sigmoid(beta * _float(z))


def swish_derivative(z: ArrayLike, beta: float = 1.0) -> NDArray:
    """Return s(βz) + βz s(βz) (1 − s(βz))."""
    z = _float(z)
    return sigmoid(beta * z) + beta * z * sigmoid_derivative(beta * z)


def mish(z: ArrayLike) -> NDArray:
    """Return z tanh(ζ) with ζ = ln(1 + e^z) (Misra 2019)."""
    return _float(z) * np.tanh(softplus(z))


def mish_derivative(z: ArrayLike) -> NDArray:
    """Return tanh(ζ) + z (1 − tanh²(ζ)) s(z)."""
    zeta = softplus(z)
    return np.tanh(zeta) + _float(z) * tanh_derivative(zeta) * sigmoid(z)


def _normal_cdf(z: NDArray) -> NDArray:
    # Φ(z), by torch: NumPy has no error function; erfc keeps the digits of the left tail
    return torch.special.erfc(torch.tensor(z / -np.sqrt(2, dtype=z.dtype))).numpy() / 2


def gelu(z: ArrayLike) -> NDArray:
    """Return z Φ(z), Φ the distribution function of N(0, 1) (Hendrycks and Gimpel 2016)."""
    return _float(z) * _normal_cdf(_float(z))


def gelu_derivative(z: ArrayLike) -> NDArray:
    """Return Φ(z) + z φ(z), φ the density of N(0, 1)."""
    z = _float(z)
    near = np.clip(z, -40, 40)  # beyond, φ is 0 and squares would overflow in float32
    return _normal_cdf(z) + near * np.exp(-near * near / 2) / np.sqrt(2 * np.pi, dtype=z.dtype)


class Mish(nn.Module):
    """Mish as a torch module, with one exponential instead of `nn.Mish`'s chain of three."""

    def forward(self, z: Tensor) -> Tensor:
        """Return z tanh(ln(1 + e^z)), of z's shape and dtype."""
        e = torch.exp(-z.abs())
        positive = (1 + 2 * e) / (1 + 2 * e + 2 * e * e)
        negative = e * (e + 2) / (e * (e + 2) + 2)
        return z * torch.where(z >= 0, positive, negative)


class Swish(nn.Module):
    """Swish as a torch module, z s(βz), with one learned scalar β."""

    def __init__(self, beta: float | None = None) -> None:
        """Make the unit; β is drawn from U(−0.1, 0.1) by torch's generator unless given."""
        super().__init__()
        start = torch.empty(()).uniform_(-BETA_RANGE, BETA_RANGE) if beta is None else beta
        self.beta = nn.Parameter(torch.as_tensor(start, dtype=torch.float32))

    def forward(self, z: Tensor) -> Tensor:
        """Return z s(βz), of z's shape."""
        return z * torch.sigmoid(self.beta * z)


@dataclass(frozen=True)
class Activation:
    """One unit: its names, NumPy functions, torch module, and how every figure draws it."""

    name: str
    label: str
    value: Callable[..., NDArray]
    derivative: Callable[..., NDArray]
    module: Callable[[], nn.Module]
    color: str
    linestyle: str | tuple

    def __repr__(self) -> str:
        return f"Activation({self.name})"


_ALL = (
    Activation("relu", "ReLU", relu, relu_derivative, nn.ReLU, BLUE, "-"),
    Activation("sigmoid", "Sigmoid", sigmoid, sigmoid_derivative, nn.Sigmoid, ORANGE, "--"),
    Activation(
        "leaky_relu", "LeakyReLU", leaky_relu, leaky_relu_derivative, nn.LeakyReLU, SKY, ":"
    ),
    Activation("tanh", "Tanh", tanh, tanh_derivative, nn.Tanh, OCHRE, "-."),
    Activation("mish", "Mish", mish, mish_derivative, Mish, GREEN, (0, (6, 1.5, 1, 1.5, 1, 1.5))),
    Activation("swish", "Swish", swish, swish_derivative, Swish, PINK, (0, (3, 1))),
    Activation("gelu", "GELU", gelu, gelu_derivative, nn.GELU, VIOLET, (0, (5, 1, 2, 1))),
    Activation("softplus", "Softplus", softplus, sigmoid, nn.Softplus, GREY, (0, (8, 2))),
    Activation(
        "identity", "Identity", _float, lambda z: _float(z) ** 0, nn.Identity, BLACK, (0, (1, 2))
    ),
)
ACTIVATIONS = {unit.name: unit for unit in _ALL}
UNITS = ("relu", "sigmoid", "leaky_relu", "tanh", "mish", "swish")  # the six of problem 3


def get(name: str) -> Activation:
    """Return the unit of that name; the ValueError for any other lists those that there are."""
    if name not in [*ACTIVATIONS]:  # a list, as a name may be anything
        raise ValueError(f"activation {name!r} unknown; choose from {', '.join(ACTIVATIONS)}")
    return ACTIVATIONS[name]
