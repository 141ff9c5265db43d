"""How long the notebooks' loops run: in full, or short for tests.

Every notebook asks this module for the length of its long loops, so that the same cells serve
the reader (full protocol) and the test run (`QUICK_RUN=1`, a matter of seconds).
"""

import os

QUICK_RUN = "QUICK_RUN"


def quick_run() -> bool:
    """Return True where the environment variable `QUICK_RUN` asks for short loops.

    Raises:
        ValueError: `QUICK_RUN` is neither empty, `0` nor `1`.
    """
    value = os.environ.get(QUICK_RUN, "")
    if value not in ("", "0", "1"):
        raise ValueError(f"QUICK_RUN is {value!r}; set it to 1 for short loops, or to 0 or nothing")
    return value == "1"


def scaled(full: int, quick: int) -> int:
    """Return `full`, or `quick` where `QUICK_RUN=1` is set.

    Args:
        full: number of epochs, repeats or seeds of the full experiment, at least 1.
        quick: the number that shows only that the code runs, from 1 to `full`.

    Raises:
        ValueError: not 1 <= quick <= full.
    """
    if not 1 <= quick <= full:
        raise ValueError(f"quick is {quick}; it must lie between 1 and full = {full}")
    return quick if quick_run() else full
