"""The search's training processes: as many as cores and memory bear, or none.

The pool is loky's: it heeds the cores that a container grants, runs no `__main__` in its workers,
notices when one dies, and stops them all at once.
"""

import contextlib
import os
import signal
import threading
from collections.abc import Iterator, Sequence
from concurrent import futures
from concurrent.futures import BrokenExecutor, Executor
from functools import cache
from pathlib import Path
from typing import Any

import loky
import psutil
import torch

from helpers.mnist_comparison.fast import train_spec
from helpers.mnist_comparison.records import Examples, Run, SearchError, Spec

WORKERS = "SEARCH_WORKERS"  # the environment variable that overrides what is counted here
WORKER_BYTES = 500_000_000  # what a worker takes with MNIST, and some to spare
OTHER_BYTES = 1_500_000_000  # what a container holds besides: the notebook, JupyterLab, the system
LIMITS = [Path("/sys/fs/cgroup/memory.max"), Path("/sys/fs/cgroup/memory/memory.limit_in_bytes")]
START_SECONDS = 180  # to have a first process; it has to import torch
IDLE_SECONDS = 300  # after which a process that has nothing to do ends


def count() -> int:
    """Return how many runs are trained at once: `SEARCH_WORKERS`, else what the machine bears."""
    told = os.environ.get(WORKERS, "")
    if told and not (told.isdecimal() and int(told)):
        raise ValueError(f"{WORKERS} is {told!r}; set it to a number from 1 on, or to nothing")
    return int(told) if told else _borne()


@cache  # later the workers themselves have taken memory
def _borne() -> int:
    memory = psutil.virtual_memory().available
    for limit in LIMITS:
        with contextlib.suppress(OSError, ValueError):  # there is none, or it is "max"
            memory = min(memory, int(limit.read_text()) - OTHER_BYTES)
    return max(1, min(loky.cpu_count(), memory // WORKER_BYTES))


def trained(
    specs: Sequence[Spec], examples: Examples, device: str, executor: Executor | None
) -> Iterator[Run]:
    """Yield each run when it is done: by the executor, own processes, or in this process.

    Where several runs are trained in this process on a CPU, that and why is printed.
    """
    pool = executor
    if pool is None and device == "cpu" and len(specs) > 1:  # for one it is not worth the start
        pool = _processes()
    if pool is None:
        for spec in specs:
            yield train_spec(spec, examples, device)
        return
    specs = sorted(specs, key=lambda spec: spec.lr)  # long runs first, those that break off last
    pending: set[futures.Future[Run]] = set()
    try:
        pending = {pool.submit(train_spec, spec, examples, device) for spec in specs}
        while pending:  # in short waits: Windows does not hear Ctrl-C during a wait
            done, pending = futures.wait(pending, 0.5, futures.FIRST_COMPLETED)
            for future in done:
                yield future.result()
    except BaseException as error:
        if pool is not executor:
            _stop(pool)
        for future in pending:
            future.cancel()
        if not isinstance(error, BrokenExecutor):
            raise
        raise SearchError(
            "a training process ended before its run did (memory may have been short); finished "
            f"runs are kept, search again to go on, with {WORKERS}=1 in this process alone"
        ) from error


def _processes() -> Executor | None:
    """Return a pool that has answered, the same for every search, or None and say why."""
    if (number := count()) == 1:
        print(f"One run at a time, in this process: cores and memory bear no more, or {WORKERS}=1.")
        return None
    pool = None
    try:
        start: Any = {"initializer": _start_worker, "initargs": [os.getpid()]}
        pool = loky.get_reusable_executor(number, timeout=IDLE_SECONDS, **start)
        pool.submit(os.getpid).result(START_SECONDS)
        return pool
    # No semaphores, threads or processes to be had; a process that ends at once, or never answers.
    except (OSError, RuntimeError, MemoryError, ImportError, futures.TimeoutError) as error:
        if pool:
            _stop(pool)
        why = " ".join(str(error).split("\n\n")[0].split()) or type(error).__name__
        print(f"One run at a time, in this process: others cannot be started ({why}).")
        return None


def _stop(pool: Any) -> None:
    pool.shutdown(wait=False, kill_workers=True)  # which only loky's takes


def _start_worker(parent: int) -> None:
    """Make a worker single-threaded, deaf to Ctrl-C, and no longer-lived than its parent."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent hears it and stops the pool
    torch.set_num_threads(1)
    threading.Thread(target=_follow, args=[parent], daemon=True).start()


def _follow(parent: int) -> None:
    with contextlib.suppress(psutil.NoSuchProcess):
        psutil.Process(parent).wait()
    os._exit(1)
