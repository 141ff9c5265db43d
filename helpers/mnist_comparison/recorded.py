"""What notebook 03 trains at full length, recorded: `recorded.zip`, which comes with the package.

It serves a reader who has no time to train, where `use_recorded` says so and data/runs holds
nothing. `make recorded` writes it from a full run. Of most runs it holds the curves without the
weights.
"""

import functools
import hashlib
import inspect
import io
import json
import platform
import zipfile
from collections.abc import Callable, Iterable
from dataclasses import replace
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from helpers.mnist_comparison.records import (
    FORMAT,
    Examples,
    Run,
    SearchError,
    Spec,
    load,
    load_run,
    run_of,
    save,
    written,
)
from helpers.settings import QUICK_RUN, data_folder, switched_on

ARCHIVE = Path(__file__).with_name("recorded.zip")
ABOUT = "about.json"  # its member that says when it was recorded, and where
AFRESH = "TRAIN_AFRESH"  # the environment variable that switches it off

asked: dict[str, Spec | None] = {}  # the records that this session asked for; results have no Spec
_sources: dict[str, str] = {}  # SHA-256 of functions whose results are kept, and of what they use
_shelf: dict[str, bytes] = {}  # the archive's members, while it serves


def use_recorded(on: bool = True) -> None:
    """Let recorded runs stand in for training from now on, or not; print which.

    They never do in a short run (`QUICK_RUN=1`), nor where `TRAIN_AFRESH=1`. If the file is missing
    or damaged that is printed, and all is trained.
    """
    _shelf.clear()
    if switched_on(QUICK_RUN):
        return
    if not on or switched_on(AFRESH):
        print("What data/runs does not hold is trained here.")
        return
    checksum = ARCHIVE.with_suffix(".sha256")
    try:
        content = ARCHIVE.read_bytes()
        if hashlib.sha256(content).hexdigest() != checksum.read_text().partition(" ")[0]:
            raise ValueError(f"its SHA-256 is not that in {checksum.name}")
    except (OSError, ValueError) as error:
        print(f"{ARCHIVE.name} cannot be used ({error}): what data/runs lacks is trained here.")
        return
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        _shelf.update({name: archive.read(name) for name in archive.namelist()})
    about = json.loads(_shelf[ABOUT])
    print(
        f"What data/runs does not hold was recorded on {about['day']} ({about['processor']}); "
        "use_recorded(False) trains it here."
    )


def day() -> str:
    """Return the day of the recording that serves, such as 2026-11-26."""
    return json.loads(_shelf[ABOUT])["day"]


def recorded_run(spec: Spec) -> Run | None:
    """Return the run if its recording serves, or None."""
    return run_of(_shelf[spec.file], spec, day()) if spec.file in _shelf else None


def kept(*depends: Any) -> Callable[[Callable], Callable[..., NDArray[np.float64]]]:
    """Decorate a function that returns numbers: results are kept, and recorded, as runs are.

    A result serves the same arguments again as long as the function's source and what it `depends`
    on are the same; either are numbers, words, `Examples`, runs, or functions by their source. In
    a short run nothing is kept.
    """

    def decorate(function: Callable) -> Callable[..., NDArray[np.float64]]:
        told = set()

        @functools.wraps(function)
        def result(*args: Any, **options: Any) -> NDArray[np.float64]:
            if switched_on(QUICK_RUN):
                return np.asarray(function(*args, **options), float)
            for each in filter(callable, (function, *depends)):
                _sources[each.__name__] = hashlib.sha256(_text(each).encode()).hexdigest()
            named = ", ".join(f"{name!r}: {_text(value)}" for name, value in options.items())
            parts = [FORMAT, *map(_text, (function, *depends, *args)), f"{{{named}}}"]
            digest = hashlib.sha256(json.dumps(parts).encode()).hexdigest()
            path = data_folder() / "runs" / f"{function.__name__}-{digest[:16]}.npy"
            asked[path.name] = None
            values, where = load(path, _numbers), f"found in {path.parent.name}/"
            if values is None and path.name in _shelf:
                values, where = _numbers(_shelf[path.name]), f"recorded on {day()}"
            if values is None:
                values, where = np.asarray(function(*args, **options), float), ""
                save(path, lambda file: np.save(file, values, allow_pickle=False))
            if where and where not in told:
                told.add(where)
                print(f"{function.__name__}: {where}")
            return values

        return result

    return decorate


def _numbers(content: bytes) -> NDArray[np.float64]:
    return np.load(io.BytesIO(content), allow_pickle=False)


def _text(part: Any) -> str:
    if isinstance(part, Examples):
        return part.digest
    if isinstance(part, Run):
        return part.spec.text
    return inspect.getsource(part) if callable(part) else repr(part)


def write(whole: Iterable[Run], answering: Iterable[Run], x: Tensor) -> None:
    """Write the archive from the records in data/runs of all that this session asked for.

    Weights are those of the runs that are `whole`; answers, those of the runs `answering` to the
    held-out images x, (m, 784). A record that is not there is a SearchError.
    """
    folder = data_folder() / "runs"
    weighty, telling = ({run.spec for run in runs} for runs in (whole, answering))
    members, days = {}, []
    for name, spec in sorted(asked.items()):
        run = load_run(spec, folder) if spec else None
        if not (folder / name).is_file() or (spec and not run):
            raise SearchError(f"{folder / name} is missing: make run ARGS=03, and record again")
        days.append((folder / name).stat().st_mtime)
        if not run:
            members[name] = (folder / name).read_bytes()
            continue
        parameters = {
            name: value
            for name, value in run.parameters.items()
            if run.spec in weighty or value.size == 1  # Swish's β
        }
        said = run.answers(x).numpy().astype(np.uint8) if run.spec in telling else None
        written(replace(run, parameters=parameters, said=said), file := io.BytesIO())
        members[name] = file.getvalue()
    last = datetime.fromtimestamp(max(days), timezone.utc).date()
    about = {"day": f"{last}", "processor": _processor(), "format": FORMAT, "sources": _sources}
    with zipfile.ZipFile(ARCHIVE, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        for name, content in {ABOUT: json.dumps(about).encode(), **members}.items():
            archive.writestr(zipfile.ZipInfo(name), content, zipfile.ZIP_DEFLATED)
    digest = hashlib.sha256(ARCHIVE.read_bytes()).hexdigest()
    ARCHIVE.with_suffix(".sha256").write_text(f"{digest}  {ARCHIVE.name}\n")
    size = ARCHIVE.stat().st_size / 1e6
    print(f"{ARCHIVE.name}: {len(members)} records of {last}, {size:.1f} MB")


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        return next(line.partition(": ")[2] for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):  # not Linux, or not a PC
        return platform.processor() or platform.machine()
