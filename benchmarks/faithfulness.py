"""Does the fast search end where the plain loop ends, and choose the same learning rates?

`python -m benchmarks.faithfulness` trains all that notebook 03's section (e) trains, six units at
eight rates for 1,000 epochs, by `helpers.training.train` in float32 and by the search in the
precision of this machine, and lets the notebook's rule choose each unit's rate from either. Where
a run of the search failed (diverged, or stayed at chance), 200 epochs of the plain loop show that
it fails there too. At the rates that the search chooses both ways then train from two more starts.
The plain loop takes over half an hour on two cores; the search's runs are found in data/runs where
the notebook left them. Exit status 1 where a unit's mean accuracy differs by more than its seeds
do, or where the two ways choose rates that are not neighbours on the grid.
"""

import multiprocessing
import os
import sys
from concurrent.futures import ProcessPoolExecutor

import numpy as np
import torch

from helpers.activations import UNITS
from helpers.mnist_comparison import mnist
from helpers.mnist_comparison.records import Examples
from helpers.mnist_comparison.search import best_rate, search
from helpers.networks import MNIST_SIZES, mlp
from helpers.training import train

RATES = [float(rate) for rate in np.logspace(-3, 0, 8)]
SEEDS = (0, 1, 2)
EPOCHS, FEW = 1000, 200


def _start_worker() -> None:
    torch.set_num_threads(1)
    torch.set_flush_denormal(True)  # for speed; nothing is rounded that counts


def plain_accuracy(unit: str, rate: float, seed: int, epochs: int) -> float:
    """Return the last validation accuracy of the plain loop in float32."""
    split = mnist.split(mnist.load())
    torch.manual_seed(seed)
    history = train(
        mlp(MNIST_SIZES, unit),
        split.train_x,
        split.train_y,
        split.validation_x,
        split.validation_y,
        lr=rate,
        epochs=epochs,
        record_every=epochs,
        progress=lambda loop: loop,
    )
    accuracy = float(history.validation_accuracy[-1])
    print(f"plain, {unit} at {rate:.4f}, seed {seed}, {epochs} epochs: {accuracy:.4f}", flush=True)
    return accuracy


def main() -> int:
    """Train both ways and print the two tables."""
    split = mnist.split(mnist.load())
    examples = Examples.of(split.train_x, split.train_y, split.validation_x, split.validation_y)
    images = len(split.validation_y)
    runs = search(UNITS, RATES, examples, epochs=EPOCHS)
    fast = {place: run.history.validation_accuracy[-1] for place, run in runs.items()}
    failed = [place for place, run in runs.items() if run.outcome != "learned"]
    best = {u: best_rate(RATES, [fast[u, rate, 0] for rate in RATES], images).rate for u in UNITS}
    more = search(UNITS, {u: [r] for u, r in best.items()}, examples, epochs=EPOCHS, seeds=SEEDS)
    fast |= {place: run.history.validation_accuracy[-1] for place, run in more.items()}

    spawn = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(os.cpu_count(), spawn, initializer=_start_worker) as pool:
        pending = {
            place: pool.submit(plain_accuracy, *place, FEW if place in failed else EPOCHS)
            for place in fast
        }
        plain = {place: future.result() for place, future in pending.items()}

    faithful = True
    print("\nrate chosen  search   plain    validation accuracy there, by the search's runs")
    for unit in UNITS:
        other = best_rate(RATES, [plain[unit, rate, 0] for rate in RATES], images).rate
        faithful &= abs(RATES.index(other) - RATES.index(best[unit])) <= 1
        ours = ", ".join(f"{fast[unit, r, 0]:.4f}" for r in sorted({best[unit], other}))
        print(f"{unit:12s} {best[unit]:.4f}   {other:.4f}   {ours}")

    print("\nunit         rate     search, seeds 0, 1, 2  plain, seeds 0, 1, 2   means differ by")
    for unit in UNITS:
        rate = best[unit]
        ways = [[way[unit, rate, seed] for seed in SEEDS] for way in (fast, plain)]
        gap = abs(np.mean(ways[0]) - np.mean(ways[1]))
        spread = max(map(np.ptp, ways))
        faithful &= bool(gap < spread)
        cells = "   ".join(" ".join(f"{a:.4f}" for a in way) for way in ways)
        print(f"{unit:12s} {rate:.4f}   {cells}   {gap:.4f}, seeds by {spread:.4f}")
    return 0 if faithful else 1


if __name__ == "__main__":
    sys.exit(main())
