"""The plain training loop, the networks, and the length of runs."""

from pathlib import Path

import numpy as np
import pytest
import torch

from helpers import settings
from helpers.networks import mlp
from helpers.training import loss_and_accuracy, record_epochs, train


def quiet(loop):
    return loop


@pytest.fixture
def blobs():
    generator = torch.Generator().manual_seed(0)
    y = torch.arange(60) % 3
    x = torch.nn.functional.one_hot(y, 3).float() + 0.1 * torch.randn(60, 3, generator=generator)
    return x, y


def test_records_are_taken_every_ten_epochs_and_at_the_end():
    assert record_epochs(25).tolist() == [0, 10, 20, 25]
    assert record_epochs(20).tolist() == [0, 10, 20]


def test_training_lowers_the_loss_and_records_before_the_step(blobs):
    x, y = blobs
    torch.manual_seed(0)
    model = mlp((3, 8, 3), "tanh")
    before = loss_and_accuracy(model(x), y)
    history = train(model, x, y, x, y, lr=1.0, epochs=200, progress=quiet)
    assert history.train_loss[0] == pytest.approx(before[0])
    assert history.train_loss[-1] == pytest.approx(loss_and_accuracy(model(x), y)[0])
    assert history.train_accuracy[-1] == 1
    assert history.train_loss[-1] < 0.1 < history.train_loss[0]


def test_a_step_follows_the_gradient(blobs):
    x, y = blobs
    model = torch.nn.Linear(3, 3, bias=False)
    torch.nn.init.zeros_(model.weight)
    train(model, x, y, x, y, lr=0.5, epochs=1, progress=quiet)
    onehot = torch.nn.functional.one_hot(y, 3).float()
    gradient = (torch.full((60, 3), 1 / 3) - onehot).T @ x / 60
    torch.testing.assert_close(model.weight.detach(), -0.5 * gradient)


@pytest.mark.parametrize(
    ("change", "named"), [({"lr": 0}, "lr is 0"), ({"epochs": 0}, "epochs is 0")]
)
def test_bad_arguments_are_named(blobs, change, named):
    x, y = blobs
    with pytest.raises(ValueError, match=named):
        train(mlp((3, 3), "relu"), x, y, x, y, **{"lr": 1.0, "epochs": 1, **change})


@pytest.mark.parametrize("sizes", [(3,), (3, 0, 2)])
def test_mlp_refuses_sizes_that_make_no_network(sizes):
    with pytest.raises(ValueError, match="sizes is"):
        mlp(sizes, "relu")


def test_mlp_has_a_unit_between_any_two_layers():
    names = [type(layer).__name__ for layer in mlp((4, 3, 2, 1), "tanh")]
    assert names == ["Linear", "Tanh", "Linear", "Tanh", "Linear"]


def test_quick_run_shortens_loops(monkeypatch, capsys):
    monkeypatch.delenv(settings.QUICK_RUN, raising=False)
    assert settings.scaled(1000, quick=20) == 1000
    monkeypatch.setenv(settings.QUICK_RUN, "1")
    assert settings.scaled(1000, quick=20) == 20
    settings.announce_short_run()
    assert "speak of the full run" in capsys.readouterr().out
    monkeypatch.setenv(settings.QUICK_RUN, "0")
    settings.announce_short_run()
    assert capsys.readouterr().out == ""
    monkeypatch.setenv(settings.QUICK_RUN, "yes")
    with pytest.raises(ValueError, match="'yes'"):
        settings.scaled(1000, quick=20)
    with pytest.raises(ValueError, match="quick is 0"):
        settings.scaled(1000, quick=0)


def test_history_says_where_it_stands(blobs):
    x, y = blobs
    history = train(mlp((3, 3), "relu"), x, y, x, y, lr=0.1, epochs=1, progress=quiet)
    assert "after 1 epochs" in repr(history)
    assert np.isfinite(np.stack(history.curves())).all()


def test_data_lie_in_the_project_or_else_where_one_works(monkeypatch, tmp_path):
    assert settings.data_folder() == Path(__file__).resolve().parents[1] / "data"
    monkeypatch.setattr(settings, "__file__", str(tmp_path / "site-packages" / "settings.py"))
    monkeypatch.chdir(tmp_path)
    assert settings.data_folder() == tmp_path / "data"


def test_one_thread_is_put_back(monkeypatch):
    set_to = []
    monkeypatch.setattr(torch, "get_num_threads", lambda: 3)
    monkeypatch.setattr(torch, "set_num_threads", set_to.append)
    with pytest.raises(ZeroDivisionError), settings.one_thread():
        raise ZeroDivisionError
    assert set_to == [1, 3]
