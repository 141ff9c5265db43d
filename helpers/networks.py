"""Multilayer perceptrons for problems 3 and 4, initialised by PyTorch's default to begin with."""

from collections.abc import Callable, Sequence

from torch import nn

from helpers import activations

MNIST_SIZES = (784, 200, 64, 10)  # pixels, two hidden layers, classes


def mlp(
    sizes: Sequence[int], activation: str | Callable[[], nn.Module], bias: bool = True
) -> nn.Sequential:
    """Return linear layers with an activation unit between any two, and none after the last.

    Args:
        sizes: layer widths from input to output, at least two positive integers.
        activation: a unit's name, or a callable that makes a fresh module for each hidden layer.
        bias: whether the linear layers have biases.
    """
    if len(sizes) < 2 or any(size < 1 for size in sizes):
        raise ValueError(f"sizes is {tuple(sizes)}; give at least two positive integers")
    unit = activations.get(activation).module if isinstance(activation, str) else activation
    layers: list[nn.Module] = []
    for fan_in, fan_out in zip(sizes[:-1], sizes[1:], strict=True):
        layers += [nn.Linear(fan_in, fan_out, bias=bias), unit()]
    return nn.Sequential(*layers[:-1])
