"""A search that tests start in a process of its own, to kill it."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import torch

from helpers.mnist_comparison.records import Examples
from helpers.mnist_comparison.search import search


def examples(n=300):
    rng = np.random.default_rng(0)
    y = rng.integers(4, size=n)
    x = np.clip(rng.integers(0, 200, (4, 30))[y] + rng.integers(0, 56, (n, 30)), 0, 255)
    x = x.astype(np.uint8)
    return Examples(x[:200], y[:200], x[200:], y[200:])


UNITS = ["relu", "tanh", "swish"]
RATES = [0.001, 0.01, 1.0]


def run(folder, **options):
    return search(
        UNITS, RATES, examples(), epochs=60, sizes=(30, 16, 8, 4), folder=folder, **options
    )


def run_inline(folder):
    """Search in this process, on one thread as the workers do."""
    torch.set_num_threads(1)
    return run(folder, executor=ThreadPoolExecutor(1))
