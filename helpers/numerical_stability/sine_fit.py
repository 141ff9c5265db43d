"""Fitting sin(10x) on 20 points with many networks at once, and their gradients while they train.

Notebook 04 trains the same bias-free network from many seeds. A *stack* holds the weights of all
of them, one tensor of shape (networks, fan_out, fan_in) a layer, and one batched product moves
them all: the sum of the networks' losses has for each network's weights that network's own
gradient, and SGD and Adam work entry by entry, so each trains exactly as it would alone.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from helpers import initialization
from helpers.networks import mlp
from helpers.settings import one_thread
from helpers.training import bar

Unit = Callable[[Tensor], Tensor]
OPTIMIZERS: dict[str, Callable[..., torch.optim.Optimizer]] = {
    "sgd": torch.optim.SGD,
    "adam": lambda weights, lr: torch.optim.Adam(weights, lr, fused=True),
}


@dataclass
class Fits:
    """What happened while a stack of networks was trained.

    Attributes:
        steps: the steps at which gradients were recorded, shape (records,).
        gradients: mean absolute gradient of each layer's weights, (records, networks, layers).
        losses: mean squared error before each step and after the last, (steps + 1, networks).
        predictions: the trained networks' outputs at the training points, (networks, points).
    """

    steps: NDArray
    gradients: NDArray
    losses: NDArray
    predictions: NDArray


def sine_data() -> tuple[Tensor, Tensor]:
    """Return inputs (20, 2), x from −1 to 0.9 beside a constant 1, and targets sin(10x) (20, 1)."""
    x = torch.arange(-10, 10) / 10
    return torch.stack([x, torch.ones(20)], dim=1), torch.sin(10 * x)[:, None]


def _sizes(layers: int, width: int) -> list[int]:
    if layers < 3 or width < 1:
        raise ValueError(f"layers is {layers} and width {width}; give at least 3 and at least 1")
    return [2, *[width] * (layers - 1), 1]


def sine_mlp(layers: int, width: int, activation: str) -> nn.Sequential:
    """Return problem 4's network without biases; no unit follows its first and its last layer."""
    fan_in, *sizes = _sizes(layers, width)
    first = nn.Linear(fan_in, width, bias=False)
    return nn.Sequential(first, *mlp(sizes, activation, bias=False))


def draw_stack(
    layers: int, width: int, method: str | initialization.Draw, seeds: Sequence[int]
) -> list[Tensor]:
    """Return the weights of one network a seed: for each layer (len(seeds), fan_out, fan_in).

    Each seed has its own generator, made before the weights are drawn, first layer first.
    """
    draw, sizes = initialization.get(method), _sizes(layers, width)
    fans = list(zip(sizes[:-1], sizes[1:], strict=True))
    networks = [[draw(*fan, rng) for fan in fans] for rng in map(np.random.default_rng, seeds)]
    return [
        torch.tensor(np.stack(layer), dtype=torch.float32) for layer in zip(*networks, strict=True)
    ]


def predict(weights: Sequence[Tensor], unit: Unit, inputs: Tensor) -> Tensor:
    """Return the outputs (networks, points, 1); no unit follows the first and the last layer."""
    a = inputs.expand(weights[0].shape[0], -1, -1)
    for layer, weight in enumerate(weights):
        z = torch.bmm(a, weight.transpose(1, 2))
        a = unit(z) if 0 < layer < len(weights) - 1 else z
    return a


@one_thread()  # the tensors are small, and a second thread costs more than it brings
def fit(
    weights: Sequence[Tensor],
    unit: Unit,
    optimizer: str = "adam",
    lr: float = 1e-3,
    epochs: int = 1000,
    every: int = 10,
) -> Fits:
    """Return what happens while a stack of networks is fitted to `sine_data` on the full batch.

    Args:
        weights: the stack's starting weights, left as they are.
        unit: the activation unit, a function of a tensor.
        optimizer: `sgd` or `adam`.
        lr: learning rate, above 0.
        epochs: number of steps, at least 1.
        every: record gradients at every so many steps.
    """
    if optimizer not in OPTIMIZERS:
        raise ValueError(f"optimizer {optimizer!r} unknown; choose from {', '.join(OPTIMIZERS)}")
    if not lr > 0 or epochs < 1 or every < 1:
        raise ValueError(f"lr is {lr}, epochs {epochs}, every {every}; all must be positive")
    inputs, targets = sine_data()
    weights = [weight.clone().requires_grad_() for weight in weights]
    optimiser = OPTIMIZERS[optimizer](weights, lr=lr)
    steps, gradients, losses = [], [], []
    for epoch in bar(range(epochs)):
        loss = (predict(weights, unit, inputs) - targets).square().mean(dim=(1, 2))
        optimiser.zero_grad()
        loss.sum().backward()
        losses.append(loss.detach().numpy())
        if epoch % every == 0:
            steps.append(epoch)
            gradients.append([w.grad.abs().mean(dim=(1, 2)).numpy() for w in weights])  # type: ignore[union-attr]
        optimiser.step()
    with torch.no_grad():
        outputs = predict(weights, unit, inputs)
    losses.append((outputs - targets).square().mean(dim=(1, 2)).numpy())
    return Fits(
        steps=np.array(steps),
        gradients=np.array(gradients).transpose(0, 2, 1),
        losses=np.array(losses),
        predictions=outputs[:, :, 0].numpy(),
    )


def compare(
    unit: Unit, layers: int, width: int, seeds: Sequence[int], epochs: int, lr: float
) -> dict[str, NDArray]:
    """Return for each initialisation the losses under SGD, (epochs + 1, networks), one a seed."""
    stacks = [draw_stack(layers, width, method, seeds) for method in initialization.METHODS]
    together = [torch.cat(weights) for weights in zip(*stacks, strict=True)]
    losses = fit(together, unit, "sgd", lr, epochs, every=epochs).losses
    return dict(zip(initialization.METHODS, np.split(losses, len(stacks), axis=1), strict=True))
