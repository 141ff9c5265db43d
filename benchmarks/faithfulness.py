"""Does the fast search end where the plain loop ends? Three seeds of each unit, in full.

`python -m benchmarks.faithfulness` trains every unit at the rate that notebook 03 chooses for it,
1,000 epochs by `helpers.training.train` in float32 and by `helpers.search` in the precision of
this machine, from the same three starts, and prints the validation accuracies. About half an hour
on two cores. Exit status 1 where a unit's mean differs by more than its seeds do.
"""

import multiprocessing
import os
import sys
from concurrent.futures import ProcessPoolExecutor

import numpy as np
import torch

from helpers import mnist
from helpers.activations import UNITS
from helpers.networks import MNIST_SIZES, mlp
from helpers.search import Examples, search
from helpers.training import train

RATES = dict(
    zip(UNITS, np.logspace(-3, 0, 8)[[2, 7, 1, 6, 2, 1]].tolist(), strict=True)
)  # notebook 03, section (e)
SEEDS = (0, 1, 2)
EPOCHS = 1000


def _start_worker() -> None:
    torch.set_num_threads(1)
    torch.set_flush_denormal(True)  # for speed; nothing is rounded that counts


def plain_accuracy(unit: str, seed: int) -> float:
    """Return the last validation accuracy of the plain loop in float32."""
    split = mnist.split(mnist.load())
    torch.manual_seed(seed)
    history = train(
        mlp(MNIST_SIZES, unit),
        split.train_x,
        split.train_y,
        split.validation_x,
        split.validation_y,
        lr=RATES[unit],
        epochs=EPOCHS,
        progress=lambda loop: loop,
    )
    return float(history.validation_accuracy[-1])


def main() -> int:
    """Train both ways and print the table."""
    split = mnist.split(mnist.load())
    examples = Examples.of(split.train_x, split.train_y, split.validation_x, split.validation_y)
    faithful = True
    table = ["unit         rate     search, seeds 0, 1, 2  plain, seeds 0, 1, 2   means differ by"]
    spawn = multiprocessing.get_context("spawn")
    for unit in UNITS:
        rates = [RATES[unit]]
        runs = search([unit], rates, examples, epochs=EPOCHS, seeds=SEEDS)
        fast = [run.history.validation_accuracy[-1] for run in runs.values()]
        with ProcessPoolExecutor(os.cpu_count(), spawn, initializer=_start_worker) as pool:
            slow = list(pool.map(plain_accuracy, [unit] * len(SEEDS), SEEDS))
        gap = abs(np.mean(fast) - np.mean(slow))
        spread = max(np.ptp(fast), np.ptp(slow))
        faithful &= bool(gap < spread)
        cells = "   ".join(" ".join(f"{a:.4f}" for a in way) for way in (fast, slow))
        line = f"{unit:12s} {RATES[unit]:.4f}   {cells}   {gap:.4f}, seeds by {spread:.4f}"
        table.append(line)
        print(line, flush=True)
    print("", *table, sep="\n")
    return 0 if faithful else 1


if __name__ == "__main__":
    sys.exit(main())
