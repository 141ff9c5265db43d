"""The plain training loop, as it is and with subnormals flushed, against the search, in turn.

`make bench` writes build/bench.json and build/bench.png and prints what is in them. For each unit
both ways train from the same weights at the unit's best rate, in alternating rounds, so that a
machine that slows down slows both. What 3(e) takes in all is then reckoned from all 48 settings;
`--whole` measures the search's side in full (ten minutes more). `python -m benchmarks.explorers`
measures the explorers, `python -m benchmarks.faithfulness` compares the two ways' results.
"""

import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

import matplotlib.pyplot as plt
import numpy as np
import torch

from helpers.activations import UNITS
from helpers.mnist_comparison import mnist
from helpers.mnist_comparison.fast import PRECISIONS, columns, default_precision
from helpers.mnist_comparison.passes import in_blocks
from helpers.mnist_comparison.records import Examples
from helpers.mnist_comparison.search import search
from helpers.mnist_comparison.shortcuts import BLOCK
from helpers.networks import MNIST_SIZES
from helpers.plotting import unit_style, use_style

BEST = {
    "relu": 0.0027,
    "sigmoid": 1.0,
    "leaky_relu": 0.0027,
    "tanh": 0.3728,
    "mish": 0.0072,
    "swish": 0.0027,
}
RATES = [float(rate) for rate in np.logspace(-3, 0, 8)]
ROUNDS = 3
EPOCHS = 1000  # of the protocol
PLAIN_EPOCHS = 12  # of every run, twice, from which the plain loop's 1,000 are reckoned
SHORT_SEARCHES = (50, 100)  # epochs of the searches from which a full one is reckoned
FAST_EPOCHS = 60  # of one measured search

# The plain loop runs in two processes of its own: in one subnormals come as they come; in the
# other (with an argument) they are flushed, and stay so. Mish and Swish are the notebook's own.
PLAIN = """
import json, sys, time
import numpy as np, torch
from torch import nn
from torch.nn import functional as F
from helpers.mnist_comparison import mnist
from helpers.networks import MNIST_SIZES, mlp
from helpers.training import train

torch.set_flush_denormal(len(sys.argv) > 1)  # before there is a second thread, which inherits it

class Mish(torch.autograd.Function):
    @staticmethod
    def forward(ctx, z):
        ctx.save_for_backward(z)
        return z * torch.tanh(F.softplus(z))
    @staticmethod
    def backward(ctx, g):
        (z,) = ctx.saved_tensors
        t = torch.tanh(F.softplus(z))
        return g * (t + z * (1 - t**2) * torch.sigmoid(z))

class Swish(torch.autograd.Function):
    @staticmethod
    def forward(ctx, z, beta):
        ctx.save_for_backward(z, beta)
        return z * torch.sigmoid(beta * z)
    @staticmethod
    def backward(ctx, g):
        z, beta = ctx.saved_tensors
        s = torch.sigmoid(beta * z)
        return g * (s + beta * z * s * (1 - s)), (g * z**2 * s * (1 - s)).sum()

class MishUnit(nn.Module):
    def forward(self, z):
        return Mish.apply(z)

class SwishUnit(nn.Module):
    def __init__(self):
        super().__init__()
        self.beta = nn.Parameter(torch.empty(()).uniform_(-0.1, 0.1))
    def forward(self, z):
        return Swish.apply(z, self.beta)

units = {"mish": MishUnit, "swish": SwishUnit}
split = mnist.split(mnist.load())
for line in sys.stdin:
    unit, lr, epochs = json.loads(line)
    torch.manual_seed(0)
    model = mlp(MNIST_SIZES, units.get(unit, unit))
    start = time.perf_counter()
    train(model, split.train_x, split.train_y, split.validation_x, split.validation_y,
          lr=lr, epochs=epochs, progress=lambda loop: loop)
    print(json.dumps((time.perf_counter() - start) / epochs * 1e3), flush=True)
"""


class Plain:
    """The plain loop in a process of its own; `ms` measures a run's epochs."""

    def __init__(self, *flushed: str) -> None:
        command = [sys.executable, "-c", PLAIN, *flushed]
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
        self.process = subprocess.Popen(command, **pipes, text=True)

    def ms(self, unit: str, lr: float, epochs: int) -> float:
        """Return milliseconds an epoch."""
        self.process.stdin.write(json.dumps([unit, lr, epochs]) + "\n")
        self.process.stdin.flush()
        while True:
            line = self.process.stdout.readline()
            if not line:
                raise RuntimeError("the plain loop's process ended; its message is above")
            try:
                return float(json.loads(line))
            except ValueError:
                print(line, end="")  # what the loader had to say

    def close(self) -> None:
        """End the process."""
        self.process.stdin.close()
        self.process.wait()


def fast_ms(units: list[str], rates: dict[str, list[float]], examples: Examples) -> float:
    """Return the wall-clock milliseconds of one epoch of one run, in a search of all cores."""
    with tempfile.TemporaryDirectory() as folder:
        start = time.perf_counter()
        runs = search(units, rates, examples, epochs=FAST_EPOCHS, seeds=(0, 1), folder=folder)
        return (time.perf_counter() - start) / (len(runs) * FAST_EPOCHS) * 1e3


def peak(dtype: torch.dtype) -> float:
    """Return the best rate of a 2048² matrix product, in GFLOP/s."""
    a = torch.randn(2048, 2048).to(dtype)
    b = torch.randn(2048, 2048).to(dtype)
    times = []
    for _ in range(12):
        start = time.perf_counter()
        a @ b
        times.append(time.perf_counter() - start)
    return 2 * 2048**3 / min(times) / 1e9


def operations(examples: Examples) -> int:
    """Return the floating-point operations of one epoch's matrix products in the search."""
    train = columns(examples.train_x, examples.train_y, "float32", "cpu")
    _, blocks = in_blocks(train, BLOCK)
    inputs = sum(block.x.numel() for block in blocks)
    _, first, second, classes = MNIST_SIZES
    upper = first * second + second * classes
    return 2 * (2 * inputs * first + 3 * len(train.y) * upper)  # no gradient at the inputs


def at_best_rates(plain: Plain, flushed: Plain, examples: Examples) -> dict[str, dict[str, float]]:
    """Return milliseconds an epoch of all ways, and the search's ratios, for each unit."""
    table = {}
    for unit in UNITS:
        setting, rates = (unit, BEST[unit], 20), {unit: [BEST[unit]]}
        rounds = [
            (plain.ms(*setting), flushed.ms(*setting), fast_ms([unit], rates, examples))
            for _ in range(ROUNDS)
        ]
        slow, even, quick = (median(column) for column in zip(*rounds, strict=True))
        table[unit] = {
            "plain_ms": slow,
            "flushed_ms": even,
            "search_ms": quick,
            "ratio": median(one / three for one, _, three in rounds),
            "flushed_ratio": median(two / three for _, two, three in rounds),
        }
    return table


def whole_search(
    plain: Plain, flushed: Plain, examples: Examples, in_full: bool
) -> dict[str, float | bool]:
    """Return the minutes of all 48 runs of 1,000 epochs by all ways, and the search's ratios.

    The plain loops make a few epochs of every run and are reckoned from them. The search is
    measured in full, or reckoned from two shorter ones: what the longer takes beyond the shorter
    is the cost of the runs that are still alive. The ways take turns.
    """
    searched, loops = [], {"plain": [], "flushed": []}
    for epochs in SHORT_SEARCHES:
        for name, loop in (("plain", plain), ("flushed", flushed)):
            loops[name] += [loop.ms(unit, rate, PLAIN_EPOCHS) for unit in UNITS for rate in RATES]
        searched.append(search_minutes(examples, epochs))
    short, long = SHORT_SEARCHES
    per_epoch = (searched[1] - searched[0]) / (long - short)
    minutes = searched[1] + per_epoch * (EPOCHS - long)
    if in_full:
        minutes = search_minutes(examples, EPOCHS)
    slow, even = (sum(ms) * EPOCHS / 6e4 / len(SHORT_SEARCHES) for ms in loops.values())
    return {
        "plain_minutes": slow,
        "flushed_minutes": even,
        "search_minutes": minutes,
        "search_measured_in_full": in_full,
        "ratio": slow / minutes,
        "flushed_ratio": even / minutes,
    }


def search_minutes(examples: Examples, epochs: int) -> float:
    """Return the minutes that a search of all units and rates takes."""
    with tempfile.TemporaryDirectory() as folder:
        start = time.perf_counter()
        search(UNITS, RATES, examples, epochs=epochs, folder=folder)
        return (time.perf_counter() - start) / 60


def draw(table: dict[str, dict[str, float]], path: Path) -> None:
    """Write a bar chart of milliseconds an epoch."""
    use_style()
    figure, ax = plt.subplots(figsize=(7, 3.2))
    for i, (unit, row) in enumerate(table.items()):
        style = unit_style(unit)
        ax.barh(i - 0.2, row["plain_ms"], 0.36, color="0.75")
        ax.barh(i + 0.2, row["search_ms"], 0.36, color=style["color"])
        ax.text(row["plain_ms"], i - 0.2, " plain loop", va="center", fontsize="small")
        ax.text(row["search_ms"], i + 0.2, f" {row['ratio']:.1f} times faster", va="center")
    ax.set_yticks(range(len(table)), [unit_style(unit)["label"] for unit in table])
    ax.invert_yaxis()
    ax.set(xlabel="milliseconds an epoch of one run", title="Plain loop and search, best rates")
    figure.savefig(path)


def main() -> None:
    """Measure, print, and write build/bench.json and build/bench.png."""
    split = mnist.split(mnist.load())
    examples = Examples.of(split.train_x, split.train_y, split.validation_x, split.validation_y)
    precision = default_precision("cpu")
    peaks = {name: peak(dtype) for name, dtype in PRECISIONS.items()}
    plain, flushed = Plain(), Plain("flushed")
    try:
        fast_ms(["relu"], {"relu": [0.0027, 0.001]}, examples)  # start the search's processes
        table = at_best_rates(plain, flushed, examples)
        whole = whole_search(plain, flushed, examples, in_full="--whole" in sys.argv)
    finally:
        plain.close()
        flushed.close()
    for row in table.values():
        row["share_of_peak"] = operations(examples) / row["search_ms"] / 1e6 / peaks[precision]
    result = {
        "data": split.source,
        "precision": precision,
        "peak_gflops": peaks,
        "units": table,
        "whole": whole,
    }
    told = ", ".join(f"{rate:.0f} GFLOP/s in {name}" for name, rate in peaks.items())
    print(f"\n{split.source}; products in {precision}; measured peaks: {told}")
    print("             milliseconds an epoch        times faster than   share of")
    print("unit           plain flushed  search       plain  flushed        peak")
    for unit, row in table.items():
        print(
            f"{unit:12s} {row['plain_ms']:7.1f} {row['flushed_ms']:7.1f} {row['search_ms']:7.1f} "
            f"{row['ratio']:11.1f} {row['flushed_ratio']:8.1f} {row['share_of_peak']:11.0%}"
        )
    how = "measured" if whole["search_measured_in_full"] else "reckoned"
    print(
        f"all 48 runs of {EPOCHS} epochs: plain {whole['plain_minutes']:.0f} minutes, flushed "
        f"{whole['flushed_minutes']:.0f} (both reckoned), search {whole['search_minutes']:.1f} "
        f"({how}): {whole['ratio']:.1f} and {whole['flushed_ratio']:.1f} times faster"
    )
    build = Path(__file__).resolve().parent.parent / "build"
    build.mkdir(exist_ok=True)
    (build / "bench.json").write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    draw(table, build / "bench.png")
    print(f"written: {build.name}/bench.json and {build.name}/bench.png")


if __name__ == "__main__":
    main()
