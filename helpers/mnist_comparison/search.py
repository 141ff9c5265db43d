"""Many training runs: the learning-rate search of problem 3, resumable and spread over cores.

Each run is trained by `fast` and kept by `records` at once, so that a killed search can go on.
"""

import sys
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import replace
from itertools import chain
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import ArrayLike
from tqdm import tqdm

from helpers import activations
from helpers.mnist_comparison.fast import PRECISIONS, default_precision, measured
from helpers.mnist_comparison.recorded import asked, recorded_run
from helpers.mnist_comparison.records import Examples, Run, Spec, load_run, save_run
from helpers.mnist_comparison.workers import trained
from helpers.networks import MNIST_SIZES
from helpers.settings import data_folder
from helpers.training import RECORD_EVERY, record_epochs

Runs = dict[tuple[str, float, int], Run]


class Interrupted(KeyboardInterrupt):
    """What an interrupt of a search ends in: a notebook shows its sentence, without traceback."""

    def _render_traceback_(self) -> list[str]:  # IPython's name for it
        return [str(self)]


class BestRate(NamedTuple):
    """What `best_rate` chooses; `on_edge` says that a better rate may lie beyond the grid."""

    rate: float  # the chosen one
    highest: float  # that of the highest accuracy; the smallest where several have it
    error: float  # standard error of the highest accuracy
    on_edge: bool  # whether `highest` is an end of the grid


def best_rate(rates: Sequence[float], accuracy: ArrayLike, images: int) -> BestRate:
    """Return the smallest rate whose accuracy lies within one standard error of the highest.

    An accuracy p measured on n images has a standard error of √(p (1 − p) / n); rates that differ
    by less cannot be told apart, and the smaller is farther from where training breaks.
    `accuracy` is the last validation accuracy at each rate, in [0, 1]; rates ascend.
    """
    accuracy = np.asarray(accuracy, dtype=float)
    if not len(rates) or np.any(np.diff(rates) <= 0):
        raise ValueError(f"rates is {list(rates)}; give one or more, in ascending order")
    if accuracy.shape != (len(rates),) or not np.all((accuracy >= 0) & (accuracy <= 1)):
        raise ValueError(f"accuracy is {accuracy}; give one in [0, 1] for each rate")
    highest = int(accuracy.argmax())
    top = accuracy[highest]
    error = float(np.sqrt(top * (1 - top) / images))
    chosen = int((accuracy >= top - error).argmax())
    return BestRate(rates[chosen], rates[highest], error, highest in (0, len(rates) - 1))


def search(
    units: Sequence[str],
    rates: Sequence[float] | Mapping[str, Sequence[float]],
    examples: Examples,
    *,
    epochs: int,
    seeds: Sequence[int] = (0,),
    sizes: Sequence[int] = MNIST_SIZES,
    record_every: int = RECORD_EVERY,
    precision: str | None = None,
    device: str | None = None,
    folder: Path | str | None = None,
    recorded: bool = True,
    executor: Executor | None = None,
    on_run: Callable[[Runs], None] | None = None,
) -> Runs:
    """Train one network for every unit, rate and seed; return the runs by (unit, rate, seed).

    Rates are positive; the same for all units, or a list for each. An epoch is one step of
    full-batch gradient descent, from initial weights of each seed; `sizes` are the layers' widths.
    `precision` is the matrix products' type, `float32` or `bfloat16`, by default the one that is
    faster here, and a record in the other counts too; weights, units and loss are float32 either
    way. `device` is `cpu` or `cuda`, by default a GPU where there is one. Records are kept in
    `folder`, by default `data/runs`; where it holds none a `recorded` one will do, if
    `use_recorded` was called. Training is done by `executor`, such as Dask's
    `Client(...).get_executor()`; by default by as many processes as cores and memory bear (or the
    environment variable SEARCH_WORKERS says), or on this process's GPU. `on_run` is called with all
    finished runs after each new.

    An argument out of range is a ValueError that names it. An interrupt, KeyboardInterrupt, ends in
    a sentence. A SearchError says that the folder
    cannot be written to or that a training process was killed; finished runs are kept.
    """
    device = device or ("cuda" if torch.cuda.is_available() else "cpu")
    chosen = precision or default_precision(device)
    for_unit = rates if isinstance(rates, Mapping) else dict.fromkeys(units, rates)
    _check(units, for_unit, seeds, chosen)
    record_epochs(epochs, record_every)  # raises where one of them is out of range
    folder = data_folder() / "runs" if folder is None else Path(folder)
    common = (int(epochs), int(record_every), tuple(map(int, sizes)), chosen, examples.digest)
    specs = {
        (unit, rate, seed): Spec(unit, float(rate), int(seed), *common)
        for unit in units
        for rate in for_unit[unit]
        for seed in seeds
    }
    accepted = [chosen] if precision else sorted(PRECISIONS, key=chosen.__ne__)  # chosen first
    runs: Runs = {}
    for place, spec in specs.items():
        kinds = [replace(spec, precision=kind) for kind in accepted]
        records = chain(
            (load_run(kind, folder) for kind in kinds),
            (recorded_run(kind) for kind in kinds if recorded),
        )
        if run := next(filter(None, records), None):
            runs[place] = run
    missing = {spec: place for place, spec in specs.items() if place not in runs}
    made = {f" ({run.spec.precision}, torch {run.torch_version})" for run in runs.values()}
    days = [run.recorded for run in runs.values() if run.recorded]
    many = f"{len(specs)} run{'s' * (len(specs) > 1)} of {epochs} epochs"
    print(f"{many}: {len(runs) - len(days)} found in", end=" ")
    print(f"{folder.name}/" + (f", {len(days)} recorded on {days[0]}" if days else ""), end="")
    print(*sorted(made), sep=" and", end=f", {len(missing)} to train\n")
    if missing:
        how = "as told"
        if not precision:
            here = [f"{rate:.0f} GFLOP/s in {kind}" for kind, rate in measured(device).items()]
            how = f"measured: {', '.join(here)}"
        print(f"Products in {chosen} on {device} ({how}).")
    found = len(runs)
    try:
        with tqdm(  # miniters=0: its clock goes also while no epoch ends
            total=len(missing) * epochs,
            unit="epoch",
            smoothing=0,
            miniters=0,
            leave=False,
            file=sys.stdout,
        ) as bar:

            def on_epochs(under_way: int) -> None:
                done = len(runs) - found
                bar.set_description(f"{done} of {len(missing)} runs", refresh=False)
                bar.update(done * epochs + under_way - bar.n)

            on_epochs(0)
            for run in trained(list(missing), examples, device, executor, on_epochs):
                save_run(run, folder)
                runs[missing[run.spec]] = run
                if on_run:
                    on_run({place: runs[place] for place in specs if place in runs})
    except KeyboardInterrupt:
        kept = f"{len(runs)} of {len(specs)} runs are kept; run this again to go on."
        raise Interrupted(f"Interrupted: {kept}") from None
    if recorded:
        asked.update({run.spec.file: run.spec for run in runs.values()})
    return {place: runs[place] for place in specs}


def _check(
    units: Sequence[str], rates: Mapping[str, Sequence[float]], seeds: Sequence[int], precision: str
) -> None:
    lists = {f"rates for {unit!r}": rates.get(unit, ()) for unit in units}
    for name, values in {"units": units, "seeds": seeds, **lists}.items():
        if isinstance(values, str) or not len(values) or len(set(values)) < len(values):
            raise ValueError(f"{name} is {values!r}; give one or more different values in a list")
    for unit in units:
        activations.get(unit)
        if not all(np.isfinite(rate) and rate > 0 for rate in rates[unit]):
            raise ValueError(f"rates is {list(rates[unit])}; every rate must be positive, finite")
    if precision not in PRECISIONS:
        raise ValueError(f"precision {precision!r} unknown; choose from {', '.join(PRECISIONS)}")
