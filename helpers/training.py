"""One training run of problem 3: full-batch gradient descent, measured as it goes.

`train` is the plain PyTorch loop that the assignment describes; notebook 03 shows it, and
`mnist_comparison.fast` does the same arithmetic faster. Loss is the mean cross-entropy; a record
is taken before the step of its epoch.
"""

import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F
from tqdm import tqdm

RECORD_EVERY = 10  # epochs from one record to the next


@dataclass(frozen=True)
class History:
    """The curves of one run: arrays of equal length, one entry a record."""

    epochs: NDArray[np.int64]  # steps made before the record
    train_loss: NDArray[np.float64]  # mean cross-entropy in nats; NaN once the run has diverged
    train_accuracy: NDArray[np.float64]  # share of the images classified rightly, from 0 to 1
    validation_loss: NDArray[np.float64]
    validation_accuracy: NDArray[np.float64]

    def curves(self) -> tuple[NDArray[np.float64], ...]:
        """Return the four curves, without their epochs."""
        return tuple(vars(self).values())[1:]

    def __repr__(self) -> str:
        return (
            f"History(after {self.epochs[-1]} epochs: training loss {self.train_loss[-1]:.3f}, "
            f"validation accuracy {self.validation_accuracy[-1]:.4f})"
        )


def bar(loop: Iterable[int]) -> Iterable[int]:
    """Return the loop in a progress bar with the time left, on stdout; TQDM_DISABLE=1 hides it."""
    return tqdm(loop, leave=False, file=sys.stdout)


def record_epochs(epochs: int, record_every: int = RECORD_EVERY) -> NDArray[np.int64]:
    """Return the epochs before whose step a record is taken: 0, 10, …, and the end.

    Raises:
        ValueError: `epochs` or `record_every` is below 1.
    """
    for name, value in (("epochs", epochs), ("record_every", record_every)):
        if value < 1:
            raise ValueError(f"{name} is {value}; it must be at least 1")
    return np.append(np.arange(0, epochs, record_every), epochs)


def loss_and_accuracy(logits: Tensor, labels: Tensor) -> tuple[float, float]:
    """Return the mean cross-entropy and the share of right answers; logits are (n, classes)."""
    loss = F.cross_entropy(logits, labels).item()
    return loss, (logits.argmax(1) == labels).double().mean().item()


def train(
    model: nn.Module,
    train_x: Tensor,
    train_y: Tensor,
    validation_x: Tensor,
    validation_y: Tensor,
    *,
    lr: float,
    epochs: int,
    record_every: int = RECORD_EVERY,
    progress: Callable[[Iterable[int]], Iterable[int]] = bar,
) -> History:
    """Train `model` in place by gradient descent on the full batch, one step an epoch.

    Each x is (n, features) float32 and each y holds n int64 labels; the model maps (n, features)
    to (n, classes) logits. `progress` wraps the loop's range.

    Raises:
        ValueError: `lr` is not positive, or `epochs` or `record_every` is below 1.
    """
    if not lr > 0:
        raise ValueError(f"lr is {lr}; it must be positive")
    due = set(record_epochs(epochs, record_every).tolist())
    optimizer = torch.optim.SGD(model.parameters(), lr=lr)
    rows = []
    for epoch in progress(range(epochs + 1)):
        optimizer.zero_grad()
        logits = model(train_x)
        if epoch in due:
            with torch.no_grad():
                seen = loss_and_accuracy(logits, train_y)
                unseen = loss_and_accuracy(model(validation_x), validation_y)
            rows.append((epoch, *seen, *unseen))
        if epoch < epochs:
            F.cross_entropy(logits, train_y).backward()
            optimizer.step()
    columns = [np.array(column) for column in zip(*rows, strict=True)]
    return History(*columns)
