"""The recording that comes with the package: when it serves, what it holds, and what it says."""

import ast
import hashlib
import json
import zipfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import pytest
import torch

from helpers.mnist_comparison import explore, mnist, recorded, workers
from helpers.mnist_comparison.recorded import kept, use_recorded
from helpers.mnist_comparison.records import SearchError
from helpers.mnist_comparison.search import search
from tests.editions.notebooks import codes, solution_of
from tests.mnist_comparison.search_process import examples

X = torch.from_numpy(examples().validation_x).float()
UNITS, RATES = ["relu", "swish"], [0.001, 0.01]


def searched(folder, **options):
    given = {"epochs": 30, "sizes": (30, 16, 4), "executor": ThreadPoolExecutor(1)}
    return search(UNITS, RATES, examples(), folder=folder, **{**given, **options})


@pytest.fixture
def made(tmp_path, monkeypatch):
    """The runs that were trained and recorded: swish at 0.01 whole, relu's answers kept."""
    for name in ("QUICK_RUN", "TRAIN_AFRESH"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(recorded, "ARCHIVE", tmp_path / "recorded.zip")
    monkeypatch.setattr(recorded, "data_folder", lambda: tmp_path)
    monkeypatch.setattr(recorded, "asked", asked := {})
    monkeypatch.setattr("helpers.mnist_comparison.search.asked", asked)
    runs = searched(tmp_path / "runs")
    recorded.write(
        [runs["swish", 0.01, 0]], [run for place, run in runs.items() if "relu" in place], X
    )
    yield runs
    recorded._shelf.clear()


def test_recorded_runs_serve_where_the_folder_holds_none(made, tmp_path, monkeypatch, capsys):
    use_recorded()
    monkeypatch.setattr(workers, "train_spec", None)
    runs = searched(tmp_path / "other")
    out = capsys.readouterr().out
    (day,) = {run.recorded for run in runs.values()}
    assert f"was recorded on {day} (" in out
    assert f"4 runs of 30 epochs: 0 found in other/, 4 recorded on {day} (" in out
    for place, run in runs.items():
        for name, curve in vars(made[place].history).items():
            np.testing.assert_array_equal(getattr(run.history, name), curve)
    assert not (tmp_path / "other").exists()


def test_runs_are_recorded_with_what_was_asked_of_them(made, tmp_path):
    use_recorded()
    runs = searched(tmp_path / "other")
    whole = made["swish", 0.01, 0]
    assert torch.equal(runs["swish", 0.01, 0].answers(X), whole.model()(X).argmax(1))
    light = runs["swish", 0.001, 0]
    assert light.parameters == {"1.beta": made["swish", 0.001, 0].parameters["1.beta"]}
    with pytest.raises(SearchError, match=r"Run\(swish, lr 0.001.*without its weights: call use_r"):
        light.model()
    telling = runs["relu", 0.01, 0]
    assert not telling.parameters
    assert torch.equal(telling.answers(X), made["relu", 0.01, 0].model()(X).argmax(1))
    with pytest.raises(ValueError, match="x holds 3 images; kept are answers to 100"):
        telling.answers(X[:3])


def test_what_the_folder_holds_comes_first(made, tmp_path, capsys):
    use_recorded()
    runs = searched(tmp_path / "runs")
    assert "4 found in runs/ (" in capsys.readouterr().out
    assert not any(run.recorded for run in runs.values())


@pytest.mark.parametrize(
    ("variables", "used", "options"),
    [
        ({}, None, {}),
        ({}, False, {}),
        ({}, True, {"recorded": False}),
        ({"TRAIN_AFRESH": "1"}, True, {}),
        ({"QUICK_RUN": "1"}, True, {}),
        ({}, True, {"epochs": 29}),
    ],
)
def test_recorded_runs_do_not_serve(made, tmp_path, monkeypatch, capsys, variables, used, options):
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    if used is not None:
        use_recorded(used)
    runs = searched(tmp_path / "other", **options)
    assert "0 found in other/, 4 to train" in capsys.readouterr().out
    assert not any(run.recorded for run in runs.values())


def test_a_switch_that_is_neither_on_nor_off_is_named(monkeypatch):
    monkeypatch.setenv("QUICK_RUN", "")
    monkeypatch.setenv("TRAIN_AFRESH", "yes")
    with pytest.raises(ValueError, match="TRAIN_AFRESH is 'yes'; set it to 1"):
        use_recorded()


def flipped(archive):
    content = bytearray(archive.read_bytes())
    content[len(content) // 2] ^= 1
    archive.write_bytes(content)


@pytest.mark.parametrize(
    ("damage", "told"),
    [
        (flipped, "its SHA-256 is not that in recorded.sha256"),
        (lambda archive: archive.unlink(), "No such file"),
        (lambda archive: archive.with_suffix(".sha256").unlink(), "No such file"),
        (lambda archive: archive.with_suffix(".sha256").write_text(""), "SHA-256"),
    ],
)
def test_a_damaged_recording_is_told_and_all_is_trained(made, tmp_path, capsys, damage, told):
    damage(recorded.ARCHIVE)
    use_recorded()
    out = capsys.readouterr().out
    assert "recorded.zip cannot be used (" in out and told in out
    assert out.endswith("): what data/runs lacks is trained here.\n")
    assert not any(run.recorded for run in searched(tmp_path / "other").values())


def test_a_missing_record_is_named_and_the_old_recording_stays(made, tmp_path):
    before = recorded.ARCHIVE.read_bytes()
    victim = tmp_path / "runs" / made["relu", 0.01, 0].spec.file
    victim.unlink()
    with pytest.raises(SearchError, match=f"{victim} is missing: make run ARGS=03"):
        recorded.write([], [], X)
    assert recorded.ARCHIVE.read_bytes() == before


def test_results_are_kept_and_recorded(made, tmp_path, monkeypatch, capsys):
    calls = []

    @kept(examples(), 7)
    def lengths(run, times=1):
        calls.append(times)
        return [times * len(run.history.epochs), np.nan]

    run = made["relu", 0.01, 0]
    for _ in range(2):
        np.testing.assert_array_equal(lengths(run, times=2), [8, np.nan])
    assert calls == [2] and capsys.readouterr().out == "lengths: found in runs/\n"
    recorded.write([], [], X)
    (file,) = tmp_path.glob("runs/lengths-*.npy")
    file.unlink()
    use_recorded()
    capsys.readouterr()
    np.testing.assert_array_equal(lengths(run, times=2), [8, np.nan])
    assert calls == [2] and capsys.readouterr().out.startswith("lengths: recorded on 20")
    lengths(run, times=3), lengths(made["swish", 0.01, 0], times=2)
    assert calls == [2, 3, 2]
    monkeypatch.setenv("QUICK_RUN", "1")
    lengths(run, times=3)
    assert calls == [2, 3, 2, 3]


@pytest.mark.parametrize("depends", [(8,), (replace(examples(), scale=2.0),), (flipped,)])
def test_a_result_depends_on_what_it_is_made_from(made, tmp_path, depends):
    def answer(*given):
        @kept(*given)
        def number():
            return 1

        return number()

    answer(), answer(), answer(*depends)
    assert len(list(tmp_path.glob("runs/number-*.npy"))) == 2


def test_a_result_depends_on_what_is_passed_by_name(made):
    @kept()
    def scale(data):
        return data.scale

    found = [scale(data=data) for data in (examples(), replace(examples(), scale=2.0))]
    assert found == [1, 2]


def test_a_damaged_result_is_computed_again_with_a_notice(made, tmp_path, capsys):
    @kept()
    def number():
        return 3

    number()
    (file,) = tmp_path.glob("runs/number-*.npy")
    file.write_bytes(file.read_bytes()[:-1])
    assert number() == 3
    assert f"{file.name} is damaged (" in capsys.readouterr().out
    assert number() == 3 and capsys.readouterr().out == "number: found in runs/\n"


def test_figures_say_when_their_runs_were_recorded(made, tmp_path):
    use_recorded()
    runs = {place: run for place, run in searched(tmp_path / "other").items() if "relu" in place}
    day = recorded.day()
    real = replace(mnist.stand_in(train=5, test=1), is_real=True)
    assert real.title("Text", runs) == f"Text (recorded on {day})"
    assert real.title("Text", made) == real.title("Text") == "Text"
    assert mnist.stand_in(train=5, test=1).title("Text", runs) == (
        f"Text (stand-in digits, not MNIST, recorded on {day})"
    )
    y = torch.from_numpy(examples().validation_y)
    assert explore.runs(runs, X, y, {"relu": 0.01}).sentence.endswith(f" Recorded on {day}.")


def test_the_same_records_make_the_same_file(made):
    before = recorded.ARCHIVE.read_bytes()
    recorded.write([made["swish", 0.01, 0]], [made["relu", r, 0] for r in RATES], X)
    assert recorded.ARCHIVE.read_bytes() == before
    with zipfile.ZipFile(recorded.ARCHIVE) as archive:
        assert len(archive.namelist()) == 5


def test_what_ships_is_whole_and_small():
    content = recorded.ARCHIVE.read_bytes()
    told = recorded.ARCHIVE.with_suffix(".sha256").read_text()
    assert told == f"{hashlib.sha256(content).hexdigest()}  recorded.zip\n"
    assert len(content) < 6e6


def test_what_ships_was_made_by_the_functions_of_the_notebook():
    """Where this fails: make recorded. A changed function's results are computed, not served."""
    with zipfile.ZipFile(recorded.ARCHIVE) as archive:
        sources = json.loads(archive.read(recorded.ABOUT))["sources"]
    now, decorated = {}, set()
    for cell in codes(solution_of("03_mnist_comparison")):
        for node in ast.parse(cell.source).body:
            if isinstance(node, ast.FunctionDef):
                start = min(each.lineno for each in [node, *node.decorator_list]) - 1
                text = "".join(cell.source.splitlines(keepends=True)[start : node.end_lineno])
                now[node.name] = hashlib.sha256(f"{text.rstrip()}\n".encode()).hexdigest()
                if any("kept(" in ast.unparse(each) for each in node.decorator_list):
                    decorated.add(node.name)
    assert decorated <= sources.keys() <= now.keys()
    assert sources == {name: now[name] for name in sources}
