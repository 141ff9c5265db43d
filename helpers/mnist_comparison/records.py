"""What a training run is made from, and its record: one .npz file, without pickle."""

import hashlib
import io
import json
import os
import tempfile
import tokenize
import zipfile
from collections.abc import Callable
from dataclasses import asdict, dataclass, fields
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from helpers.networks import mlp
from helpers.training import History

T = TypeVar("T")
FORMAT = 2  # raised by hand when training or its record changes: records of before do not count
# zipfile raises RuntimeError for damage that looks like encryption or an unknown version; NumPy
# parses an array's header as Python.
DAMAGE = (
    *(OSError, ValueError, KeyError, EOFError, RuntimeError, zipfile.BadZipFile),
    *(SyntaxError, tokenize.TokenError),
)
CHANCE = 0.2  # guessing one of ten digits is right about once in ten times; twice that


@dataclass(frozen=True)
class Examples:
    """Raw pixels, and the factor they are multiplied by: what every run of a search sees."""

    train_x: NDArray[np.uint8]  # (n, 784)
    train_y: NDArray[np.int64]  # (n,) labels
    validation_x: NDArray[np.uint8]  # (m, 784)
    validation_y: NDArray[np.int64]
    scale: float = 1.0  # 1/255 for pixels in [0, 1]

    @classmethod
    def of(
        cls, train_x: Tensor, train_y: Tensor, validation_x: Tensor, validation_y: Tensor
    ) -> "Examples":
        """Return the examples that tensors of raw pixels hold; other values are a ValueError."""
        for name, x in (("train_x", train_x), ("validation_x", validation_x)):
            if not torch.equal(x.byte().to(x.dtype), x):
                raise ValueError(f"{name} holds values other than raw pixels 0–255; see scale=")
        seen, unseen = train_x.byte().numpy(), validation_x.byte().numpy()
        return cls(seen, train_y.numpy(), unseen, validation_y.numpy())

    @cached_property
    def digest(self) -> str:
        """SHA-256 of the arrays and the scale, in hexadecimal."""
        total = hashlib.sha256(repr(self.scale).encode())
        for array in (self.train_x, self.train_y, self.validation_x, self.validation_y):
            total.update(np.ascontiguousarray(array).data)
        return total.hexdigest()

    def __repr__(self) -> str:
        sizes = f"{len(self.train_y)} to train, {len(self.validation_y)} held out"
        return f"Examples({sizes}, scale {self.scale:.4g})"


@dataclass(frozen=True)
class Spec:
    """All that determines a run, and so its record's name; the device only rounds differently."""

    unit: str
    lr: float
    seed: int
    epochs: int
    record_every: int
    sizes: tuple[int, ...]
    precision: str
    examples: str

    @property
    def text(self) -> str:
        """All of it as JSON."""
        return json.dumps({"format": FORMAT, **asdict(self)}, sort_keys=True)

    @property
    def file(self) -> str:
        """Name of the record."""
        digest = hashlib.sha256(self.text.encode()).hexdigest()
        return f"{self.unit}-{self.lr:.4g}-{digest[:16]}.npz"


@dataclass(frozen=True)
class Run:
    """A finished run: its specification, its curves and its final parameters."""

    spec: Spec
    history: History
    parameters: dict[str, NDArray[np.float32]]
    torch_version: str = torch.__version__  # of the one that trained it
    recorded: str = ""  # the day, for a run that came with the package (see `recorded`)
    said: NDArray[np.uint8] | None = None  # (m,) its answers to the held-out images, if kept

    def __repr__(self) -> str:
        end = f"held-out accuracy {self.history.validation_accuracy[-1]:.4f}"
        made = f"{self.spec.precision}, torch {self.torch_version}"
        return f"Run({self.spec.unit}, lr {self.spec.lr:.4g}, {end}; {made})"

    @property
    def outcome(self) -> str:
        """`diverged`: to a loss of NaN or ∞; `at chance` on the training images; or `learned`."""
        if not np.isfinite(self.history.train_loss[-1]):
            return "diverged"
        return "at chance" if self.history.train_accuracy[-1] <= CHANCE else "learned"

    def model(self) -> nn.Sequential:
        """Return the trained network, on the CPU in float32; a SearchError where none is kept."""
        model = mlp(self.spec.sizes, self.spec.unit)
        if self.parameters.keys() < model.state_dict().keys():
            raise SearchError(
                f"{self!r} was recorded without its weights: call use_recorded(False) and search "
                "again to train it here"
            )
        model.load_state_dict({k: torch.from_numpy(v) for k, v in self.parameters.items()})
        return model

    def answers(self, x: Tensor) -> Tensor:
        """Return the digits, (m,), that the network says for the held-out images x, (m, 784)."""
        if self.said is not None:
            if len(self.said) != len(x):
                raise ValueError(f"x holds {len(x)} images; kept are answers to {len(self.said)}")
            return torch.from_numpy(self.said.astype(np.int64))
        with torch.no_grad():
            return self.model()(x).argmax(1)


class SearchError(RuntimeError):
    """A search could not go on; what is finished is kept."""


def written(run: Run, file: Path | io.BytesIO) -> None:
    """Write the run's record to the file."""
    arrays: dict[str, Any] = {"spec": run.spec.text, "torch": run.torch_version}
    arrays |= {f"curve.{name}": curve for name, curve in vars(run.history).items()}
    arrays |= {f"parameter.{name}": value for name, value in run.parameters.items()}
    arrays |= {} if run.said is None else {"said": run.said}
    np.savez(file, **arrays)


def save_run(run: Run, folder: Path) -> None:
    """Write the run's record into the folder, whole or not at all; where not, a SearchError."""
    save(folder / run.spec.file, lambda file: written(run, file))


def save(path: Path, write: Callable[[Path], None]) -> None:
    """Have `write` make the file, whole or not at all; where it cannot, a SearchError."""
    folder = path.parent
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder, suffix=".part") as own:
            write(file := Path(own) / path.name)
            os.replace(file, path)
    except OSError as error:
        raise SearchError(
            f"could not write a run to {folder} ({error.strerror or error}): free some space or "
            "pass a writable folder as folder=, and search again; finished runs are kept"
        ) from error


def load_run(spec: Spec, folder: Path) -> Run | None:
    """Return the recorded run, or None; one unreadable or damaged is announced, and none."""
    return load(folder / spec.file, lambda content: run_of(content, spec))


def load(path: Path, read: Callable[[bytes], T]) -> T | None:
    """Return what `read` makes of the file, or None; where that is no use, say so."""
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        print(f"{path.name} cannot be read ({error.strerror or error}) and will be trained again")
        return None
    try:
        return read(content)
    except DAMAGE as error:
        print(f"{path.name} is damaged ({error}) and will be trained again")
        return None


def run_of(content: bytes, spec: Spec, recorded: str = "") -> Run:
    """Return the run of this record, which may lack weights if it was `recorded` on some day."""
    with np.load(io.BytesIO(content), allow_pickle=False) as record:
        if str(record["spec"]) != spec.text:
            raise ValueError("it belongs to another run")
        history = History(*(record[f"curve.{field.name}"] for field in fields(History)))
        with torch.device("meta"):
            network = mlp(spec.sizes, spec.unit).state_dict()
        names = [name for name in network if f"parameter.{name}" in record or not recorded]
        parameters = {name: record[f"parameter.{name}"] for name in names}
        if any(value.shape != network[name].shape for name, value in parameters.items()):
            raise ValueError("its parameters do not fit the network")
        types = {str(array.dtype) for array in parameters.values()} or {"float32"}
        if types != {"float32"}:
            raise ValueError(f"its parameters are {', '.join(sorted(types))}, not float32")
        said = record["said"] if "said" in record else None
        return Run(spec, history, parameters, str(record["torch"]), recorded, said)
