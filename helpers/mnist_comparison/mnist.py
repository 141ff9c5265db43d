"""MNIST as arrays and as tensors: found or downloaded, verified, split.

Used by notebook 03. The data are looked for in the folder that the environment variable MNIST_DIR
names, then in the project's `data/`, then on the network; where none of these has them, digits
drawn from fonts stand in, and that is announced. Data: Y. LeCun, C. Cortes and C. J. C. Burges,
The MNIST database of handwritten digits (1998).
"""

import gzip
import hashlib
import math
import os
import struct
import zlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from helpers.mnist_comparison import download, standin
from helpers.settings import data_folder

# SHA-256 of the uncompressed files: training images and labels, then test images and labels.
SHA256 = {
    "train-images-idx3-ubyte": "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
    "train-labels-idx1-ubyte": "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
    "t10k-images-idx3-ubyte": "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
    "t10k-labels-idx1-ubyte": "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
}
LARGEST = 64 * 2**20  # bytes: the largest of the files has 47,040,016
GET_THE_FILES = (
    "put its four files (train-images-idx3-ubyte.gz, ...) into a folder and set MNIST_DIR"
)


class MnistError(RuntimeError):
    """MNIST cannot be had as asked; the message is one sentence that says why and what to do."""


@dataclass(frozen=True, eq=False, repr=False, kw_only=True)
class _Data:
    """What `Mnist` and `Split` share: what the data are, said so that nobody takes them for others.

    `source` names them in words, `is_real` is False for the stand-in, and `digest` is a SHA-256
    (hex) that identifies their content.
    """

    source: str
    is_real: bool
    digest: str

    def title(self, text: str) -> str:
        """Return the text, with a remark in parentheses unless the data are MNIST itself."""
        return text if self.is_real else f"{text} (stand-in digits, not MNIST)"


@dataclass(frozen=True, eq=False, repr=False)
class Mnist(_Data):
    """Images (uint8, 0–255, shape (n, 28, 28)) and labels (int64, 0–9, (n,)), as distributed."""

    train_images: np.ndarray
    train_labels: np.ndarray
    test_images: np.ndarray
    test_labels: np.ndarray

    def __repr__(self) -> str:
        """Return one line: what it is, how much, and the start of the digest."""
        sizes = f"{len(self.train_images):,} training and {len(self.test_images):,} test images"
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
        """Return one line: what it is, how much, and the start of the digest."""
        sizes = " / ".join(f"{len(y):,}" for y in (self.train_y, self.validation_y, self.test_y))
        return f"<{self.source}: {sizes} to train / validate / test, sha256 {self.digest[:8]}>"


def load(
    folder: str | os.PathLike[str] | None = None,
    *,
    require_real: bool | None = None,
    allow_download: bool = True,
) -> Mnist:
    """Return MNIST from MNIST_DIR, else from `folder`, else downloaded, else the stand-in.

    Files may be plain or gzipped, and lie in the folder itself or below it in torchvision's
    `MNIST/raw`. A folder that MNIST_DIR names must hold all four files, sound: it is never passed
    over. In `folder`, missing files are downloaded, while a damaged one is an error and stays as
    it is. What the stand-in replaces, and why, is printed.

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
        return _from_home(home, allow_download)
    except download.DownloadError as error:
        why = str(error)
    if require_real:
        raise MnistError(f"MNIST cannot be had ({why}) and is required: {GET_THE_FILES} to it.")
    print(f"Digits drawn from fonts stand in for MNIST ({why}): for MNIST, {GET_THE_FILES} to it.")
    return stand_in()


def stand_in(seed: int = 0, train: int = 12000, test: int = 10000) -> Mnist:
    """Return as many digits drawn from fonts, in the place of MNIST.

    The same arguments give the same; the global random state is neither read nor changed.

    Raises:
        ValueError: `seed` is negative, one of the others below 1, or not whole.
    """
    for name, value, low in (("seed", seed, 0), ("train", train, 1), ("test", test, 1)):
        _whole(name, value, low)
    images, labels = standin.draw(train + test, np.random.default_rng(seed))
    arrays = (images[:train], labels[:train], images[train:], labels[train:])
    digest = hashlib.sha256(b"".join(array.tobytes() for array in arrays)).hexdigest()
    return Mnist(*arrays, source="stand-in digits (not MNIST)", is_real=False, digest=digest)


def split(data: Mnist, used: int = 12000, validation_fraction: float = 0.2) -> Split:
    """Return the first `used` training images, the last of them to validate; all test images.

    Args:
        data: what `load` or `stand_in` returned.
        used: how many training images to use, from 2 to all of them.
        validation_fraction: which part of these, at their end, validates; in (0, 1).

    Raises:
        ValueError: an argument is out of its range, or no image is left to train or validate on.
    """
    _whole("used", used, 2, len(data.train_images))
    held_out = round(used * validation_fraction) if 0 < validation_fraction < 1 else 0
    if not 0 < held_out < used:
        raise ValueError(
            f"validation_fraction is {validation_fraction!r}; give a number in (0, 1) that leaves "
            f"at least one of the {used} images to train and one to validate on"
        )
    cut = used - held_out
    parts = []
    for images, labels in (
        (data.train_images[:cut], data.train_labels[:cut]),
        (data.train_images[cut:used], data.train_labels[cut:used]),
        (data.test_images, data.test_labels),
    ):
        x = torch.tensor(images.reshape(len(images), -1), dtype=torch.float32)
        parts += [x, torch.tensor(labels)]
    return Split(*parts, source=data.source, is_real=data.is_real, digest=data.digest)


def _whole(name: str, value: object, low: int, high: float = math.inf) -> None:
    """Raise ValueError unless `value` is a whole number from `low` to `high`."""
    if not isinstance(value, (int, np.integer)) or not low <= value <= high:
        upwards = "upwards" if math.isinf(high) else f"to {high}"
        raise ValueError(f"{name} is {value!r}; give a whole number from {low} {upwards}")


def _from_mnist_dir(folder: Path) -> Mnist:
    if not folder.is_dir():
        raise MnistError(f"MNIST_DIR is {folder}, which is no folder: correct it or unset it.")
    if missing := _missing(folder):
        raise MnistError(
            f"MNIST_DIR is {folder}, where {', '.join(missing)} (plain or .gz) cannot be found: "
            "add what is missing, or unset MNIST_DIR to have MNIST downloaded."
        )
    return _read_all(folder)


def _from_home(home: Path, allow_download: bool) -> Mnist:
    """MNIST from the folder, downloaded into it first where files are missing."""
    if not (missing := _missing(home)):
        return _read_all(home)
    if not allow_download:
        raise download.DownloadError(f"{home} lacks {missing[0]}, and it was not to be downloaded")
    try:
        return download.fetch(home, list(SHA256), _read_all)
    except OSError as error:
        raise MnistError(
            f"MNIST cannot be stored in {home} ({error.strerror or error}): "
            f"make room there and make it writable, or {GET_THE_FILES} to it."
        ) from error


def _find(folder: Path, name: str) -> Path | None:
    """Return where the file lies: plain or gzipped, in `folder` or below it as torchvision does."""
    places = (folder, folder / download.RAW)
    paths = (place / f"{name}{suffix}" for place in places for suffix in ("", ".gz"))
    return next((path for path in paths if os.path.isfile(path)), None)


def _missing(folder: Path) -> list[str]:
    return [name for name in SHA256 if _find(folder, name) is None]


def _read_all(folder: Path) -> Mnist:
    """Return the four files of `folder`, each verified."""
    arrays = [_read(_find(folder, name) or folder / name, name) for name in SHA256]
    digest = hashlib.sha256("".join(SHA256.values()).encode()).hexdigest()
    return Mnist(*arrays, source="MNIST", is_real=True, digest=digest)


def _read(path: Path, name: str) -> np.ndarray:
    """Return the file's array, verified: uint8 (n, 28, 28) for images, int64 (n,) for labels."""
    content = _content(path)
    if hashlib.sha256(content).hexdigest() != SHA256[name]:
        raise _damaged(path, f"the SHA-256 of its {len(content)} bytes is not that of MNIST")
    axes = content[3]  # the IDX format: a head of type and number of axes, then their lengths
    shape = struct.unpack_from(f">{axes}I", content, 4)
    array = np.frombuffer(content, dtype=np.uint8, offset=4 + 4 * axes).reshape(shape)
    return array.astype(np.int64) if axes == 1 else array.copy()


def _content(path: Path) -> bytes:
    """Return the file's content, unpacked; not to be trusted before it is verified."""
    try:
        with gzip.open(path) if path.suffix == ".gz" else open(path, "rb") as file:
            return file.read(LARGEST)
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise _damaged(path, f"it cannot be unpacked: {error}") from error
    except OSError as error:
        raise MnistError(
            f"{path} cannot be read ({error.strerror or error}): "
            "give yourself permission to read it, or set MNIST_DIR to a folder with another copy."
        ) from error


def _damaged(path: Path, why: str) -> MnistError:
    return MnistError(
        f"{path} is truncated or altered ({why}): "
        "put a sound copy in its place, or delete it and load MNIST again to have it downloaded."
    )
