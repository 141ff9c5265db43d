"""A small problem in the plane, and many networks, stacked in one tensor, trained on it at once."""

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

Layers = Sequence[NDArray]
Data = tuple[NDArray, NDArray]  # points (N, 2) and classes (N,)


@dataclass(frozen=True)
class History:
    """What training leaves behind; R runs, T recorded steps; weights and biases layer by layer."""

    steps: NDArray  # the recorded ones
    losses: NDArray  # mean training loss without the penalty, at every step; (steps + 1, R)
    test_losses: NDArray  # mean loss on the test data at the recorded steps; (T or 0, R)
    weights: list[NDArray]  # (T, R, fan_out, fan_in) each
    biases: list[NDArray]  # (T, R, fan_out) each

    def at(self, time: int) -> tuple[list[NDArray], list[NDArray]]:
        """Return all runs' weights and biases at the recorded step of index `time`."""
        return [W[time] for W in self.weights], [b[time] for b in self.biases]

    def part(self, runs: slice | int) -> "History":
        """Return the history of some of the runs."""
        weights, biases = ([w[:, runs] for w in kept] for kept in (self.weights, self.biases))
        return History(self.steps, self.losses[:, runs], self.test_losses[:, runs], weights, biases)


def circles(count: int, rng: Generator, noise: float = 0.1, flip: float = 0.0) -> Data:
    """Return points (count, 2), and classes: 0.0 inside a circle, 1.0 in a ring around it.

    `noise` is the distances' standard deviation, `flip` the share of points of swapped class.
    """
    y = (np.arange(count) % 2).astype(np.float64)
    radius = 0.6 + 1.2 * y + noise * rng.normal(size=count)
    angle = rng.uniform(0, 2 * np.pi, count)
    x = radius[:, None] * np.stack([np.cos(angle), np.sin(angle)], axis=1)
    return x, np.where(rng.permutation(count) < round(flip * count), 1 - y, y)


def evaluate(weights: Layers, biases: Layers, x: NDArray) -> list[NDArray]:
    """Return each layer of ReLUs' activations (R, N, fan_out) and last the logits (R, N)."""
    Ws, bs = ([torch.as_tensor(part) for part in parts] for parts in (weights, biases))
    return [layer.numpy() for layer in _layers(Ws, bs, torch.as_tensor(x), "relu")]


def train(
    weights: Layers,
    data: Data,
    activation: str = "relu",
    *,
    lr: Sequence[float] | float,
    steps: int,
    record: Sequence[int],
    decay: Sequence[float] | float = 0.0,
    test: Data | None = None,
    normalised: str = "",
) -> History:
    """Train every run by gradient descent on all data at once; biases start at 0.

    The loss is the mean cross-entropy plus `decay` times the sum of the squared weights, biases
    left out; `lr` and `decay` are one for all runs or one a run. A run that diverges goes on as
    NaN. `weights` are the R initialisations, (R, fan_out, fan_in) a layer; after the steps in
    `record`, 0 before training, weights and the loss on the `test` data are kept. `normalised` by
    "batch" or "layer", hidden pre-activations have mean 0 and deviation 1 over the examples or the
    units, before the bias is added.
    """
    kept = sorted(set(record))
    Ws = [torch.tensor(W, requires_grad=True) for W in weights]
    bs = [torch.zeros(W.shape[:2], dtype=W.dtype, requires_grad=True) for W in Ws]
    runs, how = len(Ws[0]), (activation, normalised)
    rate, factor = (torch.as_tensor(one, dtype=Ws[0].dtype).expand(runs) for one in (lr, decay))
    losses, test_losses = np.empty((steps + 1, runs)), np.empty((len(kept) * bool(test), runs))
    snapshots: list[list[NDArray]] = []
    with one_thread():  # faster for tensors this small
        for step in range(steps + 1):
            loss = _loss(Ws, bs, data, *how)
            losses[step] = loss.detach().numpy()
            if step in kept:
                if test:
                    test_losses[len(snapshots)] = _loss(Ws, bs, test, *how).detach().numpy()
                snapshots.append([part.detach().numpy().copy() for part in Ws + bs])
            if step < steps:
                penalty = sum((W**2).sum((1, 2)) for W in Ws)
                gradients = torch.autograd.grad((loss + factor * penalty).sum(), Ws + bs)
                with torch.no_grad():
                    for parameter, gradient in zip(Ws + bs, gradients, strict=True):
                        parameter -= rate.view(-1, *[1] * (gradient.ndim - 1)) * gradient
    recorded = [np.stack(part) for part in zip(*snapshots, strict=True)]
    return History(np.array(kept), losses, test_losses, recorded[: len(Ws)], recorded[len(Ws) :])


def train_each(
    starts: Mapping[str, Layers],
    data: Data,
    *,
    lr: Sequence[float] | float,
    decay: Sequence[float] | float = 0.0,
    **settings: Any,
) -> dict[str, History]:
    """Train from several starts of as many runs, each at its rate and with its decay, by name."""
    stacked = [np.concatenate(layer) for layer in zip(*starts.values(), strict=True)]
    runs = len(stacked[0]) // len(starts)
    rates, decays = (np.repeat(np.broadcast_to(one, len(starts)), runs) for one in (lr, decay))
    whole = train(stacked, data, lr=rates.tolist(), decay=decays.tolist(), **settings)
    return {name: whole.part(slice(k * runs, (k + 1) * runs)) for k, name in enumerate(starts)}


def largest_difference(W: NDArray) -> NDArray:
    """Return how far neurons differ: the largest |W_ik − W_jk| in weights (…, fan_out, fan_in)."""
    return (W.max(-2) - W.min(-2)).max(-1)


def gradient_norms(weights: Layers, biases: Layers, data: Data) -> NDArray:
    """Return ‖∂ℓ/∂W⁽¹⁾‖ = ‖δ⁽¹⁾‖ ‖x‖ of each point's own loss ℓ, in nets of ReLUs; (R, N)."""
    Ws, bs = ([torch.as_tensor(part) for part in parts] for parts in (weights, biases))
    x, y = map(torch.as_tensor, data)
    each = bs[0][:, None].expand(-1, len(x), -1).clone().requires_grad_()  # a bias a point
    logits = _layers(Ws, [each, *bs[1:]], x, "relu")[-1]
    loss = F.binary_cross_entropy_with_logits(logits, y.expand_as(logits), reduction="sum")
    (delta,) = torch.autograd.grad(loss, each)
    return (delta.norm(dim=-1) * x.norm(dim=-1)).numpy()


def _loss(
    Ws: Sequence[Tensor], bs: Sequence[Tensor], data: Data, activation: str, normalised: str
) -> Tensor:
    x, y = map(torch.as_tensor, data)
    logits = _layers(Ws, bs, x, activation, normalised)[-1]
    losses = F.binary_cross_entropy_with_logits(logits, y.expand_as(logits), reduction="none")
    return losses.mean(-1)


def _layers(
    Ws: Sequence[Tensor], bs: Sequence[Tensor], x: Tensor, activation: str, normalised: str = ""
) -> list[Tensor]:
    unit = activations.get(activation).module()
    a, hidden = x.expand(len(Ws[0]), *x.shape), []
    for W, b in zip(Ws[:-1], bs[:-1], strict=True):
        shift = b if b.ndim == 3 else b[:, None]
        if normalised:
            z = (a @ W.mT).mT if normalised == "batch" else a @ W.mT
            z = F.layer_norm(z, z.shape[-1:])  # over the examples, which now stand last, or units
            a = unit((z.mT if normalised == "batch" else z) + shift)
        else:
            a = unit(torch.baddbmm(shift, a, W.mT))
        hidden.append(a)
    return [*hidden, torch.baddbmm(bs[-1][:, None], a, Ws[-1].mT)[..., 0]]
