"""Initialisers: their variances within sampling error, beside PyTorch's, and their errors."""

import numpy as np
import pytest
import torch
from torch import nn

from helpers import initialization
from helpers.networks import mlp

# variance times (fan_in + fan_out), and fourth moment over squared variance, of each method
EXPECTED = {
    "xavier_normal": (2, 3),
    "xavier_uniform": (2, 9 / 5),
    "kaiming_normal": (4, 3),
    "kaiming_uniform": (4, 9 / 5),
}


def assert_variance(weights, expected, kurtosis):
    """Five standard errors: a variance of n draws varies by √((kurtosis − 1)/n)."""
    error = np.sqrt((kurtosis - 1) / weights.size)
    assert np.mean(weights**2) / expected == pytest.approx(1, abs=5 * error)
    assert abs(weights.mean()) < 5 * np.sqrt(expected / weights.size)


@pytest.mark.parametrize("name", EXPECTED)
@pytest.mark.parametrize(("fan_in", "fan_out"), [(300, 500), (500, 300), (784, 10), (1, 20000)])
def test_shape_and_variance(name, fan_in, fan_out):
    weights = initialization.METHODS[name](fan_in, fan_out, np.random.default_rng(0))
    assert weights.shape == (fan_out, fan_in)
    times, kurtosis = EXPECTED[name]
    assert_variance(weights, times / (fan_in + fan_out), kurtosis)


@pytest.mark.parametrize(("name", "squared"), [("xavier_uniform", 6), ("kaiming_uniform", 12)])
def test_uniform_half_widths(name, squared):
    weights = initialization.METHODS[name](400, 600, np.random.default_rng(1))
    half_width = np.sqrt(squared / 1000)
    assert np.abs(weights).max() <= half_width
    assert np.abs(weights).max() == pytest.approx(half_width, rel=1e-4)


@pytest.mark.parametrize(
    ("ours", "mode", "theirs"),
    [
        ("xavier_normal", "mean", nn.init.xavier_normal_),
        ("xavier_uniform", "mean", nn.init.xavier_uniform_),
        ("kaiming_normal", "fan_in", lambda w: nn.init.kaiming_normal_(w, nonlinearity="relu")),
        (
            "kaiming_uniform",
            "fan_out",
            lambda w: nn.init.kaiming_uniform_(w, mode="fan_out", nonlinearity="relu"),
        ),
    ],
)
def test_pytorch_draws_with_the_same_variance(ours, mode, theirs):
    torch.manual_seed(0)
    reference = theirs(torch.empty(700, 400)).numpy()
    weights = initialization.METHODS[ours](400, 700, np.random.default_rng(0), mode=mode)
    kurtosis = EXPECTED[ours][1]
    error = np.sqrt(2 * (kurtosis - 1) / weights.size)
    assert np.var(weights) / np.var(reference) == pytest.approx(1, abs=5 * error)


def test_constant_and_normal():
    assert (initialization.constant(3, 2, 0.5) == np.full((2, 3), 0.5)).all()
    weights = initialization.normal(300, 400, 32.0, np.random.default_rng(0))
    assert weights.shape == (400, 300)
    assert_variance(weights, 1024, 3)
    assert not initialization.normal(3, 4, 0, np.random.default_rng(0)).any()


@pytest.mark.parametrize("name", EXPECTED)
def test_a_network_is_initialised_layer_by_layer_whatever_torch_has_drawn(name):
    states = []
    for seed in (0, 1):
        torch.manual_seed(seed)
        network = initialization.initialize(
            mlp([784, 200, 10], "tanh"), name, np.random.default_rng(7)
        )
        states.append(network.state_dict())
    assert all(torch.equal(states[0][key], states[1][key]) for key in states[0])
    times, kurtosis = EXPECTED[name]
    assert_variance(states[0]["0.weight"].numpy(), times / 984, kurtosis)
    assert not states[0]["0.bias"].any() and not states[0]["2.bias"].any()
    rng = np.random.default_rng(7)
    first = initialization.METHODS[name](784, 200, rng).astype(np.float32)
    assert np.array_equal(states[0]["0.weight"].numpy(), first)


def test_bad_arguments_are_named():
    rng = np.random.default_rng(0)
    with pytest.raises(ValueError, match="shape \\(3,\\); give a matrix"):
        initialization.fans(np.zeros(3))
    with pytest.raises(ValueError, match="shape \\(2, 3, 4\\)"):
        initialization.fans(torch.zeros(2, 3, 4))
    with pytest.raises(ValueError, match="fan_in is 0"):
        initialization.xavier_normal(0, 3, rng)
    with pytest.raises(ValueError, match="std is -1"):
        initialization.normal(2, 3, -1, rng)
    with pytest.raises(ValueError, match="std is nan"):
        initialization.normal(2, 3, float("nan"), rng)
    with pytest.raises(ValueError, match="'fan_mean' unknown; choose from mean"):
        initialization.kaiming_normal(2, 3, rng, mode="fan_mean")
    with pytest.raises(ValueError, match="'he' unknown; choose from xavier_normal"):
        initialization.get("he")
    with pytest.raises(ValueError, match="weights have shape \\(2, 3\\)"):
        initialization.initialize(nn.Linear(2, 3), lambda i, o, rng: np.zeros((i, o)), rng)
