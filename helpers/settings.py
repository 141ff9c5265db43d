"""How the notebooks run: how long their loops are, where data lie, and on how many threads.

Every notebook asks this module for the length of its long loops, so that the same cells serve
the reader (full protocol) and the test run (`QUICK_RUN=1`, a matter of seconds).
"""

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

import torch

QUICK_RUN = "QUICK_RUN"


def switched_on(name: str) -> bool:
    """Return whether the environment variable is 1; neither empty, 0 nor 1 is a ValueError."""
    value = os.environ.get(name, "")
    if value not in ("", "0", "1"):
        raise ValueError(f"{name} is {value!r}; set it to 1 to switch it on, or to 0 or nothing")
    return value == "1"


def scaled(full: int, quick: int) -> int:
    """Return `full`, or `quick` where the environment variable `QUICK_RUN` is 1.

    Args:
        full: number of epochs, repeats or seeds of the full experiment, at least 1.
        quick: the number that shows only that the code runs, from 1 to `full`.

    Raises:
        ValueError: not 1 <= quick <= full, or `QUICK_RUN` is neither empty, `0` nor `1`.
    """
    if not 1 <= quick <= full:
        raise ValueError(f"quick is {quick}; it must lie between 1 and full = {full}")
    return quick if switched_on(QUICK_RUN) else full


def announce_short_run() -> None:
    """Say, in a short run only, that the text speaks of the full one."""
    if switched_on(QUICK_RUN):
        print("A short run (QUICK_RUN=1): the text and its numbers speak of the full run.")


def looked_at() -> bool:
    """Return whether a browser looks on; where nbgrader or a test runs the cells, none does."""
    return bool(os.environ.get("JPY_SESSION_NAME")) and not os.environ.get("NBGRADER_EXECUTION")


def data_folder() -> Path:
    """Return the folder of MNIST and finished runs: the project's data/, else the working one's."""
    project = Path(__file__).resolve().parent.parent
    return (project if (project / "pyproject.toml").is_file() else Path.cwd()) / "data"


@contextlib.contextmanager
def one_thread(flush: bool = False) -> Iterator[None]:
    """Run the block's torch operations on the calling thread, with subnormals flushed to 0 or not.

    A second thread would not flush. Afterwards threads are as they were, and flushing is off.
    """
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    torch.set_flush_denormal(flush)
    try:
        yield
    finally:
        torch.set_flush_denormal(False)
        torch.set_num_threads(threads)
