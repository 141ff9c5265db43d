"""One training run as `helpers.training.train` makes it, by a hand-written backward pass.

Products may run in bfloat16; a unit's value and slope come from one pass (`slopes`); blocks of
examples stay in the cache, each with only the inputs it needs (`passes`); and what can change no
more is left out (`shortcuts`).
"""

import contextlib
import math
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from functools import cache
from typing import Any

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
    model: nn.Sequential,
    unit: str,
    train: Columns,
    validation: Columns,
    lr: float,
    due: NDArray,
    on_epoch: Callable[[int], object] = lambda epoch: None,
) -> History:
    """Train `model`, an `mlp` of this unit, in place; return its curves at the epochs due.

    `on_epoch` is called with the number of each epoch as it begins.
    """
    places = {epoch: k for k, epoch in enumerate(due.tolist())}
    records = np.full((len(due), 4), np.nan)
    inputs = torch.arange(len(train.x), device=train.x.device)
    part = shortcuts.from_layer(parameters_of(model, unit), 0, inputs, train, validation)
    for epoch in range(due[-1] + 1):
        on_epoch(epoch)
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


@contextlib.contextmanager
def fixed_state(device: str) -> Iterator[None]:
    """Run the block under one global state of torch, whatever is set outside, and put that back.

    Subnormal numbers are flushed: they change nothing here, and some chips crawl through them.
    """
    dtype, matmul = torch.get_default_dtype(), torch.get_float32_matmul_precision()
    flushed = sys.float_info.min / 2 == 0
    plain = torch.autocast(device, enabled=False), torch.inference_mode(False)
    with plain[0], plain[1], torch.random.fork_rng(devices=[]):
        torch.set_default_dtype(torch.float32)
        torch.set_float32_matmul_precision("highest")
        torch.set_flush_denormal(True)
        try:
            yield
        finally:
            torch.set_flush_denormal(flushed)
            torch.set_float32_matmul_precision(matmul)
            torch.set_default_dtype(dtype)


@cache
def measured(device: str) -> dict[str, float]:
    """Return the GFLOP/s of a product such as training takes in each precision, measured once."""
    n = 500 if device == "cpu" else 12_000
    threads, best = torch.get_num_threads(), dict.fromkeys(PRECISIONS, math.inf)
    with fixed_state(device):
        torch.set_num_threads(1)  # as a worker
        for name in 10 * list(PRECISIONS):  # in turn: what slows the machine slows both
            kind: Any = {"dtype": PRECISIONS[name], "device": device}
            a, b = torch.ones(200, 784, **kind), torch.ones(784, n, **kind)
            start = time.perf_counter()
            (a @ b)[0, 0].item()  # waits for a GPU
            best[name] = min(best[name], time.perf_counter() - start)
        torch.set_num_threads(threads)
    return {name: 2e-9 * 200 * 784 * n / seconds for name, seconds in best.items()}


def default_precision(device: str) -> str:
    """Return `bfloat16` where products in it are clearly faster, by measurement; else `float32`."""
    rate = measured(device)
    return "bfloat16" if rate["bfloat16"] > 1.2 * rate["float32"] else "float32"


def train_spec(
    spec: Spec,
    examples: Examples,
    device: str,
    on_epoch: Callable[[int], object] = lambda epoch: None,
) -> Run:
    """Return the run of this specification, whatever the global state of torch is."""
    due = record_epochs(spec.epochs, spec.record_every)
    with fixed_state(device):
        torch.manual_seed(spec.seed)
        with torch.device("cpu"):
            form = spec.precision, device, examples.scale
            seen = columns(examples.train_x, examples.train_y, *form)
            unseen = columns(examples.validation_x, examples.validation_y, *form)
            model = mlp(spec.sizes, spec.unit).to(device)
        history = train_columns(model, spec.unit, seen, unseen, spec.lr, due, on_epoch)
    return Run(spec, history, {k: v.cpu().numpy() for k, v in model.state_dict().items()})
