"""Limits on time and memory for a student's code while a check runs it.

An endless loop ends in `TimeLimit` and an enormous allocation in `MemoryError`, so that the
kernel lives on. Time works on every system; memory where Linux tells the process's size.
"""

import _thread
import contextlib
import signal
import threading
from collections.abc import Iterator
from pathlib import Path
from types import FrameType

try:
    import resource
except ImportError:  # Windows
    resource = None  # type: ignore[assignment]

EXTRA_BYTES = 4 * 2**30  # address space that a check may add to what the process has


class TimeLimit(BaseException):
    """The time is up; a BaseException, so that `except Exception` does not hold it back."""


@contextlib.contextmanager
def limits(seconds: float, extra_bytes: int = EXTRA_BYTES) -> Iterator[None]:
    """Run the block for at most `seconds`, with at most `extra_bytes` of new address space.

    Raises:
        TimeLimit: the time is up.
        MemoryError: raised inside the block by the allocation that went over.
    """
    with _time_limit(seconds), _memory_limit(extra_bytes):
        yield


@contextlib.contextmanager
def _time_limit(seconds: float) -> Iterator[None]:
    if threading.current_thread() is not threading.main_thread():
        yield  # neither signals nor interrupts reach another thread
    elif hasattr(signal, "setitimer"):
        with _alarm(seconds):
            yield
    else:
        with _interrupt(seconds):
            yield


@contextlib.contextmanager
def _alarm(seconds: float) -> Iterator[None]:
    def ring(signum: int, frame: FrameType | None) -> None:
        raise TimeLimit

    before = signal.signal(signal.SIGALRM, ring)
    signal.setitimer(signal.ITIMER_REAL, seconds, 1.0)  # again each second, should code catch it
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


@contextlib.contextmanager
def _interrupt(seconds: float) -> Iterator[None]:
    rang = threading.Event()

    def ring() -> None:
        rang.set()
        _thread.interrupt_main()

    timer = threading.Timer(seconds, ring)
    timer.start()
    try:
        yield
    except KeyboardInterrupt:
        if rang.is_set():
            raise TimeLimit from None
        raise
    finally:
        timer.cancel()


@contextlib.contextmanager
def _memory_limit(extra_bytes: int) -> Iterator[None]:
    size = Path("/proc/self/statm")
    if resource is None or not size.exists():
        yield
        return
    before = resource.getrlimit(resource.RLIMIT_AS)
    pages = int(size.read_text(encoding="ascii").split()[0])
    wanted = pages * resource.getpagesize() + extra_bytes
    ceilings = [limit for limit in before if limit != resource.RLIM_INFINITY]
    resource.setrlimit(resource.RLIMIT_AS, (min([wanted, *ceilings]), before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, before)
