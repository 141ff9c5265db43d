"""A small classification problem in the plane, and many networks trained on it side by side.

Notebook 05 trains the same network from several initialisations and seeds. All runs are stacked in
one tensor, so that twenty-five small networks cost about as much as one.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.random import Generator
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from helpers import activations
from helpers.settings import one_thread


@dataclass(frozen=True)
class History:
    """What training leaves behind; R runs, T recorded steps, N training examples.

    Attributes:
        steps: the T recorded steps, from 0.
        losses: mean training loss without the penalty, at each of steps 0 … last; (steps, R).
        test_losses: mean loss on the test data at the recorded steps, (T, R); empty without any.
        weights: for each layer the weights at the recorded steps, (T, R, fan_out, fan_in).
        biases: for each layer the biases at the recorded steps, (T, R, fan_out).
    """

    steps: NDArray
    losses: NDArray
    test_losses: NDArray
    weights: list[NDArray]
    biases: list[NDArray]


def circles(
    count: int, rng: Generator, noise: float = 0.1, flip: float = 0.0
) -> tuple[NDArray, NDArray]:
    """Return points inside a circle (class 0) and in a ring around it (class 1).

    Args:
        count: number of points, half of each class.
        rng: where the draws come from.
        noise: standard deviation of a point's distance from its circle.
        flip: fraction of the points whose class is swapped.

    Returns:
        Points (count, 2) with coordinates of variance about 1, and classes 0.0 or 1.0 (count,).
    """
    y = (np.arange(count) % 2).astype(np.float64)
    radius = 0.6 + 1.2 * y + noise * rng.normal(size=count)
    angle = rng.uniform(0, 2 * np.pi, count)
    x = radius[:, None] * np.stack([np.cos(angle), np.sin(angle)], axis=1)
    flipped = rng.permutation(count) < round(flip * count)
    return x, np.where(flipped, 1 - y, y)


def evaluate(
    weights: Sequence[NDArray | Tensor],
    biases: Sequence[NDArray | Tensor],
    x: NDArray,
    activation: str,
) -> list[NDArray]:
    """Return the hidden activations of every run and, last, its logits.

    Args:
        weights: for each layer, shape (R, fan_out, fan_in); the last has fan_out 1.
        biases: for each layer, shape (R, fan_out).
        x: points, shape (N, 2).
        activation: name of the hidden layers' unit.

    Returns:
        Activations of shape (R, N, fan_out) for each hidden layer, then logits (R, N).
    """
    with torch.no_grad():
        return [
            layer.numpy()
            for layer in _layers(
                [torch.as_tensor(W) for W in weights],
                [torch.as_tensor(b) for b in biases],
                torch.as_tensor(x),
                activation,
            )
        ]


def train(
    weights: Sequence[NDArray],
    data: tuple[NDArray, NDArray],
    activation: str = "relu",
    *,
    lr: float,
    steps: int,
    record: Sequence[int],
    decay: Sequence[float] | float = 0.0,
    test: tuple[NDArray, NDArray] | None = None,
) -> History:
    """Train every run by gradient descent on all data at once; biases start at 0.

    The loss is the mean cross-entropy plus `decay` times the sum of the squared weights, biases
    left out. A run that diverges goes on as NaN.

    Args:
        weights: for each layer, shape (R, fan_out, fan_in): the R initialisations.
        data: points (N, 2) and classes (N,).
        activation: name of the hidden layers' unit.
        lr: learning rate, positive.
        steps: number of steps.
        record: steps after which weights are kept, from 0 (before training) to `steps`.
        decay: factor of the penalty, one for all runs or one a run.
        test: points and classes on which the loss is measured at the recorded steps.

    Raises:
        ValueError: a recorded step lies outside 0 … steps.
    """
    kept = sorted(set(record))
    if kept and not 0 <= kept[0] <= kept[-1] <= steps:
        raise ValueError(f"record runs from {kept[0]} to {kept[-1]}; it must lie in 0 … {steps}")
    Ws = [torch.tensor(W, requires_grad=True) for W in weights]
    bs = [torch.zeros(W.shape[:2], dtype=W.dtype, requires_grad=True) for W in Ws]
    x, y = (torch.as_tensor(part) for part in data)
    factor = torch.as_tensor(decay, dtype=Ws[0].dtype) * torch.ones(len(Ws[0]), dtype=Ws[0].dtype)
    losses, test_losses = np.empty((steps + 1, len(Ws[0]))), []
    snapshots: list[tuple[list[NDArray], list[NDArray]]] = []
    with one_thread():  # faster for tensors this small
        for step in range(steps + 1):
            loss = _loss(_layers(Ws, bs, x, activation)[-1], y)
            losses[step] = loss.detach().numpy()
            if step in kept:
                snapshots.append(
                    (
                        [W.detach().numpy().copy() for W in Ws],
                        [b.detach().numpy().copy() for b in bs],
                    )
                )
                if test is not None:
                    logits = evaluate(snapshots[-1][0], snapshots[-1][1], test[0], activation)[-1]
                    test_losses.append(
                        _loss(torch.as_tensor(logits), torch.as_tensor(test[1])).numpy()
                    )
            if step < steps:
                penalty = sum((W**2).sum((1, 2)) for W in Ws)
                gradients = torch.autograd.grad((loss + factor * penalty).sum(), Ws + bs)
                with torch.no_grad():
                    for parameter, gradient in zip(Ws + bs, gradients, strict=True):
                        parameter -= lr * gradient
    return History(
        np.array(kept),
        losses,
        np.array(test_losses),
        [np.stack([W[layer] for W, _ in snapshots]) for layer in range(len(Ws))],
        [np.stack([b[layer] for _, b in snapshots]) for layer in range(len(Ws))],
    )


def largest_difference(W: NDArray) -> NDArray:
    """Return how far a layer's neurons differ: the largest |W_ik − W_jk| over all i, j and k.

    Args:
        W: weights, shape (…, fan_out, fan_in).
    """
    return (W.max(-2) - W.min(-2)).max(-1)


def _loss(logits: Tensor, y: Tensor) -> Tensor:
    return F.binary_cross_entropy_with_logits(logits, y.expand_as(logits), reduction="none").mean(
        -1
    )


def _layers(
    weights: Sequence[Tensor], biases: Sequence[Tensor], x: Tensor, activation: str
) -> list[Tensor]:
    unit = activations.get(activation).module()
    a, hidden = x.expand(len(weights[0]), *x.shape), []
    for W, b in zip(weights[:-1], biases[:-1], strict=True):
        a = unit(torch.baddbmm(b[:, None], a, W.mT))
        hidden.append(a)
    return [*hidden, torch.baddbmm(biases[-1][:, None], a, weights[-1].mT)[..., 0]]
