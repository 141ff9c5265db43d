"""The search's training processes: as many as cores and memory bear, or none.

The pool is loky's: it heeds the cores that a container grants, runs no `__main__` in its workers,
notices when one dies, and stops them all at once.
"""

import contextlib
import os
import signal
import tempfile
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent import futures
from concurrent.futures import BrokenExecutor, Executor
from functools import cache, partial
from pathlib import Path
from typing import Any

import loky
import numpy as np
import psutil
import torch

from helpers.mnist_comparison.fast import train_spec
from helpers.mnist_comparison.records import Examples, Run, SearchError, Spec

WORKERS = "SEARCH_WORKERS"  # the environment variable that overrides what is counted here
WORKER_BYTES = 500_000_000  # what a worker takes with MNIST, and some to spare
OTHER_BYTES = 1_500_000_000  # what a container holds besides: the notebook, JupyterLab, the system
LIMITS = [Path("/sys/fs/cgroup/memory.max"), Path("/sys/fs/cgroup/memory/memory.limit_in_bytes")]
START_SECONDS = 180  # to have a first process; it has to import torch
TICK = 0.5  # seconds from one look at the runs under way to the next
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
    specs: Sequence[Spec],
    examples: Examples,
    device: str,
    executor: Executor | None,
    on_epochs: Callable[[int], object],
) -> Iterator[Run]:
    """Yield each run when it is done: by the executor, own processes, or in this process.

    Where several runs are trained in this process on a CPU, that and why is printed. `on_epochs` is
    called at least twice a second with the number of epochs done in the runs that are under way; an
    executor on another machine does not tell them.
    """
    pool = executor
    if pool is None and device == "cpu" and len(specs) > 1:  # for one it is not worth the start
        pool = _processes(on_epochs)
    if pool is None:
        for spec in specs:
            yield train_spec(spec, examples, device, on_epochs)
        return
    specs = sorted(specs, key=lambda spec: spec.lr)  # long runs first, those that break off last
    pending: dict[futures.Future[Run], int] = {}
    try:
        with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:  # Windows: in use
            counts = Path(folder) / "epochs"
            np.zeros(len(specs), np.int32).tofile(counts)
            for k, spec in enumerate(specs):
                told = partial(_tell, counts, k)
                pending[pool.submit(train_spec, spec, examples, device, told)] = k
            while pending:  # in short waits: Windows does not hear Ctrl-C during a wait
                for future in futures.wait(pending, TICK, futures.FIRST_COMPLETED).done:
                    del pending[future]
                    yield future.result()
                on_epochs(int(np.fromfile(counts, np.int32)[list(pending.values())].sum()))
    except BaseException as error:
        if pool is not executor:
            _stop(pool)  # which sets what is pending aside; to cancel it, too, would be a race
        else:
            for future in pending:
                future.cancel()
        if not isinstance(error, BrokenExecutor):
            raise
        raise SearchError(
            "a training process ended before its run did (memory may have been short); finished "
            f"runs are kept, search again to go on, with {WORKERS}=1 in this process alone"
        ) from error


def _tell(counts: Path, k: int, epoch: int) -> None:
    """Write the k-th run's epoch where the parent reads it, if that is on this machine."""
    with contextlib.suppress(OSError), open(counts, "r+b") as file:
        file.seek(4 * k)
        file.write(np.int32(epoch).tobytes())


def _processes(on_epochs: Callable[[int], object]) -> Executor | None:
    """Return a pool that has answered, the same for every search, or None and say why."""
    if (number := count()) == 1:
        print(f"One run at a time, in this process: cores and memory bear no more, or {WORKERS}=1.")
        return None
    pool = None
    try:
        start: Any = {"initializer": _start_worker, "initargs": [os.getpid()]}
        pool = loky.get_reusable_executor(number, timeout=IDLE_SECONDS, **start)
        with _interrupts_put_off():
            first = pool.submit(os.getpid)
        for _ in range(int(START_SECONDS / TICK)):
            if futures.wait([first], TICK).done:
                break
            on_epochs(0)
        first.result(0)
        return pool
    # No semaphores, threads or processes to be had; a process that ends at once, or never answers.
    except (OSError, RuntimeError, MemoryError, ImportError, futures.TimeoutError) as error:
        if pool:
            _stop(pool)
        why = " ".join(str(error).split("\n\n")[0].split()) or type(error).__name__
        print(f"One run at a time, in this process: others cannot be started ({why}).")
        return None
    except KeyboardInterrupt:
        if pool:
            _stop(pool)
        raise


@contextlib.contextmanager
def _interrupts_put_off() -> Iterator[None]:
    """Put Ctrl-C off to the end; processes that are started meanwhile do not hear it at all.

    Off the main thread, which alone hears it, nothing is done.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    heard: list[int] = []
    before = signal.signal(signal.SIGINT, lambda number, frame: heard.append(number))
    mask = getattr(signal, "pthread_sigmask", None)  # handed down; Windows has none
    blocked = mask(signal.SIG_BLOCK, {signal.SIGINT}) if mask else None
    try:
        yield
    finally:
        if mask:
            mask(signal.SIG_SETMASK, blocked)
        signal.signal(signal.SIGINT, before)
    if heard:
        raise KeyboardInterrupt


def _stop(pool: Any) -> None:
    pool.shutdown(wait=False, kill_workers=True)  # which only loky's takes


def _start_worker(parent: int) -> None:
    """Make a worker single-threaded, deaf to Ctrl-C, and no longer-lived than its parent."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # here too: Windows hands nothing down
    torch.set_num_threads(1)
    threading.Thread(target=_follow, args=[parent], daemon=True).start()


def _follow(parent: int) -> None:
    with contextlib.suppress(psutil.NoSuchProcess):
        psutil.Process(parent).wait()
    os._exit(1)
