"""One training run as `helpers.training.train` makes it, by a hand-written backward pass.

Products may run in bfloat16; a unit's value and slope come from one pass (`slopes`); blocks of
examples stay in the cache, each with only the inputs it needs (`passes`); and what can change no
more is left out (`shortcuts`).
"""

import sys
from collections.abc import Iterable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from helpers.mnist_comparison import shortcuts
from helpers.mnist_comparison.passes import Columns, Passed, add_gradients, forward, parameters_of
from helpers.mnist_comparison.records import Examples, Run, Spec
from helpers.networks import mlp
from helpers.training import History, loss_and_accuracy, record_epochs

PRECISIONS = {"float32": torch.float32, "bfloat16": torch.bfloat16}


def columns(
    x: Tensor | NDArray, y: Tensor | NDArray, precision: str, device: str, scale: float = 1.0
) -> Columns:
    """Return (n, features) examples, times a scale, and (n,) labels as `Columns`."""
    scaled = torch.as_tensor(x).to(device).float() * scale
    return Columns(scaled.T.to(PRECISIONS[precision]).contiguous(), torch.as_tensor(y).to(device))


@torch.no_grad()
def train_columns(
    model: nn.Sequential, unit: str, train: Columns, validation: Columns, lr: float, due: NDArray
) -> History:
    """Train `model`, an `mlp` of this unit, in place; return its curves at the epochs due."""
    places = {epoch: k for k, epoch in enumerate(due.tolist())}
    records = np.full((len(due), 4), np.nan)
    inputs = torch.arange(len(train.x), device=train.x.device)
    part = shortcuts.from_layer(parameters_of(model, unit), 0, inputs, train, validation)
    for epoch in range(due[-1] + 1):
        passes: Iterable[Passed] = (forward(part.network, block.x) for block in part.blocks)
        if epoch in places:
            passes = seen = list(passes)
            unseen = forward(part.network, part.validation.x)
            logits = torch.cat([passed.logits for passed in seen], 1)
            y = torch.cat([block.y for block in part.blocks])
            end = loss_and_accuracy(unseen.logits.T, part.validation.y)
            records[places[epoch] :] = *loss_and_accuracy(logits.T, y), *end  # the last so far
            if epoch == due[-1] or shortcuts.diverged([*seen, unseen]):
                break
        total = part.network.zeros()
        for passed, block in zip(passes, part.blocks, strict=True):
            add_gradients(total, part.network, passed, block.y, len(train.y))
        for parameter, gradient in zip(part.network.all(), total.all(), strict=True):
            parameter -= lr * gradient
        if epoch in places:
            part = shortcuts.rest(part, seen, unseen)
    part.put_back()
    return History(due, *records.T)


def train_spec(spec: Spec, examples: Examples, device: str) -> Run:
    """Return the run of this specification."""
    form = spec.precision, device, examples.scale
    seen = columns(examples.train_x, examples.train_y, *form)
    unseen = columns(examples.validation_x, examples.validation_y, *form)
    due = record_epochs(spec.epochs, spec.record_every)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(spec.seed)
        model = mlp(spec.sizes, spec.unit).to(device)
    flushed = sys.float_info.min / 2 == 0
    torch.set_flush_denormal(True)  # subnormal numbers change nothing, and some chips crawl
    try:
        history = train_columns(model, spec.unit, seen, unseen, spec.lr, due)
    finally:
        torch.set_flush_denormal(flushed)
    return Run(spec, history, {k: v.cpu().numpy() for k, v in model.state_dict().items()})
