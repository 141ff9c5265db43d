"""MNIST's download through torchvision: bounded in time, verified, and never half in place."""

import contextlib
import errno
import io
import os
import socket
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
SILENT_SECONDS = 7.0  # how long one may then send nothing; torchvision tries https, then http
RAW = Path("MNIST", "raw")  # where torchvision keeps the files
FULL_OR_READ_ONLY = {errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EPERM}

T = TypeVar("T")


class DownloadError(RuntimeError):
    """The network gave nothing that can be used; the message says why."""


def fetch(home: Path, names: Sequence[str], verify: Callable[[Path], T]) -> T:
    """Download the files of these names into `home`; return what `verify` returns for them.

    `verify` is given a folder laid out like `home`, and raises RuntimeError if it is not sound.
    A DownloadError says that nothing sound was to be had, an OSError that it cannot be stored.
    """
    try:
        from torchvision.datasets import MNIST  # here, because importing it takes a second or two
    except (ImportError, RuntimeError) as error:  # it goes with another torch, or lacks a library
        raise DownloadError(f"torchvision cannot be imported: {error}") from error

    mirrors = _answering(MNIST.mirrors, MNIST.resources[0][0])
    if not mirrors:
        raise DownloadError(f"none of the {len(MNIST.mirrors)} servers that offer it answered")
    print(f"Downloading MNIST (12 MB) into {home}.")
    home.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(None, ".download-", home, True) as folder:
        before = socket.getdefaulttimeout()
        socket.setdefaulttimeout(SILENT_SECONDS)
        try:
            with contextlib.redirect_stderr(io.StringIO()):  # torchvision's progress bars
                type("MNIST", (MNIST,), {"mirrors": mirrors})(folder, download=True)
        except Exception as error:
            if getattr(error, "errno", None) in FULL_OR_READ_ONLY:
                raise
            told = " ".join(f"{type(error).__name__}: {error}".split())
            raise DownloadError(f"the download failed: {told}") from error
        finally:
            socket.setdefaulttimeout(before)
        try:
            result = verify(Path(folder))
        except RuntimeError as error:
            raise DownloadError("what was downloaded is not MNIST") from error
        target = home / RAW
        target.mkdir(parents=True, exist_ok=True)
        for name in names:
            try:
                os.replace(Path(folder) / RAW / name, target / name)
            except PermissionError:  # Windows: another process put it there and is reading it
                if not (target / name).is_file():
                    raise
    return result


def _answering(mirrors: Sequence[str], file: str) -> list[str]:
    """Return the mirrors that offer the file within `PROBE_SECONDS`, in their order."""
    offered: set[str] = set()

    def probe(mirror: str) -> None:
        try:
            request = urllib.request.Request(mirror + file, method="HEAD")
            urllib.request.urlopen(request, timeout=PROBE_SECONDS).close()
            offered.add(mirror)
        except urllib.error.HTTPError as refusal:
            refusal.close()  # it is an answer, too
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
