"""MNIST as arrays and as tensors: found or downloaded, verified, split.

Data: Y. LeCun, C. Cortes and C. J. C. Burges, The MNIST database of handwritten digits (1998).
"""

import gzip
import hashlib
import os
import struct
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from helpers.mnist_comparison import download, standin
from helpers.mnist_comparison.records import Run
from helpers.settings import data_folder

# SHA-256 of the uncompressed files: training images and labels, then test images and labels.
SHA256 = {
    "train-images-idx3-ubyte": "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
    "train-labels-idx1-ubyte": "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
    "t10k-images-idx3-ubyte": "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
    "t10k-labels-idx1-ubyte": "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
}
GET_THE_FILES = "put its four files (train-images-idx3-ubyte.gz ...) in a folder and set MNIST_DIR"


class MnistError(RuntimeError):
    """MNIST cannot be had as asked; the message is one sentence that says why and what to do."""


@dataclass(frozen=True, eq=False, repr=False, kw_only=True)
class _Data:
    source: str  # what the data are, in words
    is_real: bool  # False for the stand-in
    digest: str  # SHA-256 (hex) that identifies the content

    def title(self, text: str, runs: Mapping[Any, Run] | None = None) -> str:
        """Return the text; in parentheses, what else than MNIST was used, or recorded runs."""
        days = sorted({run.recorded for run in (runs or {}).values() if run.recorded})
        remarks = [] if self.is_real else ["stand-in digits, not MNIST"]
        remarks += [f"recorded on {' and '.join(days)}"] if days else []
        return f"{text} ({', '.join(remarks)})" if remarks else text


@dataclass(frozen=True, eq=False, repr=False)
class Mnist(_Data):
    """Images (uint8, 0–255, shape (n, 28, 28)) and labels (int64, 0–9, (n,)), as distributed."""

    train_images: np.ndarray
    train_labels: np.ndarray
    test_images: np.ndarray
    test_labels: np.ndarray

    def __repr__(self) -> str:
        sizes = f"{len(self.train_labels):,} training and {len(self.test_labels):,} test images"
        return f"<{self.source}: {sizes}, sha256 {self.digest[:8]}>"


@dataclass(frozen=True, eq=False, repr=False)
class Split(_Data):
    """Tensors to train, validate and test on: x float32 (n, 784) in 0–255, y int64 (n,) in 0–9."""

    train_x: torch.Tensor
    train_y: torch.Tensor
    validation_x: torch.Tensor
    validation_y: torch.Tensor
    test_x: torch.Tensor
    test_y: torch.Tensor

    def __repr__(self) -> str:
        sizes = " / ".join(f"{len(y):,}" for y in (self.train_y, self.validation_y, self.test_y))
        return f"<{self.source}: {sizes} to train / validate / test, sha256 {self.digest[:8]}>"


def load(folder: str | os.PathLike[str] | None = None, *, allow_download: bool = True) -> Mnist:
    """Return MNIST from MNIST_DIR, else from `folder`, else downloaded, else the stand-in.

    Files may be plain or gzipped, in the folder itself or below it in torchvision's `MNIST/raw`.
    MNIST_DIR must hold all four. What `folder`, by default the project's `data/`, lacks may be
    downloaded; after 20 seconds of silence that is given up. That the stand-in is used is printed.

    A MnistError says that a file is damaged, unreadable or missing in MNIST_DIR, that a download
    cannot be stored, or that only the stand-in is left while MNIST_REQUIRE_REAL is set, but not 0.
    """
    if named := os.environ.get("MNIST_DIR"):
        place = Path(os.path.expanduser(named))
        if not os.path.isdir(place):  # Path.is_dir raises in a folder that may not be entered
            raise MnistError(f"MNIST_DIR is {place}, no folder to be seen: correct it or unset it.")
        if missing := _missing(place):
            raise MnistError(
                f"MNIST_DIR is {place}, where {', '.join(missing)} (plain or .gz) cannot be found: "
                "add what is missing, or unset MNIST_DIR to have MNIST downloaded."
            )
        return _read_all(place)
    home = data_folder() if folder is None else Path(folder).expanduser()
    try:
        if not (missing := _missing(home)):
            return _read_all(home)
        if allow_download:
            return download.fetch(home, list(SHA256), _read_all)
        why = f"{home} lacks {missing[0]}, and it was not to be downloaded"
    except download.DownloadError as error:
        why = str(error)
    except OSError as error:
        raise MnistError(
            f"MNIST cannot be stored in {home} ({error.strerror or error}): "
            f"make room there and make it writable, or {GET_THE_FILES} to it."
        ) from error
    if os.environ.get("MNIST_REQUIRE_REAL", "") not in ("", "0"):
        raise MnistError(f"MNIST cannot be had ({why}) and is required: {GET_THE_FILES} to it.")
    print(f"Digits drawn from fonts stand in for MNIST ({why}): for MNIST, {GET_THE_FILES} to it.")
    return stand_in()


def stand_in(seed: int = 0, train: int = 12000, test: int = 10000) -> Mnist:
    """Return as many digits drawn from fonts; the same arguments give the same."""
    images, labels = standin.draw(train + test, np.random.default_rng(seed))
    arrays = (images[:train], labels[:train], images[train:], labels[train:])
    digest = hashlib.sha256(b"".join(array.tobytes() for array in arrays)).hexdigest()
    return Mnist(*arrays, source="stand-in digits (not MNIST)", is_real=False, digest=digest)


def split(data: Mnist, used: int = 12000) -> Split:
    """Return the first `used` training images, 5 or more, their last fifth to validate; all tests.

    A number of images that is not there is a ValueError.
    """
    if not 5 <= used <= len(data.train_images):
        raise ValueError(f"used is {used}; give a number from 5 to {len(data.train_images)}")
    cut = used - used // 5
    x = torch.tensor(data.train_images[:used].reshape(used, -1), dtype=torch.float32)
    y = torch.tensor(data.train_labels[:used])
    test_x = torch.tensor(data.test_images.reshape(len(data.test_images), -1), dtype=torch.float32)
    parts = (x[:cut], y[:cut], x[cut:], y[cut:], test_x, torch.tensor(data.test_labels))
    return Split(*parts, source=data.source, is_real=data.is_real, digest=data.digest)


def _find(folder: Path, name: str) -> Path | None:
    places = (folder, folder / download.RAW)
    paths = (place / f"{name}{suffix}" for place in places for suffix in ("", ".gz"))
    return next((path for path in paths if os.path.isfile(path)), None)


def _missing(folder: Path) -> list[str]:
    return [name for name in SHA256 if _find(folder, name) is None]


def _read_all(folder: Path) -> Mnist:
    arrays = [_read(_find(folder, name) or folder / name, name) for name in SHA256]
    digest = hashlib.sha256("".join(SHA256.values()).encode()).hexdigest()
    return Mnist(*arrays, source="MNIST", is_real=True, digest=digest)


def _read(path: Path, name: str) -> np.ndarray:
    try:
        with gzip.open(path) if path.suffix == ".gz" else open(path, "rb") as file:
            content = file.read()
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise _damaged(path, f"it cannot be unpacked: {error}") from error
    except OSError as error:
        raise MnistError(
            f"{path} cannot be read ({error.strerror or error}): "
            "give yourself permission to read it, or set MNIST_DIR to a folder with another copy."
        ) from error
    if hashlib.sha256(content).hexdigest() != SHA256[name]:
        raise _damaged(path, f"the SHA-256 of its {len(content)} bytes is not that of MNIST")
    axes = content[3]  # the IDX format: a head of type and number of axes, then their lengths
    shape = struct.unpack_from(f">{axes}I", content, 4)
    array = np.frombuffer(content, dtype=np.uint8, offset=4 + 4 * axes).reshape(shape)
    return array.astype(np.int64) if axes == 1 else array.copy()


def _damaged(path: Path, why: str) -> MnistError:
    return MnistError(
        f"{path} is truncated or altered ({why}): "
        "put a sound copy in its place, or delete it and load MNIST again to have it downloaded."
    )
