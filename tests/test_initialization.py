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


@pytest.mark.parametrize(("fan_in", "fan_out"), [(5, 9), (9, 5), (7, 7), (1, 4)])
def test_orthogonal_matrices_have_singular_values_one_and_favour_no_sign(fan_in, fan_out):
    rng = np.random.default_rng(0)
    drawn = [initialization.orthogonal(fan_in, fan_out, rng) for _ in range(400)]
    assert drawn[0].shape == (fan_out, fan_in)
    np.testing.assert_allclose(np.linalg.svdvals(drawn[0]), 1, rtol=1e-12)
    assert 150 < sum(W[0, 0] > 0 for W in drawn) < 250


def test_a_stack_holds_what_each_seed_draws_alone():
    stack = initialization.draw_stack((2, 3, 1), "xavier_normal", [4, 5])
    assert [layer.shape for layer in stack] == [(2, 3, 2), (2, 1, 3)]
    alone = initialization.draw_layers((2, 3, 1), "xavier_normal", np.random.default_rng(5))
    assert all((layer[1] == W).all() for layer, W in zip(stack, alone, strict=True))


@pytest.mark.parametrize("name", EXPECTED)
def test_a_network_is_initialised_layer_by_layer_whatever_torch_has_drawn(name):
    for seed in (0, 1):
        torch.manual_seed(seed)
        network = mlp([784, 200, 10], "tanh")
        initialization.initialize(network, name, np.random.default_rng(7))
        drawn = initialization.draw_layers([784, 200, 10], name, np.random.default_rng(7))
        for layer, weights in zip((network[0], network[2]), drawn, strict=True):
            assert np.array_equal(layer.weight.detach().numpy(), weights.astype(np.float32))
            assert not layer.bias.any()


def test_bad_arguments_are_named():
    rng = np.random.default_rng(0)
    with pytest.raises(ValueError, match="fan_in is 0"):
        initialization.xavier_normal(0, 3, rng)
    with pytest.raises(ValueError, match="'fan_mean' unknown; choose from mean"):
        initialization.kaiming_normal(2, 3, rng, mode="fan_mean")
    with pytest.raises(ValueError, match="'he' unknown; choose from xavier_normal"):
        initialization.get("he")
    with pytest.raises(ValueError, match="weights have shape \\(2, 3\\)"):
        initialization.initialize(nn.Linear(2, 3), lambda i, o, rng: np.zeros((i, o)), rng)
