"""MNIST's download through torchvision: bounded in time, verified, and never half in place.

Used by `mnist` only. torchvision downloads without a time limit and into the final folder,
so it runs here in a process of its own that is watched, in a temporary folder next to the target;
files are moved only once they are verified, each in one step.
"""

from __future__ import annotations

import errno
import json
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Sequence
from http.client import HTTPException
from pathlib import Path
from typing import TypeVar

PROBE_SECONDS = 5.0  # how long the servers have to answer at all
STALL_SECONDS = 12.0  # how long a download may stand still; with the probe less than 20 s
START_SECONDS = 120.0  # how long Python may take to import torchvision, no network being involved
RAW = Path("MNIST", "raw")  # where torchvision keeps the files
FULL_OR_READ_ONLY = {errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EPERM}
DAY = 86400.0  # seconds

# What the process runs. It tells of a failure as a line of JSON: error number and text.
PROGRAM = """
import json, socket, sys
root, mirrors, resources, timeout = json.loads(sys.argv[1])
from torchvision.datasets import MNIST
socket.setdefaulttimeout(timeout)
MNIST.mirrors, MNIST.resources = mirrors, resources
try:
    MNIST(root, download=True)
except Exception as error:
    print(json.dumps([getattr(error, "errno", None), f"{type(error).__name__}: {error}"]))
    sys.exit(1)
"""

T = TypeVar("T")


class DownloadError(RuntimeError):
    """The network gave nothing that can be used; the message says why."""


def fetch(home: Path, names: Sequence[str], verify: Callable[[Path], T]) -> T:
    """What `verify` returns for the downloaded files, once they have been moved into `home`.

    Several processes may do this at once: each downloads for itself, and the files that they put
    in place are the same.

    Args:
        home: the folder to hold MNIST/raw; made if need be.
        names: the uncompressed files to keep.
        verify: is given a folder laid out like `home`; raises RuntimeError if it is not sound.

    Raises:
        DownloadError: no server answers, the download fails or stands still, or it is not sound.
        OSError: the files cannot be stored.
    """
    from torchvision.datasets import MNIST  # here, because importing it takes a second or two

    mirrors = _answering(MNIST.mirrors, MNIST.resources[0][0])
    if not mirrors:
        raise DownloadError(f"none of the {len(MNIST.mirrors)} servers that offer it answered")
    print(f"Downloading MNIST (12 MB) into {home}.")
    home.mkdir(parents=True, exist_ok=True)
    _sweep(home)
    with tempfile.TemporaryDirectory(
        prefix=".download-", dir=home, ignore_cleanup_errors=True
    ) as folder:
        _run(folder, mirrors, MNIST.resources)
        try:
            result = verify(Path(folder))
        except RuntimeError as error:
            raise DownloadError("what was downloaded is not MNIST") from error
        _move(names, Path(folder) / RAW, home / RAW)
    return result


def _answering(mirrors: Sequence[str], file: str) -> list[str]:
    """The mirrors that offer the file within `PROBE_SECONDS`, in their order."""
    offered: set[str] = set()

    def probe(mirror: str) -> None:
        try:
            request = urllib.request.Request(mirror + file, method="HEAD")
            urllib.request.urlopen(request, timeout=PROBE_SECONDS).close()
            offered.add(mirror)
        except urllib.error.HTTPError as error:
            error.close()
        except (OSError, ValueError, HTTPException):
            pass

    # Threads, because looking up a server's name has no time limit of its own.
    threads = [threading.Thread(target=probe, args=(m,), daemon=True) for m in mirrors]
    deadline = time.monotonic() + PROBE_SECONDS
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(max(0.0, deadline - time.monotonic()))
    return [mirror for mirror in mirrors if mirror in offered]


def _run(folder: str, mirrors: list[str], resources: Sequence[tuple[str, str]]) -> None:
    """Has torchvision download into `folder`, and ends it if it stands still."""
    given = json.dumps([folder, mirrors, resources, STALL_SECONDS])
    with subprocess.Popen(
        [sys.executable, "-c", PROGRAM, given],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    ) as process:
        try:
            finished = _finishes(process, folder)
        finally:  # also where the reader interrupts the cell
            process.kill()
        told = process.communicate()[0].decode().strip()
    if not finished:
        raise DownloadError("the download stood still and was given up")
    if process.returncode:
        number, text = json.loads(told.splitlines()[-1]) if told else (None, "torchvision ended")
        if number in FULL_OR_READ_ONLY:
            raise OSError(number, os.strerror(number))
        raise DownloadError(f"the download failed: {' '.join(text.split())}")


def _finishes(process: subprocess.Popen[bytes], folder: str) -> bool:
    """True once the process has ended; False if `folder` has not grown for `STALL_SECONDS`."""
    size, since = 0, time.monotonic()
    while process.poll() is None:
        time.sleep(0.05)
        now = _size(folder)
        if now > size:
            size, since = now, time.monotonic()
        elif time.monotonic() - since > (STALL_SECONDS if size else START_SECONDS):
            return False
    return True


def _size(folder: str) -> int:
    """Entries plus bytes below `folder`, which grow with every step of a download."""
    entries = list(Path(folder).rglob("*"))
    return len(entries) + sum(entry.stat().st_size for entry in entries if entry.is_file())


def _move(names: Sequence[str], source: Path, target: Path) -> None:
    """Moves each file in one step, so that nobody ever sees a part of it."""
    target.mkdir(parents=True, exist_ok=True)
    for name in names:
        try:
            os.replace(source / name, target / name)
        except PermissionError:
            # Windows: another process, which has put the same file there, is reading it.
            if not (target / name).is_file():
                raise


def _sweep(home: Path) -> None:
    """Removes what downloads of yesterday left behind when their process was killed."""
    for left in home.glob(".download-*"):
        if time.time() - left.stat().st_mtime > DAY:
            shutil.rmtree(left, ignore_errors=True)
