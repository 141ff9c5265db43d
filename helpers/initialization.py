"""Every way to start weights: constant, normal, Xavier, Kaiming and orthogonal, in NumPy.

A weight matrix has the shape of `torch.nn.Linear`'s, (fan_out, fan_in). Xavier: Glorot and Bengio
2010, eq. 16. Kaiming: He, Zhang, Ren and Sun 2015, eq. 10, there with the fan-in alone; the
assignment takes the mean of both fans, as `mode="mean"`. Orthogonal: Saxe et al. 2014.
"""

from collections.abc import Callable, Sequence
from itertools import pairwise

import numpy as np
import torch
from numpy.random import Generator
from numpy.typing import NDArray
from torch import nn

Draw = Callable[[int, int, Generator], NDArray]  # (fan_in, fan_out, rng) to weights


def fan(fan_in: int, fan_out: int, mode: str = "mean") -> float:
    """Return what a variance is divided by: a fan, of at least 1, or by default their mean."""
    if fan_in < 1 or fan_out < 1:
        raise ValueError(f"fan_in is {fan_in} and fan_out {fan_out}; both must be at least 1")
    by_mode = {"mean": (fan_in + fan_out) / 2, "fan_in": fan_in, "fan_out": fan_out}
    if mode not in by_mode:
        raise ValueError(f"mode {mode!r} unknown; choose from {', '.join(by_mode)}")
    return by_mode[mode]


def constant(fan_in: int, fan_out: int, value: float = 0.0) -> NDArray:
    """Return a (fan_out, fan_in) matrix of which every entry is `value`."""
    return np.full((fan_out, fan_in), float(value))


def normal(fan_in: int, fan_out: int, std: float, rng: Generator) -> NDArray:
    """Return a (fan_out, fan_in) matrix of independent N(0, std²) entries; std is at least 0."""
    return rng.normal(0.0, std, size=(fan_out, fan_in))


def xavier_normal(fan_in: int, fan_out: int, rng: Generator, mode: str = "mean") -> NDArray:
    """Return a (fan_out, fan_in) matrix of N(0, 1/fan) entries, by default 2/(fan_in + fan_out)."""
    return normal(fan_in, fan_out, np.sqrt(1 / fan(fan_in, fan_out, mode)), rng)


def xavier_uniform(fan_in: int, fan_out: int, rng: Generator, mode: str = "mean") -> NDArray:
    """Return a (fan_out, fan_in) matrix of U(−d, d) entries of variance 1/fan: d = √(3/fan)."""
    d = np.sqrt(3 / fan(fan_in, fan_out, mode))
    return rng.uniform(-d, d, size=(fan_out, fan_in))


def kaiming_normal(fan_in: int, fan_out: int, rng: Generator, mode: str = "mean") -> NDArray:
    """Return a (fan_out, fan_in) matrix of N(0, 2/fan) entries, by default 4/(fan_in + fan_out)."""
    return normal(fan_in, fan_out, np.sqrt(2 / fan(fan_in, fan_out, mode)), rng)


def kaiming_uniform(fan_in: int, fan_out: int, rng: Generator, mode: str = "mean") -> NDArray:
    """Return a (fan_out, fan_in) matrix of U(−d, d) entries of variance 2/fan: d = √(6/fan)."""
    d = np.sqrt(6 / fan(fan_in, fan_out, mode))
    return rng.uniform(-d, d, size=(fan_out, fan_in))


def orthogonal(fan_in: int, fan_out: int, rng: Generator) -> NDArray:
    """Return a random (fan_out, fan_in) matrix whose singular values are all 1."""
    q, r = np.linalg.qr(rng.normal(size=sorted((fan_out, fan_in), reverse=True)))
    q = q * np.sign(np.diag(r))  # without this, signs would favour some rotations
    return q if fan_out >= fan_in else q.T


_DRAWS = (xavier_normal, xavier_uniform, kaiming_normal, kaiming_uniform)
METHODS: dict[str, Draw] = {draw.__name__: draw for draw in _DRAWS}
LABELS = {name: name.replace("_", " ").capitalize() for name in METHODS}


def get(method: str | Draw) -> Draw:
    """Return the function (fan_in, fan_out, rng) to weights of that name; a function is itself."""
    if callable(method):
        return method
    if method not in METHODS:
        raise ValueError(f"method {method!r} unknown; choose from {', '.join(METHODS)}")
    return METHODS[method]


def draw_layers(widths: Sequence[int], method: str | Draw, rng: Generator) -> list[NDArray]:
    """Return W⁽¹⁾ … W⁽ᴸ⁾ of a network with widths n⁽⁰⁾ … n⁽ᴸ⁾, drawn first layer first."""
    return [get(method)(fan_in, fan_out, rng) for fan_in, fan_out in pairwise(widths)]


def draw_stack(widths: Sequence[int], method: str | Draw, seeds: Sequence[int]) -> list[NDArray]:
    """Return the weights of one network a seed, for each layer (len(seeds), fan_out, fan_in)."""
    networks = [draw_layers(widths, method, np.random.default_rng(seed)) for seed in seeds]
    return [np.stack(layer) for layer in zip(*networks, strict=True)]


def initialize(network: nn.Module, method: str | Draw, rng: Generator) -> nn.Module:
    """Return the network with every `nn.Linear` drawn anew, first layer first, and biases 0.

    Raises:
        ValueError: the method is unknown, or returns weights of another shape.
    """
    draw = get(method)
    with torch.no_grad():
        for layer in network.modules():
            if isinstance(layer, nn.Linear):
                weight = np.asarray(draw(layer.in_features, layer.out_features, rng))
                if weight.shape != (shape := tuple(layer.weight.shape)):
                    raise ValueError(f"weights have shape {weight.shape}; the layer has {shape}")
                layer.weight.copy_(torch.from_numpy(weight))
                if layer.bias is not None:
                    layer.bias.zero_()
    return network
