"""Many networks of one unit trained at once, by a hand-written backward pass.

The arithmetic is that of `helpers.training.train`; what makes it fast is that examples lie in
columns, so that the networks' first layers are one matrix product; that products may run in
bfloat16 while weights, units and loss stay in float32; that a unit's value and slope come from
one pass (`slopes`); that blocks of examples go through the network and back while they are in the
cache, each with only the inputs it needs (`passes`); and that what can change no more is left out
(`shortcuts`). On a CPU the search trains one network at a time this way, on a GPU all rates of a
unit together.
"""

import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from helpers.mnist_comparison import shortcuts
from helpers.mnist_comparison.passes import Batch, Columns, Passed, add_gradients, forward
from helpers.mnist_comparison.records import Examples, Run, Spec
from helpers.mnist_comparison.slopes import value_and_slope
from helpers.networks import mlp
from helpers.training import RECORD_EVERY, History, record_epochs

PRECISIONS = {"float32": torch.float32, "bfloat16": torch.bfloat16}


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
        value_and_slope(unit),
        [stacked[f"{i}.weight"] for i in layers],
        [stacked[f"{i}.bias"][:, :, None] for i in layers],
        [stacked[f"{i + 1}.beta"][:, None, None] for i in layers if f"{i + 1}.beta" in stacked],
    )


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


def train_batch(
    batch: Batch,
    lrs: Sequence[float],
    train: Columns,
    validation: Columns,
    epochs: int,
    record_every: int = RECORD_EVERY,
) -> list[History]:
    """Train the networks in place by full-batch gradient descent; return each one's curves.

    Args:
        batch: R networks.
        lrs: R learning rates.
        train: training examples.
        validation: validation examples.
        epochs: as for `record_epochs`.
        record_every: as for `record_epochs`.
    """
    due = record_epochs(epochs, record_every)
    places = {epoch: k for k, epoch in enumerate(due.tolist())}
    records = np.full((len(lrs), len(due), 4), np.nan)
    with ExitStack() as parts_put_back:
        everything = list(range(len(lrs)))
        first = shortcuts.taken_out(batch, everything, everything, train, validation)
        waiting: list[tuple[int, AbstractContextManager[shortcuts.Part]]] = [(0, first)]
        for start, waits in waiting:  # a part that ends early leaves others in its place
            part = parts_put_back.enter_context(waits)
            lr = torch.tensor([lrs[row] for row in part.rows], dtype=torch.float32)
            lr = lr.to(train.y.device)[:, None, None]
            total = part.batch[list(range(len(part.rows)))]
            for epoch in range(start, epochs + 1):
                passes: Iterable[Passed] = (forward(part.batch, block.x) for block in part.blocks)
                if epoch in places:
                    passes, unseen = list(passes), forward(part.batch, part.validation.x)
                    now = _metrics(part, passes, unseen)
                    records[part.rows, places[epoch] :] = now[:, None]  # the last so far
                    if epoch == epochs:
                        break
                    if (left := shortcuts.rest(part, passes, unseen)) is not None:
                        waiting += [(epoch, other) for other in left]
                        break
                _step(part, passes, lr, total, len(train.y))
    return [History(due, *run.T) for run in records]


def _metrics(part: shortcuts.Part, passes: Sequence[Passed], unseen: Passed) -> NDArray:
    """Return each network's four records, (R, 4): loss and accuracy in training and validation."""
    columns = []
    logits = torch.cat([seen.logits for seen in passes], 2)
    y = torch.cat([block.y for block in part.blocks])
    for output, labels in ((logits, y), (unseen.logits, part.validation.y)):
        target = labels.expand(len(output), -1)
        loss = F.cross_entropy(output, target, reduction="none").mean(1)
        accuracy = (output.max(1).indices == target).double().mean(1)
        columns += [loss.double().cpu().numpy(), accuracy.cpu().numpy()]
    return np.stack(columns, axis=1)


def _step(part: shortcuts.Part, passes: Iterable[Passed], lr: Tensor, total: Batch, n: int) -> None:
    """Make a step of gradient descent; `total` is room for the gradients, n counts examples."""
    for gradient in total.tensors():
        gradient.zero_()
    for seen, block in zip(passes, part.blocks, strict=True):
        add_gradients(total, part.batch, seen, block.y, n)
    for parameter, gradient in zip(part.batch.tensors(), total.tensors(), strict=True):
        parameter -= lr * gradient


def train_specs(specs: Sequence[Spec], examples: Examples, device: str) -> list[Run]:
    """Return the runs of these specifications, of one unit, trained as one batch."""
    first = specs[0]
    scale = np.float32(examples.scale)
    pairs = (examples.train_x, examples.train_y), (examples.validation_x, examples.validation_y)
    seen, unseen = (
        columns(x.astype(np.float32) * scale, y, first.precision, device) for x, y in pairs
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
