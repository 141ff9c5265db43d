"""MNIST as arrays and as tensors: found, downloaded, verified and split.

Used by notebook 03. The data are looked for in the folder that the environment variable MNIST_DIR
names, then in the project's `data/`, then on the network (through torchvision); where none of these
has them, digits drawn from fonts stand in, which is announced. Data: Y. LeCun, C. Cortes and
C. J. C. Burges, The MNIST database of handwritten digits (1998).
"""

from __future__ import annotations

import errno
import gzip
import hashlib
import json
import numbers
import os
import struct
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
import zlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from helpers import standin

# SHA-256 of the uncompressed files, in the order train images, train labels, test images and labels.
SHA256 = {
    "train-images-idx3-ubyte": "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
    "train-labels-idx1-ubyte": "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
    "t10k-images-idx3-ubyte": "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
    "t10k-labels-idx1-ubyte": "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
}
LARGEST = 64 * 2**20  # bytes: no file of MNIST is larger than 47,040,016
PROBE_SECONDS = 5.0  # how long the mirrors have to answer at all
STALL_SECONDS = 12.0  # how long a download may stand still; both together stay under 20 s
START_SECONDS = 60.0  # how long Python may take to import torchvision before the download starts
GET_THE_FILES = "put the four files into a folder and set MNIST_DIR to it"
FULL_OR_READ_ONLY = {errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EPERM}

# Runs in a process of its own, because a download through urllib cannot be interrupted from outside.
DOWNLOAD = """
import json, socket, sys
root, given = sys.argv[1], json.loads(sys.argv[2])
from torchvision.datasets import MNIST
socket.setdefaulttimeout(given["timeout"])
MNIST.mirrors, MNIST.resources = given["mirrors"], given["resources"]
try:
    MNIST(root, download=True)
except Exception as error:
    print(json.dumps([getattr(error, "errno", None), f"{type(error).__name__}: {error}"]))
    sys.exit(1)
"""


class MnistError(RuntimeError):
    """MNIST cannot be had as asked; the message is one sentence that says why and what to do."""


class _NoNetwork(MnistError):
    """The download gave nothing; the stand-in may take its place."""


class _Titled:
    """What `Mnist` and `Split` share: a title that never passes the stand-in off as MNIST."""

    is_real: bool

    def title(self, text: str) -> str:
        """`text`, followed by a remark in parentheses unless the data are MNIST itself."""
        return text if self.is_real else f"{text} (stand-in digits, not MNIST)"


@dataclass(frozen=True, eq=False, repr=False)
class Mnist(_Titled):
    """Images (uint8, 0–255, shape (n, 28, 28)) and labels (int64, 0–9, shape (n,)), as distributed.

    `source` names the data in words, `is_real` is False for the stand-in, and `digest` is a
    SHA-256 (hex) that identifies the content.
    """

    train_images: np.ndarray
    train_labels: np.ndarray
    test_images: np.ndarray
    test_labels: np.ndarray
    source: str
    is_real: bool
    digest: str

    def __repr__(self) -> str:
        sizes = f"{len(self.train_images):,} training and {len(self.test_images):,} test images"
        return f"<{self.source}: {sizes} of 28×28, sha256 {self.digest[:8]}…>"


@dataclass(frozen=True, eq=False, repr=False)
class Split(_Titled):
    """Tensors to train, validate and test on: x float32 (n, 784) in 0–255, y int64 (n,) in 0–9."""

    train_x: torch.Tensor
    train_y: torch.Tensor
    validation_x: torch.Tensor
    validation_y: torch.Tensor
    test_x: torch.Tensor
    test_y: torch.Tensor
    source: str
    is_real: bool
    digest: str

    def __repr__(self) -> str:
        sizes = " / ".join(f"{len(y):,}" for y in (self.train_y, self.validation_y, self.test_y))
        return f"<{self.source}: {sizes} images to train / validate / test, sha256 {self.digest[:8]}…>"


def load(
    folder: str | os.PathLike[str] | None = None,
    *,
    require_real: bool | None = None,
    allow_download: bool = True,
) -> Mnist:
    """MNIST from MNIST_DIR, else from `folder`, else downloaded into it, else the stand-in.

    Files may be plain or gzipped, and lie in the folder itself or below it in torchvision's
    `MNIST/raw`. A folder that MNIST_DIR names must hold all four files, sound: it is never passed
    over. A damaged file in `folder` is an error too and never overwritten; missing ones are
    downloaded. What the stand-in replaces, and why, is printed.

    Args:
        folder: where MNIST is kept if MNIST_DIR is not set; the project's `data/` by default.
        require_real: raise instead of falling back to the stand-in; by default True if
            the environment variable MNIST_REQUIRE_REAL is set to anything but 0.
        allow_download: whether to try the network; one that does not answer is given up
            within 20 seconds.

    Raises:
        MnistError: a file is missing, damaged or unreadable, a download cannot be stored, or only
            the stand-in is left and `require_real` holds.
    """
    if require_real is None:
        require_real = os.environ.get("MNIST_REQUIRE_REAL", "") not in ("", "0")
    if os.environ.get("MNIST_DIR"):
        return _from_mnist_dir(Path(os.environ["MNIST_DIR"]).expanduser())
    home = data_folder() if folder is None else Path(folder).expanduser()
    try:
        if not _missing(home):
            return _read_all(home)
        if not allow_download:
            raise _NoNetwork(f"{home} lacks {_missing(home)[0]} and downloading was not allowed")
        return _download(home)
    except _NoNetwork as error:
        if require_real:
            raise MnistError(f"{error}, and the stand-in was ruled out: {GET_THE_FILES}.") from error
        print(f"MNIST is not here ({error}), so digits drawn from fonts stand in; {GET_THE_FILES}.")
        return stand_in()


def stand_in(seed: int = 0, train: int = 12000, test: int = 10000) -> Mnist:
    """Digits drawn from fonts in the place of MNIST, the same for the same arguments.

    The test images are drawn after the training images, so they depend on `train` as well.

    Args:
        seed: seeds the generator; the global random state is neither read nor changed.
        train, test: how many images to draw, 1 or more each.
    """
    for name, value in (("train", train), ("test", test)):
        _whole(name, value, 1, None)
    rng = np.random.default_rng(seed)
    arrays = [*standin.draw(train, rng), *standin.draw(test, rng)]
    digest = hashlib.sha256(b"".join(array.tobytes() for array in arrays)).hexdigest()
    return Mnist(*arrays, "stand-in digits (not MNIST)", False, digest)


def split(data: Mnist, used: int = 12000, validation_fraction: float = 0.2) -> Split:
    """The first `used` training images as tensors, the last fifth of them held out; all test images.

    Args:
        data: what `load` or `stand_in` returned.
        used: how many training images to use, from 2 to all of them.
        validation_fraction: which part of these, counted from the end, validates; in (0, 1).

    Raises:
        ValueError: an argument is out of its range, or no image is left to train or validate on.
    """
    _whole("used", used, 2, len(data.train_images))
    cut = used - round(used * validation_fraction) if 0 < validation_fraction < 1 else 0
    if not 0 < cut < used:
        raise ValueError(
            f"validation_fraction {validation_fraction!r} leaves nothing to train or validate on; "
            f"give a number in (0, 1), between {1 / used:g} and {1 - 1 / used:g} for {used} images"
        )
    x, y = _tensors(data.train_images[:used], data.train_labels[:used])
    test = _tensors(data.test_images, data.test_labels)
    parts = (x[:cut], y[:cut], x[cut:], y[cut:], *test)
    return Split(*parts, data.source, data.is_real, data.digest)


def data_folder() -> Path:
    """The project's `data/`; below the working directory where the package stands outside of it."""
    project = Path(__file__).resolve().parent.parent
    return (project if (project / "pyproject.toml").is_file() else Path.cwd()) / "data"


def _whole(name: str, value: int, low: int, high: int | None) -> None:
    """Raises ValueError unless `value` is a whole number from `low` to `high`."""
    sound = isinstance(value, numbers.Integral) and not isinstance(value, bool)
    if not sound or value < low or (high is not None and value > high):
        to = "upwards" if high is None else f"to {high}"
        raise ValueError(f"{name} is {value!r}; give a whole number from {low} {to}")


def _tensors(images: np.ndarray, labels: np.ndarray) -> tuple[torch.Tensor, torch.Tensor]:
    """Images as float32 (n, 784) and labels as int64 (n,), both copies."""
    return torch.tensor(images.reshape(len(images), -1), dtype=torch.float32), torch.tensor(labels)


# --- reading -------------------------------------------------------------------------------------


def _find(folder: Path, name: str) -> Path | None:
    """Where the file lies: plain or gzipped, in `folder` or below it in torchvision's layout."""
    places = (folder, folder / "MNIST" / "raw")
    paths = (place / f"{name}{suffix}" for place in places for suffix in ("", ".gz"))
    return next((path for path in paths if os.path.isfile(path)), None)


def _missing(folder: Path) -> list[str]:
    return [name for name in SHA256 if _find(folder, name) is None]


def _from_mnist_dir(folder: Path) -> Mnist:
    if not folder.is_dir():
        raise MnistError(f"MNIST_DIR is {folder}, which is no folder: correct or unset it.")
    if missing := _missing(folder):
        raise MnistError(
            f"MNIST_DIR is {folder}, where {', '.join(missing)} (plain or .gz) cannot be found: "
            "add what is missing, or unset MNIST_DIR to have MNIST downloaded."
        )
    return _read_all(folder)


def _read_all(folder: Path) -> Mnist:
    """The four files of `folder`, each verified."""
    arrays = [_read(_find(folder, name) or folder / name, name) for name in SHA256]
    digest = hashlib.sha256("".join(SHA256.values()).encode()).hexdigest()
    return Mnist(*arrays, "MNIST", True, digest)


def _read(path: Path, name: str) -> np.ndarray:
    """The file's array, verified: uint8 (n, 28, 28) for images, int64 (n,) for labels."""
    raw, dims = _bytes(path), 3 if "idx3" in name else 1
    header = 4 + 4 * dims
    if len(raw) < header or raw[:4] != bytes((0, 0, 8, dims)):
        raise _damaged(path, f"it does not start like an IDX file with {dims} dimension(s) of bytes")
    shape = struct.unpack(f">{dims}I", raw[4:header])
    if len(raw) - header != np.prod(shape, dtype=object):
        raise _damaged(path, f"its header announces {shape} bytes and {len(raw) - header} follow")
    if hashlib.sha256(raw).hexdigest() != SHA256[name]:
        raise _damaged(path, "its SHA-256 is not that of MNIST")
    array = np.frombuffer(raw, dtype=np.uint8, offset=header).reshape(shape)
    return array.astype(np.int64) if dims == 1 else array.copy()


def _bytes(path: Path) -> bytes:
    """The uncompressed content, which is only to be trusted once verified."""
    try:
        with gzip.open(path) if path.suffix == ".gz" else open(path, "rb") as file:
            return file.read(LARGEST)
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise _damaged(path, f"unpacking it ends with '{error}'") from error
    except OSError as error:
        raise MnistError(
            f"{path} cannot be read ({error.strerror or error}): "
            "give yourself permission to read it, or point MNIST_DIR at another copy."
        ) from error


def _damaged(path: Path, why: str) -> MnistError:
    return MnistError(
        f"{path} is truncated or altered ({why}): "
        "delete it and load again to have it downloaded, or put a sound copy in its place."
    )


# --- downloading ---------------------------------------------------------------------------------


def _download(home: Path) -> Mnist:
    """MNIST, downloaded next to its place, verified, and only then moved into `home`/MNIST/raw."""
    from torchvision.datasets import MNIST

    mirrors = _answering(MNIST.mirrors, MNIST.resources[0][0])
    if not mirrors:
        raise _NoNetwork(f"none of the {len(MNIST.mirrors)} servers that offer it answered")
    print(f"Downloading MNIST (12 MB) into {home}.")
    try:
        home.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(
            prefix=".download-", dir=home, ignore_cleanup_errors=True
        ) as temporary:
            _run_download(temporary, mirrors, MNIST.resources)
            data = _verified(Path(temporary))
            _move(Path(temporary) / "MNIST" / "raw", home / "MNIST" / "raw")
    except OSError as error:
        raise MnistError(
            f"MNIST was not stored in {home} ({error.strerror or error}): "
            f"make room there and make it writable, or {GET_THE_FILES}."
        ) from error
    return data


def _answering(mirrors: list[str], file: str) -> list[str]:
    """The mirrors that answer within `PROBE_SECONDS`, in their order."""
    answers: dict[str, bool] = {}

    def probe(mirror: str) -> None:
        request = urllib.request.Request(mirror + file, method="HEAD")
        try:
            with urllib.request.urlopen(request, timeout=PROBE_SECONDS):
                answers[mirror] = True
        except (OSError, ValueError):
            answers[mirror] = False

    # Threads, because looking up a name has no time limit of its own.
    threads = [threading.Thread(target=probe, args=(m,), daemon=True) for m in mirrors]
    deadline = time.monotonic() + PROBE_SECONDS
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(max(0.0, deadline - time.monotonic()))
    return [mirror for mirror in mirrors if answers.get(mirror)]


def _run_download(folder: str, mirrors: list[str], resources: list[tuple[str, str]]) -> None:
    """Has torchvision download into `folder`; ends it where it stands still."""
    given = {"mirrors": mirrors, "resources": resources, "timeout": STALL_SECONDS}
    command = [sys.executable, "-c", DOWNLOAD, folder, json.dumps(given)]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL, "stdin": subprocess.DEVNULL}
    with subprocess.Popen(command, **pipes) as child:
        try:
            stalled = not _finishes(child, Path(folder))
        finally:
            child.kill()
        told = child.stdout.read().decode(errors="replace")
    if stalled:
        raise _NoNetwork("the download stood still and was given up")
    if child.returncode:
        number, text = json.loads(told) if told.startswith("[") else (None, "it ended early")
        if number in FULL_OR_READ_ONLY:
            raise OSError(number, os.strerror(number))
        raise _NoNetwork(f"the download failed: {' '.join(text.split())}")


def _finishes(child: subprocess.Popen, folder: Path) -> bool:
    """True once the child has ended; False if `folder` has not grown for `STALL_SECONDS`."""
    size, since = 0, time.monotonic()
    while child.poll() is None:
        time.sleep(0.05)
        now = _size(folder)
        if now != size:
            size, since = now, time.monotonic()
        elif time.monotonic() - since > (STALL_SECONDS if size else START_SECONDS):
            return False
    return True


def _size(folder: Path) -> int:
    """Bytes and entries below `folder`: grows with every step of a download."""
    total = 0
    for place, folders, files in os.walk(folder):
        total += len(folders) + len(files)
        total += sum(os.path.getsize(os.path.join(place, file)) for file in files)
    return total


def _verified(folder: Path) -> Mnist:
    try:
        return _read_all(folder)
    except MnistError as error:
        raise _NoNetwork("what was downloaded is not MNIST") from error


def _move(source: Path, target: Path) -> None:
    """Moves each file at once; another process that moves the same ones does no harm."""
    target.mkdir(parents=True, exist_ok=True)
    for name in SHA256:
        try:
            os.replace(source / name, target / name)
        except PermissionError:  # Windows: another process reads the file that it has just placed
            _read(target / name, name)
