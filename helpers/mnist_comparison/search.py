"""Many training runs: the learning-rate search of problem 3, resumable and spread over cores.

Each run is trained by `fast` and kept by `records` at once, so that a killed search can go on.
"""

import multiprocessing
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent import futures
from concurrent.futures import BrokenExecutor, Executor, ProcessPoolExecutor
from functools import cache
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import ArrayLike
from tqdm import tqdm

from helpers import activations
from helpers.mnist_comparison.fast import PRECISIONS, train_spec
from helpers.mnist_comparison.records import Examples, Run, SearchError, Spec, load_run, save_run
from helpers.networks import MNIST_SIZES
from helpers.settings import data_folder
from helpers.training import RECORD_EVERY, record_epochs

Runs = dict[tuple[str, float, int], Run]


def default_precision(device: str) -> str:
    """Return `bfloat16` where the device has it in hardware, else `float32`."""
    if device == "cuda":
        able = torch.cuda.is_bf16_supported(including_emulation=False)
    else:
        chip = torch.cpu.get_capabilities()
        able = chip.get("amx_bf16") or chip.get("avx512_bf16")
    return "bfloat16" if able else "float32"


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
    executor: Executor | None = None,
    on_run: Callable[[Runs], None] | None = None,
) -> Runs:
    """Train one network for every unit, rate and seed; return the runs by (unit, rate, seed).

    Rates are positive; the same for all units, or a list for each. An epoch is one step of
    full-batch gradient descent, from initial weights of each seed; `sizes` are the layers' widths.
    `precision` is the matrix products' type, `float32` or `bfloat16`, by default bfloat16 where the
    hardware has it; weights, units and loss are float32 either way. `device` is `cpu` or `cuda`, by
    default a GPU where there is one. Records are kept in `folder`, by default `data/runs`. Training
    is done by `executor`, such as Dask's `Client(...).get_executor()`; by default by a process for
    each core, or on this process's GPU. `on_run` is called with all finished runs after each new.

    An argument out of range is a ValueError that names it. A SearchError says that the folder
    cannot be written to or that a training process was killed; finished runs are kept.
    """
    device = device or ("cuda" if torch.cuda.is_available() else "cpu")
    precision = precision or default_precision(device)
    for_unit = rates if isinstance(rates, Mapping) else dict.fromkeys(units, rates)
    _check(units, for_unit, seeds, precision)
    record_epochs(epochs, record_every)  # raises where one of them is out of range
    folder = data_folder() / "runs" if folder is None else Path(folder)
    common = (int(epochs), int(record_every), tuple(map(int, sizes)), precision, examples.digest)
    specs = {
        (unit, rate, seed): Spec(unit, float(rate), int(seed), *common)
        for unit in units
        for rate in for_unit[unit]
        for seed in seeds
    }
    runs = {place: run for place, spec in specs.items() if (run := load_run(spec, folder))}
    missing = {spec: place for place, spec in specs.items() if place not in runs}
    print(
        f"{len(specs)} runs of {epochs} epochs, products in {precision} on {device}: "
        f"{len(runs)} found in {folder.name}/, {len(missing)} to train"
    )
    try:
        with tqdm(total=len(missing), unit="run", smoothing=0, leave=False, file=sys.stdout) as bar:
            for run in _trained(list(missing), examples, device, executor):
                save_run(run, folder)
                runs[missing[run.spec]] = run
                bar.update()
                if on_run:
                    on_run({place: runs[place] for place in specs if place in runs})
    except KeyboardInterrupt:
        print(f"Interrupted: {len(runs)} of {len(specs)} runs are kept; run this again to go on.")
        raise
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


def _trained(
    specs: list[Spec], examples: Examples, device: str, executor: Executor | None
) -> Iterator[Run]:
    if executor is None and (device != "cpu" or len(specs) < 2):  # not worth starting processes
        for spec in specs:
            yield train_spec(spec, examples, device)
        return
    specs = sorted(specs, key=lambda spec: spec.lr)  # long runs first, those that break off last
    pool = executor or _processes()
    pending: set[futures.Future[Run]] = set()
    try:
        pending = {pool.submit(train_spec, spec, examples, device) for spec in specs}
        while pending:  # in short waits: Windows does not hear Ctrl-C during a wait
            done, pending = futures.wait(pending, 0.5, futures.FIRST_COMPLETED)
            for future in done:
                yield future.result()
    except BaseException as error:
        if executor is None:
            # Nothing is cancelled: the pool marks what waits as broken off, and before Python 3.12
            # it fails, aloud, on a future that was cancelled.
            workers = list((getattr(pool, "_processes", None) or {}).values())
            _processes.cache_clear()
            pool.shutdown(wait=False)
            for worker in workers:
                worker.terminate()
        else:
            for future in pending:
                future.cancel()
        if not isinstance(error, BrokenExecutor):
            raise
        raise SearchError(
            "a training process ended before its run did (memory may have been short); "
            "finished runs are kept, search again to go on"
        ) from error


@cache
def _processes() -> ProcessPoolExecutor:
    """Return a pool with a process for each core; it stays for the next search."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    most = min(cores or 1, 61)  # Windows cannot wait for more
    return ProcessPoolExecutor(most, multiprocessing.get_context("spawn"), _start_worker)


def _start_worker() -> None:
    """Make a worker single-threaded, deaf to Ctrl-C, and no longer-lived than its parent."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent hears it and stops the pool
    torch.set_num_threads(1)
    threading.Thread(target=_follow, args=[multiprocessing.parent_process()], daemon=True).start()


def _follow(parent: BaseProcess) -> None:
    parent.join()
    os._exit(1)
