"""How long every explorer takes to redraw after a control's change.

`python -m benchmarks.explorers` prints the table; `--json PATH` writes it as well. A change is
what a reader's hand does, a control's new value; what is timed is the whole callback, from that
to the new picture. The limit is 100 ms for 95 of 100 changes. Processor time stands beside the
wall clock: on a machine that is busy with something else it is the fairer number.
"""

import argparse
import json
import random
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import ipywidgets as widgets
import numpy as np
import torch

from helpers import activations, initialization
from helpers.activation_derivatives import explore as activation_derivatives
from helpers.explorer import Explorer
from helpers.gradient_bounds import explore as gradient_bounds
from helpers.gradient_bounds import toy
from helpers.mnist_comparison import explore as mnist_comparison
from helpers.mnist_comparison.records import Run, Spec
from helpers.networks import MNIST_SIZES, mlp
from helpers.numerical_stability import explore as numerical_stability
from helpers.plotting import use_style
from helpers.relu_approximation import explore as relu_approximation
from helpers.training import History

CHANGES = 50
LIMIT = 100.0  # milliseconds, for the 95th percentile


def explorers() -> dict[str, Explorer]:
    """Return every explorer of the course, those of trained networks with made-up ones.

    The made-up ones have the notebooks' sizes, so a redraw costs what it costs there.
    """
    runs, x, y = _mnist_runs(), *_images(2400)
    models = {unit: runs[unit, min(_RATES), 0].model() for unit in activations.UNITS}
    return {
        "01 hinges": relu_approximation.hinges_explorer(),
        "02 tangents": activation_derivatives.tangents(),
        "02 depth": activation_derivatives.depth(),
        "03 runs": mnist_comparison.runs(runs, x, y, dict.fromkeys(activations.UNITS, _RATES[2])),
        "03 digit pad": mnist_comparison.DigitPad(models, x, y),
        "04 layers": numerical_stability.through_layers(),
        "05 bounds": gradient_bounds.bounds(),
        "05 training": gradient_bounds.training(*_circle_runs()),
    }


_RATES = [float(rate) for rate in np.logspace(-3, 0, 8)]


def _images(number: int) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    pixels = torch.randint(0, 256, (number, 784), generator=generator).float()
    return pixels, torch.arange(number) % 10


def _mnist_runs() -> dict[tuple[str, float, int], Run]:
    epochs = np.arange(0, 1001, 10)
    falling = 2.3 * 0.99 ** (epochs / 10.0)
    history = History(epochs, falling, 1 - falling / 2.6, falling + 0.1, 1 - falling / 2.5)
    found = {}
    for unit in activations.UNITS:
        torch.manual_seed(0)
        state = mlp(MNIST_SIZES, unit).state_dict()
        parameters = {name: value.numpy() for name, value in state.items()}
        for rate in _RATES:
            spec = Spec(unit, rate, 0, 1000, 10, tuple(MNIST_SIZES), "float32", "made up")
            found[unit, rate, 0] = Run(spec, history, parameters)
    return found


def _circle_runs() -> tuple[dict[str, toy.History], tuple[np.ndarray, np.ndarray]]:
    record = np.unique(np.geomspace(1, 61, 30).astype(int) - 1)
    start = initialization.draw_stack((2, 12, 12, 12, 1), "kaiming_normal", range(5))
    names = ("zero", "constant", "too small", "right", "too large")
    data = toy.circles(100, np.random.default_rng(0))
    starts = dict.fromkeys(names, start)
    return toy.train_each(starts, data, lr=0.05, steps=60, record=record), data


def choices(control: widgets.Widget) -> list:
    """Return values that a control can take, both ends among them."""
    if hasattr(control, "options"):
        return [entry[1] if isinstance(entry, tuple) else entry for entry in control.options]
    ends = np.array([control.min, control.max], dtype=float)
    if isinstance(control, widgets.FloatLogSlider):
        return [float(value) for value in control.base ** np.linspace(*ends, 21)]
    values = np.linspace(*ends, 21)
    whole = isinstance(control.value, int)
    return [int(value) if whole else float(value) for value in values]


def changes(explorer: Explorer, number: int, seed: int = 0) -> Iterator[Callable[[], None]]:
    """Yield functions, each of which sets one of the controls to another value.

    Args:
        explorer: its controls are gone through in turn.
        number: how many changes.
        seed: of the choice among the values.
    """
    rng = random.Random(seed)
    controls = list(explorer.controls.values())
    for i in range(number):
        control = controls[i % len(controls)]
        value = rng.choice([value for value in choices(control) if value != control.value])
        yield lambda control=control, value=value: setattr(control, "value", value)


def strokes(pad: mnist_comparison.DigitPad, number: int, seed: int = 0) -> Iterator[Callable]:
    """Yield functions, each of which draws a stroke of ten points on the pad.

    Args:
        pad: the pad.
        number: how many strokes; every fifth begins on an empty pad.
        seed: of the points.
    """
    rng = np.random.default_rng(seed)
    for i in range(number):
        points = rng.uniform(30, 250, size=(10, 2)).tolist()

        def draw(points: list = points, first: bool = i % 5 == 0) -> None:
            if first:
                pad.controls["image"].value = (pad.controls["image"].value + 1) % 100
            pad.press(*points[0])
            for point in points[1:]:
                pad.move(*point)
            pad.release(*points[-1])

        yield draw


def timed(explorer: Explorer, acts: Iterator[Callable[[], None]]) -> dict[str, float]:
    """Return the median and 95th percentile of the acts' times, in milliseconds.

    Raises:
        RuntimeError: an act left the picture as it was, or the explorer told of an error.
    """
    walls, works = [], []
    for act in acts:
        before = explorer.children[-1].value
        wall, work = time.perf_counter(), time.process_time()
        act()
        walls.append(1e3 * (time.perf_counter() - wall))
        works.append(1e3 * (time.process_time() - work))
        if explorer.sentence.startswith("! "):
            raise RuntimeError(f"a change failed: {explorer.sentence}")
        if explorer.children[-1].value == before and len(explorer.controls) == 1:
            raise RuntimeError(f"a change changed nothing: {explorer.sentence}")
    return {
        "changes": len(walls),
        "median_ms": float(np.median(walls)),
        "p95_ms": float(np.quantile(walls, 0.95)),
        "cpu_median_ms": float(np.median(works)),
        "cpu_p95_ms": float(np.quantile(works, 0.95)),
    }


def measure(number: int = CHANGES) -> dict[str, dict[str, float]]:
    """Return for every explorer how long `number` changes take; `timed` says what is in it."""
    use_style()
    table = {}
    for name, explorer in explorers().items():
        table[name] = timed(explorer, changes(explorer, number))
        if isinstance(explorer, mnist_comparison.DigitPad):
            table[f"{name}, strokes"] = timed(explorer, strokes(explorer, number))
    return table


def main() -> None:
    """Measure, print the table, and write it where `--json` says."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--json", type=Path, help="file to write the table to")
    options = parser.parse_args()
    table = measure()
    print(f"{CHANGES} changes each; limit: {LIMIT:.0f} ms for 95 of 100")
    print("explorer                 median ms    p95 ms   processor: median ms    p95 ms")
    for name, row in table.items():
        print(
            f"{name:24s} {row['median_ms']:9.0f} {row['p95_ms']:9.0f} "
            f"{row['cpu_median_ms']:22.0f} {row['cpu_p95_ms']:9.0f}"
        )
    if options.json:
        options.json.write_text(json.dumps(table, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
