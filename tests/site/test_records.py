"""The recorded runs behind "Neurons that die": what is counted, and what is said of it."""

import numpy as np
import pytest
import torch
from torch import nn

from helpers import activations
from helpers.mnist_comparison import explore, mnist
from helpers.networks import mlp
from tools import record_runs
from tools.record_runs import RECORDED


@pytest.mark.parametrize(
    ("unit", "bias", "shut"),
    [
        ("relu", -1e6, True),
        ("relu", 1e6, False),
        ("leaky_relu", -1e6, False),
        ("sigmoid", 1e6, True),
        ("sigmoid", 0.0, False),
        ("tanh", -1e6, True),
    ],
)
def test_a_shut_neuron_is_a_zero_and_no_other_is(unit, bias, shut):
    model = mlp((4, 3, 2, 2), unit)
    for layer in model:
        if isinstance(layer, nn.Linear):
            nn.init.constant_(layer.bias, bias)
    steepest = float(activations.get(unit).derivative(np.linspace(-6, 6, 4001)).max())
    found = record_runs.passing(model, steepest, torch.rand(7, 4))
    assert found.shape == (5,) and np.all((found == 0) == shut)


def test_a_neuron_open_on_one_image_of_a_thousand_is_not_shut():
    model = mlp((1, 1, 1), "relu")
    nn.init.constant_(model[0].weight, 1.0)
    nn.init.constant_(model[0].bias, 0.0)
    x = torch.full((1000, 1), -1.0)
    x[0] = 1
    assert record_runs.passing(model, 1.0, x).tolist() == [1]


def test_a_record_holds_what_the_site_draws(monkeypatch):
    monkeypatch.setattr(record_runs, "TRAIN", 40)
    monkeypatch.setattr(record_runs, "HELD_OUT", 30)
    made = record_runs.record(mnist.split(mnist.stand_in(0, 100, 40), 100), (0, 2), (0.001,))
    with np.load(RECORDED, allow_pickle=False) as file:
        kept = dict(file)
    assert {name: array.dtype.kind for name, array in made.items()} == {
        name: array.dtype.kind for name, array in kept.items()
    }
    assert made["neurons"].shape == (2, 6, 1, 2, 264) and kept["neurons"].shape[-1] == 264
    assert RECORDED.stat().st_size < 4e5
    assert kept["rates"].tolist() == [*record_runs.RATES]
    assert kept["epochs"].tolist() == [*record_runs.EPOCHS]


def test_the_explorer_counts_the_shut_neurons():
    with np.load(RECORDED, allow_pickle=False) as file:
        data = dict(file)
    data["neurons"] = np.full_like(data["neurons"], 255)
    data["neurons"][1, 1, 2, 3, :50] = 0
    data["neurons"][1, 1, 2, 3, 260:] = 0
    explorer = explore.neurons(data)
    where = {"unit": "sigmoid", "start": record_runs.STARTS[1], "rate": record_runs.RATES[2]}
    said, png = explorer.drawn(epoch=record_runs.EPOCHS[3], **where)
    assert "50 of 200 neurons of layer 1 and 4 of 64 of layer 2 are saturated" in said
    assert "on 75% of the images in layer 1, on 94% in layer 2" in said
    other, another = explorer.drawn(epoch=record_runs.EPOCHS[4], **where)
    assert "0 of 200" in other and png != another
    data["accuracy"][1, 1, 2, 4:] = np.nan
    assert "diverged, all its numbers are NaN" in explorer.drawn(epoch=13, **where)[0]


def test_a_network_that_diverged_has_no_accuracy():
    split = mnist.split(mnist.stand_in(0, 100, 40), 100)
    model = mlp((784, 4, 4, 10), "leaky_relu")
    nn.init.constant_(model[0].weight, float("inf"))
    found = record_runs.train(model, "leaky_relu", 1.0, split, (0, 1))
    assert np.isnan(found["accuracy"]).all()
