"""Many networks of one unit trained at once, by a hand-written backward pass.

The arithmetic is that of `helpers.training.train`; what makes it fast is that examples lie in
columns, so that the networks' first layers are one matrix product; that products may run in
bfloat16 while weights, units and loss stay in float32; that a unit's value and slope come from
one pass; that blocks of examples go through the network and back while they are in the cache,
each with only the inputs it needs; and that what can change no more is left out, be it a whole
run, the layers below a dead one, or the dead neurons of the first layer.
On a CPU the search trains one network at a time this way, on a GPU all rates of a unit together.
"""

import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from helpers.mnist_comparison.records import Examples, Run, Spec
from helpers.mnist_comparison.slopes import value_and_slope
from helpers.networks import mlp
from helpers.training import RECORD_EVERY, History, record_epochs

PRECISIONS = {"float32": torch.float32, "bfloat16": torch.bfloat16}
BLOCK = 1600  # examples at a time on a CPU: few enough for its cache, enough to multiply fast


@dataclass
class Batch:
    """R networks of one shape: weights (R, out, in), biases (R, out, 1), Swish's βs (R, 1, 1)."""

    unit: str
    weights: list[Tensor]
    biases: list[Tensor]
    betas: list[Tensor]  # one a hidden layer for Swish, none for the other units

    def __repr__(self) -> str:
        """Return the unit, the number of networks and the layer sizes."""
        sizes = [self.weights[0].shape[2], *(w.shape[1] for w in self.weights)]
        return f"Batch({self.weights[0].shape[0]} {self.unit} networks of sizes {sizes})"

    def __getitem__(self, rows: list[int]) -> "Batch":
        """Return copies of the networks of these indices."""
        return Batch(
            self.unit,
            [weight[rows] for weight in self.weights],
            [bias[rows] for bias in self.biases],
            [beta[rows] for beta in self.betas],
        )

    def __setitem__(self, rows: list[int], other: "Batch") -> None:
        """Put another batch's networks in the place of those of these indices."""
        for mine, theirs in zip(self.tensors(), other.tensors(), strict=True):
            mine[rows] = theirs

    def tensors(self) -> list[Tensor]:
        """Return all parameters, each with one row a network."""
        return [*self.weights, *self.biases, *self.betas]

    def above(self, layer: int) -> "Batch":
        """Return the part of the networks above hidden layer `layer` (0 is the first); shared."""
        cut = slice(layer + 1, None)
        return Batch(self.unit, self.weights[cut], self.biases[cut], self.betas[cut])

    def first_neurons(self, row: int, kept: Tensor) -> "Batch":
        """Return a copy of network `row` with only these neurons, (width,) bool, in layer 1."""
        part = self[[row]]
        part.weights[0], part.biases[0] = part.weights[0][:, kept], part.biases[0][:, kept]
        part.weights[1] = part.weights[1][:, :, kept]
        return part

    def set_first_neurons(self, row: int, kept: Tensor, part: "Batch") -> None:
        """Put what `first_neurons` returned, as it is by now, back in its place."""
        whole = self[[row]]
        whole.weights[0][:, kept], whole.biases[0][:, kept] = part.weights[0], part.biases[0]
        whole.weights[1][:, :, kept] = part.weights[1]
        self[[row]] = Batch(
            self.unit,
            [*whole.weights[:2], *part.weights[2:]],
            [whole.biases[0], *part.biases[1:]],
            part.betas,
        )

    def state_dict(self, row: int) -> dict[str, NDArray[np.float32]]:
        """Return network `row`'s parameters by the names they have in `helpers.networks.mlp`."""
        state = {}
        for i, (weight, bias) in enumerate(zip(self.weights, self.biases, strict=True)):
            state[f"{2 * i}.weight"] = weight[row]
            state[f"{2 * i}.bias"] = bias[row, :, 0]
        for i, beta in enumerate(self.betas):
            state[f"{2 * i + 1}.beta"] = beta[row, 0, 0]
        return {name: value.cpu().numpy().copy() for name, value in state.items()}


def initial_batch(unit: str, seeds: Sequence[int], sizes: Sequence[int], device: str) -> Batch:
    """Return one network for each seed, with the weights that `mlp` gives after that seed."""
    states = []
    for seed in seeds:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            states.append(mlp(sizes, unit).state_dict())
    stacked = {k: torch.stack([s[k] for s in states]).to(device) for k in states[0]}
    layers = range(0, 2 * len(sizes) - 2, 2)
    return Batch(
        unit,
        [stacked[f"{i}.weight"] for i in layers],
        [stacked[f"{i}.bias"][:, :, None] for i in layers],
        [stacked[f"{i + 1}.beta"][:, None, None] for i in layers if f"{i + 1}.beta" in stacked],
    )


@dataclass(frozen=True)
class Columns:
    """Examples in columns: inputs (features, n) in the products' type, labels (n,)."""

    x: Tensor
    y: Tensor


def columns(x: Tensor | NDArray, y: Tensor | NDArray, precision: str, device: str) -> Columns:
    """Return (n, features) examples and (n,) labels as `Columns` of that precision and device.

    Raises:
        ValueError: the precision is unknown.
    """
    if precision not in PRECISIONS:
        known = ", ".join(PRECISIONS)
        raise ValueError(f"precision {precision!r} unknown; choose from {known}")
    x = torch.as_tensor(x).to(device, PRECISIONS[precision])
    return Columns(x.T.contiguous(), torch.as_tensor(y).to(device))


def in_blocks(examples: Columns, size: int) -> tuple[Tensor, list[Columns]]:
    """Return an order of the inputs, and the examples in blocks that need only the first of them.

    Most of an image is 0, and a product with 0 is 0. So inputs come in the order of how many
    examples use them, and examples in the order of the last input that they use. A block leaves
    out the inputs that are 0 in all its examples (with finite weights that changes nothing), but
    for their number to be a multiple of 16: matrix products of such sizes run faster than those
    of slightly smaller ones.

    Args:
        examples: n of them.
        size: examples in a block, at least 1; the last block may be smaller.

    Returns:
        The positions of the inputs in their new order, (features,), and the blocks.
    """
    used = examples.x != 0
    order = used.sum(1).argsort(descending=True, stable=True)
    place = torch.arange(1, len(used) + 1, dtype=torch.int32, device=used.device)
    reach = (used[order] * place[:, None]).amax(0)
    blocks = []
    for members in reach.argsort(stable=True).split(size):
        needed = -(-int(reach[members].max()) // 16) * 16
        inputs = order[:needed]
        blocks.append(Columns(examples.x[inputs][:, members].contiguous(), examples.y[members]))
    return order, blocks


def _affine(weight: Tensor, bias: Tensor, a: Tensor) -> Tensor:
    """Return W a + b, (R, out, n), for shared (in, n) or own (R, in, n) inputs."""
    weight, bias = weight.to(a.dtype), bias.to(a.dtype)
    if a.ndim == 3:
        return torch.bmm(weight, a).add_(bias)
    return (weight.flatten(0, 1) @ a).unflatten(0, weight.shape[:2]).add_(bias)


def _weight_gradient(delta: Tensor, a: Tensor) -> Tensor:
    """Return (R, out, in), the sum over the n examples of δ aᵀ."""
    if a.ndim == 3:
        return torch.bmm(delta, a.mT)
    return (delta.flatten(0, 1) @ a.T).unflatten(0, delta.shape[:2])


class Forward(NamedTuple):
    """What a forward pass leaves behind for the backward pass.

    Attributes:
        logits: (R, classes, n) float32.
        inputs: each layer's inputs; the first layer's are shared by all networks.
        slopes: each hidden layer's slopes, (R, width, n).
        by_beta: for Swish, each hidden layer's derivatives with respect to β.
    """

    logits: Tensor
    inputs: list[Tensor]
    slopes: list[Tensor]
    by_beta: list[Tensor]


def forward(batch: Batch, x: Tensor) -> Forward:
    """Return the networks' logits for x, and what `add_gradients` needs.

    Args:
        batch: the networks.
        x: (k, n), the first k features of n examples; the other features are 0.
    """
    unit = value_and_slope(batch.unit)
    result = Forward(torch.empty(0), [x], [], [])
    for layer, (weight, bias) in enumerate(zip(batch.weights, batch.biases, strict=True)):
        a = result.inputs[-1]
        z = _affine(weight[:, :, : a.shape[-2]], bias, a)
        if layer < len(batch.weights) - 1:
            a, slope, *by_beta = unit(z, *batch.betas[layer : layer + 1])
            result.inputs.append(a)
            result.slopes.append(slope)
            result.by_beta.extend(by_beta)
    return result._replace(logits=z.float())


def add_gradients(total: Batch, batch: Batch, seen: Forward, target: Tensor, n: int) -> None:
    """Add the gradients of the examples' part of the mean cross-entropy to `total`, in place.

    Args:
        total: gradients by the places of their parameters, changed in place.
        batch: the networks.
        seen: what `forward` returned for some of the training examples.
        target: 1 in the row of each of those examples' class, else 0; (classes, examples).
        n: number of all training examples.
    """
    delta = torch.softmax(seen.logits, 1).sub_(target)
    delta = (delta / n).to(seen.inputs[0].dtype)  # the loss's gradient at the logits
    for layer in reversed(range(len(batch.weights))):
        a = seen.inputs[layer]
        total.weights[layer][:, :, : a.shape[-2]] += _weight_gradient(delta, a)
        total.biases[layer] += delta.sum(2, keepdim=True)
        if layer:
            back = torch.bmm(batch.weights[layer].to(delta.dtype).mT, delta)
            if seen.by_beta:
                by_beta = torch.einsum("rij,rij->r", back, seen.by_beta[layer - 1])
                total.betas[layer - 1] += by_beta[:, None, None]
            delta = back.mul_(seen.slopes[layer - 1])


def _metrics(logits: Tensor, y: Tensor) -> tuple[NDArray, NDArray]:
    """Return each network's mean cross-entropy and share of right answers, (R,) each."""
    target = y.expand(len(logits), -1)
    loss = F.cross_entropy(logits, target, reduction="none").mean(1)
    accuracy = (logits.max(1).indices == target).double().mean(1)
    return loss.double().cpu().numpy(), accuracy.cpu().numpy()


def _dead_layer(row: int, passes: Sequence[Forward]) -> int | None:
    """Return the last hidden layer of network `row` that no gradient can pass any more, or None.

    Where a layer's slope is exactly 0 for every unit and example, neither it nor a layer below
    gets a gradient; so its values stay as they are, and its slope stays 0.
    """
    for layer in reversed(range(len(passes[0].slopes))):
        moving = (
            part[row]
            for seen in passes
            for part in (seen.slopes[layer], *seen.by_beta[layer : layer + 1])
        )
        if not any(part.any() for part in moving):
            return layer
    return None


def _awake_neurons(passes: Sequence[Forward], unseen: Forward) -> Tensor | None:
    """Return which first-layer neurons of the one network are awake, or None where most may be.

    A neuron whose value and slope are exactly 0 for every example gets no gradient, and neither
    do the weights that lead on from it; so, with finite weights, it stays as it is, as if it were
    not there. A Swish neuron need not stay so: its β changes with the others of its layer.

    Returns:
        (width,) bool, at most half of them true. None where more are awake, for Swish, for a
        network without a hidden layer, and for more than one network.
    """
    if unseen.by_beta or not unseen.slopes or len(unseen.logits) > 1:
        return None
    awake = torch.zeros_like(unseen.slopes[0][0, :, 0], dtype=torch.bool)
    for seen in (*passes, unseen):
        awake |= seen.inputs[1][0].any(1) | seen.slopes[0][0].any(1)
        if 2 * awake.sum() > len(awake):
            return None
    return awake


def train_batch(
    batch: Batch,
    lrs: Sequence[float],
    train: Columns,
    validation: Columns,
    epochs: int,
    record_every: int = RECORD_EVERY,
) -> list[History]:
    """Train the networks in place by full-batch gradient descent; return each one's curves.

    A network whose every output is NaN stays so, and its curve is completed with what it has. One
    with a dead hidden layer goes on as the network above that layer, on inputs that no longer
    change, and one alone whose first layer is mostly dead neurons goes on without them; that is the
    same arithmetic without the part that stands still.

    Args:
        batch: R networks.
        lrs: R learning rates.
        train: training examples.
        validation: validation examples.
        epochs: number of steps, at least 1.
        record_every: epochs from one record to the next.

    Returns:
        One History a network, in their order.

    Raises:
        ValueError: `epochs` or `record_every` is below 1.
    """
    due = record_epochs(epochs, record_every)
    records = np.full((len(lrs), len(due), 4), np.nan)
    n = len(train.y)
    order, blocks = in_blocks(train, BLOCK if train.x.device.type == "cpu" else n)
    y, unseen_x = torch.cat([block.y for block in blocks]), validation.x[order]
    classes = batch.weights[-1].shape[1]
    targets = [F.one_hot(block.y, classes).T.float().contiguous() for block in blocks]
    batch.weights[0] = batch.weights[0][:, :, order]
    live = list(range(len(lrs)))
    running, total = batch[live], batch[live]
    lr = torch.tensor(lrs, dtype=torch.float32, device=y.device)[:, None, None]
    for epoch in range(epochs + 1):
        passes: Iterable[Forward] = (forward(running, block.x) for block in blocks)  # as needed
        if epoch in due:  # the last epoch is
            k = int(np.searchsorted(due, epoch))
            passes = list(passes)
            logits = torch.cat([seen.logits for seen in passes], 2)
            unseen = forward(running, unseen_x)
            now = np.stack([*_metrics(logits, y), *_metrics(unseen.logits, validation.y)], axis=1)
            records[live, k] = now
            stay = []
            for i, run in enumerate(live):
                left = epochs - epoch
                if left and logits[i].isnan().all() and unseen.logits[i].isnan().all():
                    records[run, k:] = now[i]
                elif left and (layer := _dead_layer(i, passes)) is not None:
                    above = running[[i]].above(layer)
                    fixed = torch.cat([seen.inputs[layer + 1][i] for seen in passes], 1)
                    held_out = Columns(unseen.inputs[layer + 1][i], validation.y)
                    (rest,) = train_batch(
                        above, [lrs[run]], Columns(fixed, y), held_out, left, record_every
                    )
                    records[run, k:] = np.stack(rest.curves(), axis=1)
                    running.above(layer)[[i]] = above
                elif left and (awake := _awake_neurons(passes, unseen)) is not None:
                    part = running.first_neurons(i, awake)
                    all_seen = Columns(train.x[order], train.y)
                    held_out = Columns(unseen_x, validation.y)
                    (rest,) = train_batch(part, [lrs[run]], all_seen, held_out, left, record_every)
                    records[run, k:] = np.stack(rest.curves(), axis=1)
                    running.set_first_neurons(i, awake, part)
                else:
                    stay.append(i)
            if len(stay) < len(live):
                batch[live] = running
                if not stay:
                    break
                running, lr, live = running[stay], lr[stay], [live[i] for i in stay]
                total = running[list(range(len(stay)))]
                passes = (forward(running, block.x) for block in blocks)
        if epoch < epochs:
            for gradient in total.tensors():
                gradient.zero_()
            for seen, target in zip(passes, targets, strict=True):
                add_gradients(total, running, seen, target, n)
            for parameter, gradient in zip(running.tensors(), total.tensors(), strict=True):
                parameter -= lr * gradient
    batch[live] = running
    batch.weights[0] = batch.weights[0][:, :, order.argsort()]
    return [History(due, *records[run].T) for run in range(len(lrs))]


def train_specs(specs: Sequence[Spec], examples: Examples, device: str) -> list[Run]:
    """Return the runs of these specifications, of one unit, trained as one batch."""
    first = specs[0]
    scale = np.float32(examples.scale)
    seen, unseen = (
        columns(x.astype(np.float32) * scale, y, first.precision, device)
        for x, y in (
            (examples.train_x, examples.train_y),
            (examples.validation_x, examples.validation_y),
        )
    )
    batch = initial_batch(first.unit, [spec.seed for spec in specs], first.sizes, device)
    lrs = [spec.lr for spec in specs]
    with torch.no_grad(), _subnormals_flushed():
        histories = train_batch(batch, lrs, seen, unseen, first.epochs, first.record_every)
    return [
        Run(spec, history, batch.state_dict(row))
        for row, (spec, history) in enumerate(zip(specs, histories, strict=True))
    ]


@contextmanager
def _subnormals_flushed() -> Iterator[None]:
    """Let this thread round subnormal numbers to 0: they change nothing, and some chips crawl."""
    already = sys.float_info.min / 2 == 0
    torch.set_flush_denormal(True)
    try:
        yield
    finally:
        torch.set_flush_denormal(already)
