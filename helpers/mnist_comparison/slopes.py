"""Each unit's value and slope from one pass over z: they share terms, and nothing overflows."""

from collections.abc import Callable

import torch
from torch import Tensor

from helpers import activations

# For each unit: z, and β for Swish, to the value, the slope, and Swish's derivative in β.
Pass = tuple[Tensor, ...]


def _relu(z: Tensor) -> Pass:
    a = torch.relu(z)
    return a, a.clone().gt_(0)  # a comparison in place is the quickest way to a float


def _leaky_relu(z: Tensor) -> Pass:
    slope = z.clone().gt_(0).clamp_(min=activations.LEAKY_SLOPE)
    return z * slope, slope


def _sigmoid(z: Tensor) -> Pass:
    a = torch.sigmoid(z)
    return a, torch.addcmul(a, a, a, value=-1)


def _tanh(z: Tensor) -> Pass:
    a = torch.sigmoid(2 * z).mul_(2).sub_(1)  # twice as fast as torch.tanh
    return a, torch.addcmul(a.new_ones(()), a, a, value=-1)


def _mish(z: Tensor) -> Pass:
    # With s the sigmoid, q = 1 - s and r = 1 / (1 + q^2), tanh(ln(1 + e^z)) is s r (1 + q) and
    # its slope 4 s r (1 - r). One sigmoid is all that it takes, and nothing overflows.
    s = torch.sigmoid(z)
    q = 1 - s
    r = torch.addcmul(q.new_ones(()), q, q).reciprocal_()
    sr = s.mul_(r)
    tanh = q.mul_(sr).add_(sr)
    a = z * tanh
    return a, tanh.addcmul_(r.neg_().add_(1), sr.mul_(z), value=4)  # in this order: 0 comes first


def _swish(z: Tensor, beta: Tensor) -> Pass:
    s = torch.sigmoid(beta * z)
    a = z * s
    rest = z - a  # z (1 − s)
    by_beta = a * rest
    return a, s.addcmul_(s, rest.mul_(beta)), by_beta


# Piecewise linear: computed in the products' own type. In bfloat16 LeakyReLU's slope is 0.01001.
_EXACT: dict[str, Callable[..., Pass]] = {"relu": _relu, "leaky_relu": _leaky_relu}
_WIDE: dict[str, Callable[..., Pass]] = dict(sigmoid=_sigmoid, tanh=_tanh, mish=_mish, swish=_swish)


def value_and_slope(name: str) -> Callable[..., Pass]:
    """Return the function from z (and β for Swish) to the named unit's value and slope, like z."""
    if name in _EXACT:
        return _EXACT[name]

    def by_autograd(z: Tensor) -> Pass:  # for units that are not written out here
        passed = torch.func.vjp(activations.get(name).module(), z)  # the value, and the way back
        return passed[0], *passed[1](torch.ones_like(z))

    def value_and_slope(z: Tensor, *beta: Tensor) -> Pass:
        inside = _WIDE.get(name, by_autograd)
        return tuple(part.to(z.dtype) for part in inside(z.float(), *beta))

    return value_and_slope
