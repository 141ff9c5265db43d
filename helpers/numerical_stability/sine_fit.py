"""Fitting sin(10x) on 20 points with many networks at once, and their gradients while they train.

Notebook 04 trains the same bias-free network from many seeds. A *stack* holds the weights of all
of them, (networks, fan_out, fan_in) a layer, and one batched product moves them all: the sum of
the networks' losses has for each network's weights that network's own gradient, and SGD and Adam
work entry by entry, so each trains exactly as it would alone.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from helpers import initialization
from helpers.networks import mlp
from helpers.settings import one_thread
from helpers.training import bar

Unit = Callable[[Tensor], Tensor]


class Fits(NamedTuple):
    """What happened while a stack of networks was trained."""

    steps: NDArray  # the steps at which gradients were recorded, (records,)
    gradients: NDArray  # mean absolute gradient of a layer's weights, (records, networks, layers)
    losses: NDArray  # mean squared error before each step and after the last, (steps + 1, networks)
    predictions: NDArray  # the trained networks' outputs at the training points, (networks, points)


def sine_data() -> tuple[Tensor, Tensor]:
    """Return inputs (20, 2), x from −1 to 0.9 beside a constant 1, and targets sin(10x) (20, 1)."""
    x = torch.arange(-10, 10) / 10
    return torch.stack([x, torch.ones(20)], dim=1), torch.sin(10 * x)[:, None]


def widths(layers: int, width: int) -> list[int]:
    """Return the layers' widths from x and the constant to the output, of at least 3 layers."""
    if layers < 3 or width < 1:
        raise ValueError(f"layers is {layers} and width {width}; give at least 3 and at least 1")
    return [2, *[width] * (layers - 1), 1]


def sine_mlp(layers: int, width: int, activation: str) -> nn.Sequential:
    """Return problem 4's network without biases; no unit follows its first and its last layer."""
    fan_in, *sizes = widths(layers, width)
    first = nn.Linear(fan_in, width, bias=False)
    return nn.Sequential(first, *mlp(sizes, activation, bias=False))


def _predict(stack: Sequence[Tensor], unit: Unit, x: Tensor, branch: float | None = None) -> Tensor:
    first, *between, last = [weight.transpose(1, 2) for weight in stack]
    a = x.expand(len(first), -1, -1) @ first  # (networks, points, width)
    for weight in between:
        a = unit(a @ weight) if branch is None else a + branch * (unit(a) @ weight)
    return a @ last


@one_thread()  # the tensors are small, and a second thread costs more than it brings
def fit(
    stack: Sequence[NDArray],
    unit: Unit,
    optimizer: Callable[..., torch.optim.Optimizer] = torch.optim.Adam,
    lr: float = 1e-3,
    epochs: int = 1000,
    every: int = 10,
    branch: float | None = None,
) -> Fits:
    """Return what happens while a stack of networks is fitted to `sine_data` on the full batch.

    `stack` holds the starting weights, for each layer (networks, fan_out, fan_in). Gradients are
    recorded `every` so many steps, from the first on. With a `branch`, inner layers are residual,
    a + branch · W σ(a).
    """
    inputs, targets = sine_data()
    weights = [torch.tensor(W, dtype=torch.float32, requires_grad=True) for W in stack]
    optimiser = optimizer(weights, lr=lr, fused=True)
    steps, gradients, losses = range(0, epochs, every), [], []
    for step in bar(range(epochs)):
        loss = (_predict(weights, unit, inputs, branch) - targets).square().mean(dim=(1, 2))
        losses.append(loss.detach().numpy())
        optimiser.zero_grad()
        loss.sum().backward()
        if step in steps:
            gradients.append([w.grad.abs().mean(dim=(1, 2)).numpy() for w in weights])  # type: ignore[union-attr]
        optimiser.step()
    with torch.no_grad():
        outputs = _predict(weights, unit, inputs, branch)
    losses.append((outputs - targets).square().mean(dim=(1, 2)).numpy())
    found = np.array(gradients).transpose(0, 2, 1)
    return Fits(np.array(steps), found, np.array(losses), outputs[:, :, 0].numpy())


def compare(
    unit: Unit, layers: int, width: int, seeds: Sequence[int], epochs: int, lr: float
) -> dict[str, NDArray]:
    """Return for each initialisation the losses under SGD, (epochs + 1, networks), one a seed."""
    methods, sizes = initialization.METHODS, widths(layers, width)
    stacks = [initialization.draw_stack(sizes, method, seeds) for method in methods]
    together = [np.concatenate(weights) for weights in zip(*stacks, strict=True)]
    losses = fit(together, unit, torch.optim.SGD, lr, epochs, every=epochs).losses
    return dict(zip(methods, np.split(losses, len(stacks), axis=1), strict=True))
