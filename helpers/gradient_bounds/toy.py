"""A small classification problem in the plane, and many networks trained on it side by side.

Notebook 05 trains the same network from several initialisations and seeds. All runs are stacked in
one tensor, so that twenty-five small networks cost about as much as one.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

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
    """What training leaves behind; R runs, T recorded steps.

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

    def at(self, time: int) -> tuple[list[NDArray], list[NDArray]]:
        """Return all runs' weights and biases at the recorded step of index `time`."""
        return [W[time] for W in self.weights], [b[time] for b in self.biases]

    def part(self, runs: slice | int) -> "History":
        """Return the history of some of the runs."""
        weights, biases = ([w[:, runs] for w in kept] for kept in (self.weights, self.biases))
        return History(self.steps, self.losses[:, runs], self.test_losses[:, runs], weights, biases)


def circles(
    count: int, rng: Generator, noise: float = 0.1, flip: float = 0.0
) -> tuple[NDArray, NDArray]:
    """Return points (count, 2), and classes: 0.0 inside a circle, 1.0 in a ring around it.

    `noise` is the standard deviation of a point's distance from its circle, `flip` the fraction of
    the points whose class is swapped.
    """
    y = (np.arange(count) % 2).astype(np.float64)
    radius = 0.6 + 1.2 * y + noise * rng.normal(size=count)
    angle = rng.uniform(0, 2 * np.pi, count)
    x = radius[:, None] * np.stack([np.cos(angle), np.sin(angle)], axis=1)
    flipped = rng.permutation(count) < round(flip * count)
    return x, np.where(flipped, 1 - y, y)


def evaluate(
    weights: Sequence[NDArray], biases: Sequence[NDArray], x: NDArray, activation: str = "relu"
) -> list[NDArray]:
    """Return each hidden layer's activations (R, N, fan_out) and last the logits (R, N).

    Weights have the shape (R, fan_out, fan_in), biases (R, fan_out), points x (N, 2).
    """
    Ws, bs = ([torch.as_tensor(part) for part in parts] for parts in (weights, biases))
    with torch.no_grad():
        return [layer.numpy() for layer in _layers(Ws, bs, torch.as_tensor(x), activation)]


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
        lr: learning rate.
        steps: their number.
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
    runs = len(Ws[0])
    factor = torch.as_tensor(decay, dtype=Ws[0].dtype).expand(runs)
    losses, test_losses = np.empty((steps + 1, runs)), np.empty((len(kept) * bool(test), runs))
    snapshots: list[list[NDArray]] = []
    with one_thread():  # faster for tensors this small
        for step in range(steps + 1):
            loss = _loss(Ws, bs, data, activation)
            losses[step] = loss.detach()
            if step in kept:
                if test:
                    test_losses[len(snapshots)] = _loss(Ws, bs, test, activation).detach()
                snapshots.append([part.detach().numpy().copy() for part in Ws + bs])
            if step < steps:
                penalty = sum((W**2).sum((1, 2)) for W in Ws)
                gradients = torch.autograd.grad((loss + factor * penalty).sum(), Ws + bs)
                with torch.no_grad():
                    for parameter, gradient in zip(Ws + bs, gradients, strict=True):
                        parameter -= lr * gradient
    recorded = [np.stack(part) for part in zip(*snapshots, strict=True)]
    return History(np.array(kept), losses, test_losses, recorded[: len(Ws)], recorded[len(Ws) :])


def train_each(
    starts: Mapping[str, Sequence[NDArray]],
    data: tuple[NDArray, NDArray],
    *,
    decays: Sequence[float] | None = None,
    **settings: Any,
) -> dict[str, History]:
    """Train from several starts, all side by side, and return each one's history by its name.

    Each start has as many runs; `decays` has a factor of the penalty for each, none means 0. The
    other settings are those of `train`.
    """
    stacked = [np.concatenate(layer) for layer in zip(*starts.values(), strict=True)]
    runs = len(stacked[0]) // len(starts)
    decay = np.repeat(decays or [0.0] * len(starts), runs)
    whole = train(stacked, data, decay=decay.tolist(), **settings)
    return {name: whole.part(slice(k * runs, (k + 1) * runs)) for k, name in enumerate(starts)}


def largest_difference(W: NDArray) -> NDArray:
    """Return how far neurons differ: the largest |W_ik − W_jk| in weights (…, fan_out, fan_in)."""
    return (W.max(-2) - W.min(-2)).max(-1)


def _loss(
    weights: Sequence[Tensor],
    biases: Sequence[Tensor],
    data: tuple[NDArray, NDArray],
    activation: str,
) -> Tensor:
    x, y = (torch.as_tensor(part) for part in data)
    logits = _layers(weights, biases, x, activation)[-1]
    losses = F.binary_cross_entropy_with_logits(logits, y.expand_as(logits), reduction="none")
    return losses.mean(-1)


def _layers(
    weights: Sequence[Tensor], biases: Sequence[Tensor], x: Tensor, activation: str
) -> list[Tensor]:
    unit = activations.get(activation).module()
    a, hidden = x.expand(len(weights[0]), *x.shape), []
    for W, b in zip(weights[:-1], biases[:-1], strict=True):
        a = unit(torch.baddbmm(b[:, None], a, W.mT))
        hidden.append(a)
    return [*hidden, torch.baddbmm(biases[-1][:, None], a, weights[-1].mT)[..., 0]]
