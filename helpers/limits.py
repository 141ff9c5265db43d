"""Limits on processor time and memory for a student's code while a check runs it.

An endless loop ends in `TimeLimit` and, on Linux, an enormous allocation in `MemoryError`, so that
the kernel lives on. What counts is the process's own time at work, so a busy machine makes no
difference; code that waits instead of working ends by the clock, later.
"""

import _thread
import signal
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

try:
    import resource
except ImportError:  # Windows
    resource = None  # type: ignore[assignment]

EXTRA_BYTES = 4 * 2**30  # address space that a check may add to what the process has
WAITING = 12  # how many times longer than it may work may code wait


class TimeLimit(BaseException):
    """The time is up; a BaseException, so that `except Exception` does not hold it back."""


@contextmanager
def limits(seconds: float, extra_bytes: int = EXTRA_BYTES) -> Iterator[None]:
    """Run the block for at most `seconds` of processor time, or 12 times that of waiting.

    Counted are all threads of this process; `extra_bytes` is what address space it may add.

    Raises:
        TimeLimit: the time is up.
        MemoryError: raised inside the block by the allocation that went over.
    """
    worked = f"still running after {seconds:g} seconds of work; is there an endless loop?"
    waited = f"still waiting after {WAITING * seconds:g} seconds; what does it wait for?"
    with ExitStack() as undo:
        _limit_memory(undo, extra_bytes)
        if threading.current_thread() is not threading.main_thread():
            pass  # neither signals nor interrupts reach another thread
        elif hasattr(signal, "setitimer"):
            _set_timer(undo, signal.SIGPROF, signal.ITIMER_PROF, seconds, worked)
            _set_timer(undo, signal.SIGALRM, signal.ITIMER_REAL, WAITING * seconds, waited)
        else:
            undo.enter_context(_interrupt(seconds, worked, waited))
        yield


def _set_timer(undo: ExitStack, number: int, timer: int, seconds: float, message: str) -> None:
    def at_next_line(frame: FrameType, event: str, arg: object) -> Any:
        if event == "line":
            raise TimeLimit(message)
        return at_next_line

    def ring(signum: int, frame: FrameType | None) -> None:
        while frame and not frame.f_globals.get("__name__", "").startswith("helpers."):
            frame.f_trace, frame = at_next_line, frame.f_back  # should a bare `except` catch it
        sys.settrace(lambda *_: None)
        raise TimeLimit(message)

    undo.callback(sys.settrace, sys.gettrace())
    undo.callback(signal.setitimer, timer, *signal.getitimer(timer))
    undo.callback(signal.signal, number, signal.signal(number, ring))
    undo.callback(signal.setitimer, timer, 0)
    signal.setitimer(timer, seconds, 1.0)  # and again each second


@contextmanager
def _interrupt(seconds: float, worked: str, waited: str) -> Iterator[None]:
    ended, said = threading.Event(), []
    clock, work = time.monotonic(), time.process_time()

    def watch() -> None:
        while not ended.wait(0.2):
            if time.process_time() - work > seconds:
                said.append(worked)
            elif time.monotonic() - clock > WAITING * seconds:
                said.append(waited)
            if said:
                _thread.interrupt_main()
                return

    thread = threading.Thread(target=watch, daemon=True)
    thread.start()
    try:
        yield
    except KeyboardInterrupt:
        if said:
            raise TimeLimit(said[0]) from None
        raise
    finally:
        ended.set()
        thread.join()


def _limit_memory(undo: ExitStack, extra_bytes: int) -> None:
    size = Path("/proc/self/statm")
    if resource is None or not size.exists():
        return
    before = resource.getrlimit(resource.RLIMIT_AS)
    pages = int(size.read_text(encoding="ascii").split()[0])
    wanted = pages * resource.getpagesize() + extra_bytes
    ceilings = [limit for limit in before if limit != resource.RLIM_INFINITY]
    undo.callback(resource.setrlimit, resource.RLIMIT_AS, before)
    resource.setrlimit(resource.RLIMIT_AS, (min([wanted, *ceilings]), before[1]))
