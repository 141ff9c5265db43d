"""The search: what it refuses, keeps, resumes, and spreads."""

import contextlib
import errno
import io
import itertools
import multiprocessing
import os
import random
import re
import signal
import subprocess
import sys
import tempfile
import threading
import time
import zipfile
from concurrent import futures
from concurrent.futures import BrokenExecutor, ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from threading import get_ident
from unittest.mock import Mock

import numpy as np
import pytest
import torch
from jupyter_client.manager import start_new_kernel

from helpers.mnist_comparison import fast, records, workers
from helpers.mnist_comparison import search as module
from helpers.mnist_comparison.fast import train_spec
from helpers.mnist_comparison.records import Examples, SearchError, load_run, save_run
from helpers.mnist_comparison.search import best_rate, search
from helpers.networks import mlp
from tests.mnist_comparison.search_process import RATES, UNITS, examples, run, run_inline
from tests.permissions import needs_modes, unprivileged

HERE = Path(__file__).parent

PLACES = [(unit, rate, 0) for unit in UNITS for rate in RATES]


@pytest.fixture(scope="module")
def reference(tmp_path_factory):
    """The whole search, uninterrupted."""
    return run(tmp_path_factory.mktemp("reference"), executor=ThreadPoolExecutor(1))


@pytest.fixture
def inline():
    """Train in this process: no start-up to wait for."""
    return ThreadPoolExecutor(1)


def small(folder, units=("relu",), rates=(0.01,), **options):
    """A search in this process that can be changed in every respect."""
    given = {"epochs": 60, "sizes": (30, 16, 8, 4), "executor": ThreadPoolExecutor(1)}
    return search(units, rates, examples(), folder=folder, **{**given, **options})


def found_last(capsys):
    """How many records the latest search says it found."""
    return int(re.findall(r"(\d+) found in", capsys.readouterr().out)[-1])


def assert_same(runs, reference):
    assert list(runs) == list(reference)
    for place, found in runs.items():
        for mine, theirs in zip(
            found.history.curves(), reference[place].history.curves(), strict=True
        ):
            np.testing.assert_array_equal(mine, theirs)
        for name, value in reference[place].parameters.items():
            np.testing.assert_array_equal(found.parameters[name], value)


def test_found_again_without_training(tmp_path, reference, inline, monkeypatch, capsys):
    run(tmp_path, executor=inline)
    monkeypatch.setattr(workers, "train_spec", None)
    assert_same(run(tmp_path, executor=inline), reference)
    assert "9 found" in capsys.readouterr().out


def test_own_processes_give_the_same(tmp_path, reference):
    assert_same(run(tmp_path), reference)


def test_a_run_can_be_used_again(reference):
    found = reference["tanh", 0.01, 0]
    x, y = examples().validation_x, torch.from_numpy(examples().validation_y)
    share = (found.model()(torch.from_numpy(x).float()).argmax(1) == y).double().mean().item()
    assert share == pytest.approx(found.history.validation_accuracy[-1], abs=0.03)
    assert "tanh" in repr(found)


def test_outcomes_tell_divergence_and_chance_from_learning(reference):
    found = reference["tanh", 0.01, 0]
    assert found.outcome == "learned"
    nan = replace(found.history, train_loss=np.full(7, np.nan))
    assert replace(found, history=nan).outcome == "diverged"
    chance = replace(found.history, train_accuracy=np.full(7, 0.11))
    assert replace(found, history=chance).outcome == "at chance"


@pytest.mark.parametrize(
    "change",
    [
        {"epochs": 61},
        {"seeds": [1]},
        {"precision": "bfloat16"},
        {"sizes": (30, 8, 8, 4)},
        {"record_every": 7},
    ],
)
def test_whatever_determines_a_run_is_in_its_key(tmp_path, change, capsys):
    small(tmp_path, precision="float32")
    small(tmp_path, **{"precision": "float32", **change})
    assert found_last(capsys) == 0


def test_records_of_another_format_do_not_count(tmp_path, monkeypatch, capsys):
    small(tmp_path)
    monkeypatch.setattr(records, "FORMAT", records.FORMAT + 1)
    small(tmp_path)
    assert found_last(capsys) == 0


def test_other_examples_or_scale_are_other_runs():
    a = examples()
    b = Examples(a.train_x, a.train_y, a.validation_x, a.validation_y, scale=1 / 255)
    flipped = a.train_x.copy()
    flipped[0, 0] ^= 1
    c = Examples(flipped, a.train_y, a.validation_x, a.validation_y)
    assert len({a.digest, b.digest, c.digest}) == 3


def rewritten(change):
    """Return a function from a record's content to the content with other arrays."""

    def damage(content, other):
        with np.load(io.BytesIO(content)) as record:
            arrays = dict(record)
        change(arrays)
        file = io.BytesIO()
        np.savez(file, **arrays)
        return file.getvalue()

    return damage


def locked(content, other):
    """Set the flag of an encrypted archive."""
    place = content.index(b"PK\x01\x02") + 8
    return content[:place] + b"\1" + content[place + 1 :]


def opened(content, other):
    """Leave the bracket open in an array's header, which NumPy reads as Python."""
    file = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(content)) as old, zipfile.ZipFile(file, "w") as new:
        for name in old.namelist():
            new.writestr(name, old.read(name).replace(b"}", b" ", 1))
    return file.getvalue()


@pytest.mark.parametrize(
    ("damage", "told"),
    [
        (lambda content, other: content[: len(content) // 2], ""),
        (opened, ""),
        (lambda content, other: content[:600] + bytes([content[600] ^ 255]) + content[601:], ""),
        (lambda content, other: b"", ""),
        (lambda content, other: other, "it belongs to another run"),
        (locked, ""),
        (rewritten(lambda arrays: arrays.pop("parameter.2.bias")), "2.bias is not a file"),
        (
            rewritten(lambda arrays: arrays.update({"parameter.2.bias": np.zeros(3)})),
            "parameters do not fit",
        ),
        (
            rewritten(
                lambda arrays: arrays.update({"parameter.2.bias": np.zeros(8, dtype=np.float64)})
            ),
            "its parameters are float32, float64, not float32",
        ),
        (
            rewritten(lambda arrays: arrays.update({"curve.epochs": np.array([print])})),
            "Object arrays cannot be loaded",  # a pickle
        ),
    ],
)
def test_a_damaged_record_is_trained_again_with_a_notice(tmp_path, reference, damage, told, capsys):
    save_run(reference[PLACES[0]], tmp_path)
    save_run(reference[PLACES[1]], tmp_path / "other")
    (victim,), (other,) = tmp_path.glob("*.npz"), tmp_path.glob("other/*.npz")
    victim.write_bytes(damage(victim.read_bytes(), other.read_bytes()))
    state = torch.get_rng_state()
    assert load_run(reference[PLACES[0]].spec, tmp_path) is None
    assert torch.equal(torch.get_rng_state(), state)
    assert re.search(f"{victim.name} is damaged .*{told}", capsys.readouterr().out)
    assert_same(run(tmp_path, executor=ThreadPoolExecutor(1)), reference)


@needs_modes
def test_a_record_that_cannot_be_read_is_not_called_damaged(reference, capsys):
    with tempfile.TemporaryDirectory() as place:  # not pytest's: those belong to one user
        os.chmod(place, 0o755)
        save_run(reference[PLACES[0]], Path(place))
        (file,) = Path(place).iterdir()
        file.chmod(0)
        with unprivileged():
            assert load_run(reference[PLACES[0]].spec, Path(place)) is None
    out = capsys.readouterr().out
    assert f"{file.name} cannot be read (Permission denied) and will be trained again" in out


@needs_modes
def test_records_have_the_mode_that_the_umask_leaves(tmp_path, reference):
    before = os.umask(0o027)
    try:
        save_run(reference[PLACES[0]], tmp_path / "runs")
    finally:
        os.umask(before)
    (file,) = tmp_path.glob("runs/*")
    assert (file.stat().st_mode & 0o777, file.parent.stat().st_mode & 0o777) == (0o640, 0o750)


def test_an_interrupt_while_writing_leaves_nothing_behind(tmp_path, reference, monkeypatch):
    def savez(file, **arrays):
        file.write_bytes(b"half a record")
        raise KeyboardInterrupt

    monkeypatch.setattr(records.np, "savez", savez)
    with pytest.raises(KeyboardInterrupt):
        save_run(reference[PLACES[0]], tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_ends_in_a_sentence_and_keeps_what_is_finished(
    tmp_path, reference, inline, monkeypatch
):
    honest, calls = np.savez, []

    def savez(file, **arrays):
        calls.append(file)
        if len(calls) > 3:
            file.write_bytes(b"half a record")
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        honest(file, **arrays)

    monkeypatch.setattr(records.np, "savez", savez)
    with pytest.raises(SearchError, match="No space left on device.*free some space"):
        run(tmp_path, executor=inline)
    assert len(list(tmp_path.iterdir())) == 3, "finished runs, and no half-written file"
    monkeypatch.setattr(records.np, "savez", honest)
    assert_same(run(tmp_path, executor=inline), reference)


def test_a_folder_that_cannot_be_made_ends_in_a_sentence(tmp_path, inline):
    (tmp_path / "file").write_text("")
    with pytest.raises(SearchError, match="pass a writable folder"):
        run(tmp_path / "file" / "runs", executor=inline)


def test_an_interrupt_keeps_finished_runs(tmp_path, reference, inline):
    def stop(runs):
        if len(runs) == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt, match="^Interrupted: 2 of 9 runs are kept; run this ag"):
        run(tmp_path, executor=inline, on_run=stop)
    assert_same(run(tmp_path, executor=inline), reference)


def test_killed_at_random_moments_and_resumed(tmp_path, reference):
    """Five times: start, `kill -9` after a while, start again; then all is as without."""
    waits = random.Random(0)
    if sys.platform == "win32":
        context = multiprocessing.get_context("spawn")
    else:
        context = multiprocessing.get_context("forkserver")
        context.set_forkserver_preload(["tests.mnist_comparison.search_process"])
    kills = 0
    while kills < 5:
        before = set(tmp_path.glob("*.npz"))
        process = context.Process(target=run_inline, args=(tmp_path,))
        process.start()
        while process.is_alive() and set(tmp_path.glob("*.npz")) == before:
            time.sleep(0.005)
        time.sleep(waits.uniform(0, 0.1))
        kills += process.is_alive()
        process.kill()
        process.join()
        finished = sorted(tmp_path.glob("*.npz"))
        if len(finished) == len(PLACES):  # nothing left to interrupt: lose a few and go on
            for path in waits.sample(finished, 7):
                path.unlink()
    assert_same(run(tmp_path, executor=ThreadPoolExecutor(1)), reference)


def test_workers_do_not_run_the_main_script_and_end_when_their_parent_is_killed(tmp_path):
    """Some kernels name the notebook's file as that of `__main__`."""
    code = "print('started', flush=True)\nfrom tests.mnist_comparison import search_process as here"
    process = as_script(tmp_path, f"{code}\nhere.run('runs')", subprocess.Popen)
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children")
    if not children.exists():
        process.kill()
        process.communicate()
        pytest.skip("no /proc here to list a process's children")
    while not list(tmp_path.glob("runs/*.npz")):  # else the test's own time limit ends it
        assert process.poll() is None, process.communicate()
        time.sleep(0.05)
    started = [int(pid) for pid in children.read_text().split()]
    process.kill()
    process.wait()
    while any(map(alive, started)):
        time.sleep(0.05)
    out, _ = process.communicate()
    assert len(started) >= 2 and out.count("started") == 1


def alive(pid):
    stat = Path(f"/proc/{pid}/stat")
    return stat.exists() and stat.read_text().rsplit(")", 1)[1].split()[0] != "Z"


def test_a_run_starts_as_the_plain_loop_and_leaves_the_generator_alone(reference):
    state = torch.get_rng_state()
    spec = replace(reference["swish", RATES[0], 0].spec, seed=5, lr=1e-30, epochs=1)
    found = train_spec(spec, examples(), "cpu").parameters
    assert torch.equal(torch.get_rng_state(), state)
    torch.manual_seed(5)
    for name, value in mlp(spec.sizes, "swish").state_dict().items():
        np.testing.assert_array_equal(found[name], value)


def setting(change, value, normal):
    """Return a setting for the time of a stack."""

    def enter(stack):
        stack.callback(change, normal)
        change(value)

    return enter


SETTINGS = {
    "float64": setting(torch.set_default_dtype, torch.float64, torch.float32),
    "products": setting(torch.set_float32_matmul_precision, "medium", "highest"),
    "subnormals": setting(torch.set_flush_denormal, True, False),
    "device": lambda stack: stack.enter_context(torch.device("meta")),
    "autocast": lambda stack: stack.enter_context(torch.autocast("cpu")),
    "inference": lambda stack: stack.enter_context(torch.inference_mode()),
    "seed": lambda stack: torch.manual_seed(99),
}


def state():
    flushed = sys.float_info.min / 2 == 0
    kinds = torch.get_default_dtype(), torch.get_float32_matmul_precision()
    return *kinds, flushed, torch.is_autocast_enabled(), torch.is_inference_mode_enabled()


@pytest.mark.parametrize("name", SETTINGS)
@pytest.mark.parametrize("unit", ["swish", "gelu"])
def test_a_run_does_not_depend_on_global_state_and_leaves_it(reference, unit, name):
    spec = replace(reference["swish", RATES[0], 0].spec, unit=unit, epochs=3, precision="float32")
    expected = train_spec(spec, examples(), "cpu")
    with contextlib.ExitStack() as stack:
        SETTINGS[name](stack)
        before = state()
        found = train_spec(spec, examples(), "cpu")
        assert state() == before
    assert_same({PLACES[0]: found}, {PLACES[0]: expected})
    assert found.parameters["0.weight"].dtype == np.float32


def test_a_gpu_takes_the_runs_one_after_the_other_in_this_process(tmp_path, monkeypatch):
    specs = []

    def trained(spec, examples, device, on_epoch):
        assert device == "cuda"
        specs.append((spec.unit, spec.lr, spec.seed))
        return train_spec(spec, examples, "cpu", on_epoch)

    monkeypatch.setattr(workers, "train_spec", trained)
    monkeypatch.setattr(workers.loky, "get_reusable_executor", None)
    small(tmp_path, UNITS, RATES, epochs=1, device="cuda", precision="float32", executor=None)
    assert specs == PLACES


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"units": ["rleu"]}, "activation 'rleu' unknown; choose from relu"),
        ({"units": "relu"}, "units is 'relu'"),
        ({"rates": []}, "rates for 'relu' is"),
        ({"rates": {"tanh": [0.1]}}, "rates for 'relu' is"),
        ({"rates": [0.1, -1]}, "every rate must be positive"),
        ({"rates": [float("nan")]}, "every rate must be positive"),
        ({"seeds": [1, 1]}, "seeds is"),
        ({"epochs": 0}, "epochs is 0"),
        ({"precision": "float8"}, "'float8' unknown; choose from float32, bfloat16"),
    ],
)
def test_bad_arguments_are_named_before_anything_runs(tmp_path, change, named):
    arguments = {"units": ["relu"], "rates": [0.1], "examples": examples(), "epochs": 1}
    with pytest.raises(ValueError, match=named):
        search(**{**arguments, **change}, folder=tmp_path / "runs")
    assert not (tmp_path / "runs").exists()


def test_examples_are_raw_pixels():
    x, y = torch.rand(3, 784), torch.zeros(3, dtype=torch.int64)
    with pytest.raises(ValueError, match="train_x holds values other than raw pixels"):
        Examples.of(x, y, x, y)
    x = torch.full((3, 784), 255.0)
    assert Examples.of(x, y, x, y).train_x.dtype == np.uint8


def test_precision_can_be_forced_and_is_printed(tmp_path, capsys):
    small(tmp_path, precision="float32", epochs=1)
    assert "Products in float32 on cpu (as told)." in capsys.readouterr().out


@pytest.mark.parametrize(
    ("rates", "expected"),
    [((253, 89), "float32"), ((100, 800), "bfloat16"), ((100, 105), "float32")],
)
def test_precision_is_the_one_measured_to_be_faster(tmp_path, monkeypatch, capsys, rates, expected):
    monkeypatch.setattr(
        fast, "measured", lambda device: dict(zip(fast.PRECISIONS, rates, strict=True))
    )
    monkeypatch.setattr(module, "measured", fast.measured)
    (found,) = small(tmp_path, epochs=1).values()
    assert found.spec.precision == expected
    told = f"{rates[0]} GFLOP/s in float32, {rates[1]} GFLOP/s in bfloat16"
    assert f"Products in {expected} on cpu (measured: {told})." in capsys.readouterr().out


def test_precision_is_measured_once_under_one_thread(monkeypatch):
    fast.measured.cache_clear()
    threads = torch.get_num_threads()
    with monkeypatch.context() as patch:  # every product takes a second
        patch.setattr(fast, "time", Mock(**{"perf_counter.side_effect": itertools.count()}))
        rates = fast.measured("cpu")
    operations = 2 * 200 * 784 * 500  # as many products as sums
    assert rates == pytest.approx({"float32": operations / 1e9, "bfloat16": operations / 1e9})
    assert fast.measured("cpu") is rates
    assert torch.get_num_threads() == threads
    fast.measured.cache_clear()


def test_a_record_in_another_precision_counts_where_none_is_asked_for(
    tmp_path, monkeypatch, capsys
):
    small(tmp_path, precision="bfloat16")
    monkeypatch.setattr(module, "default_precision", lambda device: "float32")
    (found,) = small(tmp_path).values()
    assert found.spec.precision == "bfloat16"
    told = f"1 found in runs/ (bfloat16, torch {torch.__version__}), 0 to train"
    assert told.replace("runs", tmp_path.name) in capsys.readouterr().out
    assert f"bfloat16, torch {torch.__version__}" in repr(found)


def test_dask_spreads_a_search_and_survives_a_killed_worker(tmp_path, reference):
    distributed = pytest.importorskip("dask.distributed")
    with distributed.LocalCluster(
        n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None
    ) as cluster:
        with cluster.get_client() as client:
            victims = iter(sorted(info for info in client.run(os.getpid).values()))
            killed = []

            def kill_once(runs):
                if len(runs) == 2 and not killed:
                    killed.append(next(victims))
                    os.kill(killed[0], signal.SIGKILL)

            runs = run(tmp_path, executor=client.get_executor(), on_run=kill_once)
    assert killed
    assert_same(runs, reference)


def test_each_unit_can_have_rates_of_its_own(tmp_path):
    runs = small(tmp_path, ["relu", "tanh"], {"relu": [0.1], "tanh": [0.2, 0.3]}, epochs=1)
    assert list(runs) == [("relu", 0.1, 0), ("tanh", 0.2, 0), ("tanh", 0.3, 0)]


# --- own processes ---


@pytest.fixture
def two_workers(monkeypatch):
    monkeypatch.setenv(workers.WORKERS, "2")


def test_an_interrupt_stops_the_own_processes_without_a_word(
    tmp_path, reference, two_workers, monkeypatch, capfd
):
    complaints, mine = [], []
    monkeypatch.setattr(threading, "excepthook", complaints.append)

    def stop(runs):
        mine.extend(multiprocessing.active_children())
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(tmp_path, on_run=stop)
    assert len(mine) == 2
    for worker in mine:
        worker.join()  # else the test's own time limit ends it
    assert complaints == [] and capfd.readouterr().err == ""
    assert_same(run(tmp_path), reference)


# Runs long enough that an interrupt finds some of them under way.
SEARCH = """from tests.mnist_comparison.search_process import UNITS, RATES, examples, search
runs = search(UNITS, RATES, examples(), seeds=range(SEEDS), epochs=100, sizes=(30, 16, 8, 4),
              folder="runs", on_run=lambda runs: print(len(runs), "done"))"""


def test_an_interrupt_of_a_notebook_ends_in_the_sentence_alone(tmp_path):
    """Once while the workers start, once while they train; then the search goes on."""
    environment = os.environ | {"SEARCH_WORKERS": "2", "PYTHONPATH": os.pathsep.join(sys.path)}
    with open(tmp_path / "stderr", "w") as stderr:  # the workers' own, which a server would print
        manager, client = start_new_kernel(env=environment, cwd=str(tmp_path), stderr=stderr)
    seen, awaited = [], []

    def look(message):
        seen.append(message["content"])
        if awaited and awaited[0] in message["content"].get("text", ""):
            awaited.pop()
            manager.interrupt_kernel()

    try:
        for moment, kept in [("to train", "0"), ("1 done", r"[1-9]\d*")]:
            awaited.append(moment)
            code = SEARCH.replace("SEEDS", "100")
            reply = client.execute_interactive(code, output_hook=look, timeout=300)["content"]
            (shown,) = reply["traceback"]
            assert (reply["ename"], shown) == ("Interrupted", reply["evalue"])
            sentence = rf"Interrupted: {kept} of 900 runs are kept; run this again to go on\."
            assert re.fullmatch(sentence, shown)
        code = SEARCH.replace("SEEDS", "2")
        assert client.execute_interactive(code, output_hook=look)["content"]["status"] == "ok"
        text = "".join(content.get("text", "") for content in seen)
        assert re.search(r"18 runs of 100 epochs: [1-9]\d* found in runs/", text)
    finally:
        client.stop_channels()
        manager.shutdown_kernel(now=True)
    assert not [content for content in seen if content.get("name") == "stderr"]
    assert "Traceback" not in (tmp_path / "stderr").read_text()


class Bar:
    """A progress bar that calls what waits for a number of epochs."""

    def __init__(self, **options):
        self.total, self.n, self.seen = options["total"], 0, [0]

    def __call__(self, **options):
        self.__init__(**options)
        return contextlib.nullcontext(self)

    def set_description(self, text, refresh):
        self.text = text

    def update(self, epochs):
        self.n += epochs
        self.seen.append(self.n)


@pytest.mark.parametrize("pooled", [True, False])
def test_the_bar_counts_epochs_of_runs_under_way(tmp_path, monkeypatch, pooled):
    bar, reached = Bar(total=0), []

    def trained(spec, examples, device, on_epoch):
        on_epoch(17)
        while 17 not in bar.seen:  # else the test's own time limit ends it
            time.sleep(0.001)
        reached.append(bar.text)
        return train_spec(spec, examples, device, on_epoch)

    monkeypatch.setattr(module, "tqdm", bar)
    monkeypatch.setattr(workers, "train_spec", trained)
    executor = ThreadPoolExecutor(1) if pooled else None
    small(tmp_path, rates=[0.01], executor=executor)
    assert reached == ["0 of 1 runs"] and bar.total == 60
    monkeypatch.setattr(workers, "train_spec", train_spec)
    small(tmp_path, rates=[0.01, 0.02], executor=executor)
    assert bar.total == 60, "the first run was found"
    assert pooled or bar.seen[2:] == list(range(61))
    monkeypatch.setenv(workers.WORKERS, "1")
    small(tmp_path, rates=[0.03, 0.04], executor=executor)
    assert pooled or bar.seen[-1] == bar.total == 120


def test_own_processes_count_their_epochs(tmp_path):
    counts = tmp_path / "epochs"
    np.zeros(3, np.int32).tofile(counts)
    with futures.ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
        pool.submit(workers._tell, counts, 1, 70_000).result()
    assert np.fromfile(counts, np.int32).tolist() == [0, 70_000, 0]
    workers._tell(tmp_path / "on another machine" / "epochs", 1, 5)


def test_the_clock_goes_while_processes_start(two_workers, monkeypatch):
    ticks = []
    monkeypatch.setattr(workers.loky, "get_reusable_executor", NoPool())
    monkeypatch.setattr(workers, "START_SECONDS", 0.003)
    monkeypatch.setattr(workers, "TICK", 0.001)
    assert workers._processes(ticks.append) is None
    assert ticks == [0, 0, 0]


def test_a_killed_process_ends_in_a_sentence_and_the_next_search_goes_on(
    tmp_path, reference, two_workers
):
    with pytest.raises(SearchError, match="a training process ended .* SEARCH_WORKERS=1"):
        run(tmp_path, on_run=lambda runs: multiprocessing.active_children()[0].terminate())
    assert list(tmp_path.glob("*.npz"))
    assert_same(run(tmp_path), reference)


def test_processes_stay_for_the_next_search(tmp_path, two_workers):
    seen = []
    for seed in (1, 2):
        small(tmp_path, ["relu", "tanh"], seeds=[seed], executor=None)
        seen.append({process.pid for process in multiprocessing.active_children()})
    assert seen[0] == seen[1] and len(seen[0]) == 2


class NoPool:
    """Stands in for a pool that cannot be had, fails to start, or never answers."""

    def __init__(self, error=None, answer=None):
        self.error, self.answer, self.stopped = error, answer, []

    def __call__(self, *args, **options):
        return self

    def submit(self, *args):
        if self.error:
            raise self.error
        future = futures.Future()
        if self.answer:
            future.set_exception(self.answer)
        return future

    def shutdown(self, **how):
        self.stopped.append(how)


@pytest.mark.parametrize(
    ("pool", "told"),
    [
        (NoPool(error=RuntimeError("can't start new thread")), "can't start new thread"),
        (NoPool(error=OSError(12, "Cannot allocate memory")), "[Errno 12] Cannot allocate memory"),
        (NoPool(answer=BrokenExecutor("it died\n\nat length")), "it died"),
        (NoPool(), "TimeoutError"),  # it never answers
        (Mock(side_effect=ImportError("no semaphores here")), "no semaphores here"),
    ],
)
def test_without_processes_the_search_trains_in_this_one_and_says_so(
    tmp_path, two_workers, monkeypatch, capsys, pool, told
):
    monkeypatch.setattr(workers.loky, "get_reusable_executor", pool)
    monkeypatch.setattr(workers, "START_SECONDS", 0.01)
    monkeypatch.setattr(
        workers, "train_spec", lambda *given: threads.add(get_ident()) or train_spec(*given)
    )
    threads = set()
    assert len(small(tmp_path, ["relu", "tanh"], epochs=1, executor=None)) == 2
    assert threads == {get_ident()}
    out = capsys.readouterr().out
    assert f"One run at a time, in this process: others cannot be started ({told})." in out
    if isinstance(pool, NoPool):
        assert pool.stopped == [{"wait": False, "kill_workers": True}]


@pytest.mark.skipif(sys.platform != "linux", reason="this limit is Linux's")
def test_where_the_system_grants_no_process_the_search_ends_all_the_same(tmp_path):
    code = """
import os, resource
from tests.mnist_comparison import search_process
least = len(os.listdir("/proc/self/fd")) + 6
resource.setrlimit(resource.RLIMIT_NOFILE, (least, least))
assert len(search_process.run("runs")) == 9
"""
    done = as_script(tmp_path, code, subprocess.run)
    assert done.returncode == 0, done.stderr
    assert "One run at a time, in this process: others cannot be" in done.stdout


def as_script(folder, code, start):
    """Start Python on this code, as a script in the folder that searches with two processes."""
    (folder / "notebook.py").write_text(code)
    path = os.pathsep.join([str(HERE.parents[1]), *sys.path])
    environment = os.environ | {"SEARCH_WORKERS": "2", "PYTHONPATH": path}
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    return start([sys.executable, "-u", "notebook.py"], cwd=folder, env=environment, **pipes)


@pytest.mark.parametrize(
    ("available", "limit", "cores", "expected"),
    [
        (16e9, None, 8, 8),
        (16e9, "max", 2, 2),
        (16e9, "2000000000", 8, 1),  # a container of 2 GB
        (16e9, "4000000000", 8, 5),
        (1.2e9, None, 8, 2),
        (0.1e9, None, 8, 1),
    ],
)
def test_workers_are_as_many_as_cores_and_memory_bear(
    tmp_path, monkeypatch, available, limit, cores, expected
):
    file = tmp_path / "memory.max"
    if limit:
        file.write_text(limit + "\n")
    monkeypatch.delenv(workers.WORKERS, raising=False)
    monkeypatch.setattr(workers, "LIMITS", [file])
    monkeypatch.setattr(workers.loky, "cpu_count", lambda: cores)
    monkeypatch.setattr(workers.psutil, "virtual_memory", lambda: Mock(available=int(available)))
    workers._borne.cache_clear()
    assert workers.count() == expected
    monkeypatch.setenv(workers.WORKERS, "3")
    assert workers.count() == 3
    workers._borne.cache_clear()


@pytest.mark.parametrize("told", ["0", "two", "-1"])
def test_a_wrong_number_of_workers_is_named(monkeypatch, told):
    monkeypatch.setenv(workers.WORKERS, told)
    with pytest.raises(ValueError, match=f"SEARCH_WORKERS is '{told}'"):
        workers.count()


def test_one_worker_is_this_process(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv(workers.WORKERS, "1")
    monkeypatch.setattr(workers.loky, "get_reusable_executor", None)
    small(tmp_path, ["relu", "tanh"], epochs=1, executor=None)
    assert "One run at a time, in this process: cores and memory bear no" in capsys.readouterr().out


def test_a_single_run_trains_where_an_interrupt_reaches_it(tmp_path, monkeypatch):
    def interrupted(*args):
        assert threading.current_thread() is threading.main_thread()
        raise KeyboardInterrupt

    monkeypatch.setattr(workers, "train_spec", interrupted)
    with pytest.raises(KeyboardInterrupt):
        search(["relu"], [0.01], examples(), epochs=1, sizes=(30, 4), folder=tmp_path)


def test_numpy_numbers_will_do(tmp_path, capsys):
    small(tmp_path, epochs=2, seeds=[1])
    numbers = {"epochs": np.int64(2), "seeds": np.array([1]), "sizes": np.array([30, 16, 8, 4])}
    small(tmp_path, rates=np.array([0.01]), **numbers)
    assert found_last(capsys) == 1


@pytest.mark.parametrize(
    ("accuracy", "images", "expected"),
    [
        ([0.1, 0.88, 0.9, 0.89], 100, (0.01, 0.1, 0.03, False)),  # the smallest that is as good
        ([0.1, 0.88, 0.9, 0.89], 10_000, (0.1, 0.1, 0.003, False)),  # on more images it is not
        ([0.86, 0.9, 0.9, 0.1], 100, (0.01, 0.01, 0.03, False)),  # a tie
        ([0.5, 0.6, 0.88, 0.9], 100, (0.1, 1.0, 0.03, True)),  # the highest on the edge
        ([0.88, 0.9, 0.6, 0.5], 100, (0.001, 0.01, 0.03, False)),  # only the chosen on the edge
        ([0.1, 0.1, 0.1, 0.1], 100, (0.001, 0.001, 0.03, True)),  # all runs failed
        ([0.0, 0.5, 1.0, 0.99], 100, (0.1, 0.1, 0.0, False)),
    ],
)
def test_best_rate(accuracy, images, expected):
    chosen = best_rate([0.001, 0.01, 0.1, 1.0], accuracy, images)
    assert chosen == (*expected[:2], pytest.approx(expected[2]), expected[3])
    assert [type(part) for part in chosen] == [float, float, float, bool]
    assert best_rate([0.5], np.array([0.75]), 3) == (0.5, 0.5, 0.25, True)


@pytest.mark.parametrize(
    ("rates", "accuracy", "named"),
    [
        ([], [], "rates"),
        ([0.1, 0.01], [0.5, 0.6], "rates"),
        ([0.01, 0.1], [0.5, 0.6, 0.7], "accuracy"),
        ([0.01, 0.1], [0.5, float("nan")], "accuracy"),
        ([0.01, 0.1], [50, 60], "accuracy"),
    ],
)
def test_best_rate_names_a_bad_argument(rates, accuracy, named):
    with pytest.raises(ValueError, match=f"^{named} is"):
        best_rate(rates, accuracy, 100)
