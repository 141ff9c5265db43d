"""The toy problem, training of stacked networks, and notebook 05's claims on initialisation."""

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose

from helpers.gradient_bounds import spectra, toy
from helpers.initialization import constant, kaiming_normal

WIDTHS = (2, 12, 12, 12, 1)


def stack(start, seeds=3, widths=WIDTHS):
    runs = []
    for seed in range(seeds):
        rng = np.random.default_rng(seed)
        shapes = zip(widths[:-1], widths[1:], strict=True)
        runs.append([start(n, m, rng) for n, m in shapes])
    return [np.stack(layer) for layer in zip(*runs, strict=True)]


def he(factor):
    return lambda n, m, rng: factor * kaiming_normal(n, m, rng, mode="fan_in")


@pytest.fixture(scope="module")
def data():
    return toy.circles(100, np.random.default_rng(0))


def test_the_circles_are_two_classes_that_no_line_separates(data):
    x, y = data
    assert x.shape == (100, 2) and y.sum() == 50
    radius = np.linalg.norm(x, axis=1)
    assert radius[y == 0].max() < radius[y == 1].min()
    assert 0.7 < x.std() < 1.3
    _, flipped = toy.circles(100, np.random.default_rng(0), flip=0.1)
    assert (flipped != y).sum() == 10


def test_training_is_pytorchs_gradient_descent_for_every_run(data):
    weights = stack(he(1.0), 2, (2, 5, 4, 1))
    decay = [0.0, 0.01]
    history = toy.train(weights, data, "tanh", lr=0.1, steps=20, record=[0, 20], decay=decay)
    x, y = (torch.tensor(part) for part in data)
    for run in range(2):
        linear = [torch.nn.Linear(n, m).double() for n, m in ((2, 5), (5, 4), (4, 1))]
        with torch.no_grad():
            for layer, W in zip(linear, weights, strict=True):
                layer.weight.copy_(torch.tensor(W[run]))
                layer.bias.zero_()
        net = torch.nn.Sequential(linear[0], torch.nn.Tanh(), linear[1], torch.nn.Tanh(), linear[2])
        groups = [
            {"params": [layer.weight for layer in linear], "weight_decay": 2 * decay[run]},
            {"params": [layer.bias for layer in linear]},
        ]
        optimiser = torch.optim.SGD(groups, lr=0.1)
        for step in range(20):
            optimiser.zero_grad()
            loss = torch.nn.functional.binary_cross_entropy_with_logits(net(x)[:, 0], y)
            assert history.losses[step, run] == pytest.approx(loss.item(), rel=1e-9)
            loss.backward()
            optimiser.step()
        for layer, W, b in zip(linear, history.weights, history.biases, strict=True):
            assert_allclose(W[-1, run], layer.weight.detach().numpy(), rtol=1e-8, atol=1e-12)
            assert_allclose(b[-1, run], layer.bias.detach().numpy(), rtol=1e-8, atol=1e-12)


@pytest.fixture
def three_threads():
    before = torch.get_num_threads()
    torch.set_num_threads(3)
    yield
    torch.set_num_threads(before)


@pytest.mark.usefixtures("three_threads")
def test_training_leaves_its_arguments_and_torchs_threads_alone(data):
    weights = stack(he(1.0), 1)
    before = [W.copy() for W in weights]
    history = toy.train(weights, data, lr=0.1, steps=3, record=[0, 2])
    assert all((W == kept).all() for W, kept in zip(weights, before, strict=True))
    assert all((W[0] == kept).all() for W, kept in zip(history.weights, before, strict=True))
    assert torch.get_num_threads() == 3
    assert history.steps.tolist() == [0, 2] and history.losses.shape == (4, 1)
    assert history.test_losses.size == 0


def test_evaluate_gives_the_hidden_activations_and_the_logits(data):
    weights = stack(he(1.0), 2)
    *hidden, logits = toy.evaluate(
        weights, [np.zeros(W.shape[:2]) for W in weights], data[0], "relu"
    )
    assert [a.shape for a in hidden] == [(2, 100, 12)] * 3 and logits.shape == (2, 100)
    first = np.maximum(data[0] @ weights[0][1].T, 0)
    assert_allclose(hidden[0][1], first)


def test_a_step_outside_the_run_cannot_be_recorded(data):
    with pytest.raises(ValueError, match="record runs from 0 to 9; it must lie in 0 … 5"):
        toy.train(stack(he(1.0), 1), data, lr=0.1, steps=5, record=[0, 9])


def test_largest_difference_is_that_of_any_two_neurons():
    W = np.random.default_rng(0).normal(size=(4, 5, 3))
    pairs = np.abs(W[:, :, None] - W[:, None]).max((1, 2, 3))
    assert_allclose(toy.largest_difference(W), pairs)
    assert toy.largest_difference(np.ones((3, 2)) * [1, 5]) == 0  # inputs may differ


@pytest.mark.parametrize("value", [0.0, 0.1])
@pytest.mark.parametrize("unit", ["relu", "tanh"])
def test_neurons_that_start_equal_stay_equal(data, value, unit):
    start = stack(lambda n, m, rng: constant(n, m, value), 1)
    history = toy.train(start, data, unit, lr=0.2, steps=150, record=range(0, 151, 10))
    for W in history.weights[:3]:
        assert toy.largest_difference(W).max() < 1e-12
    moved = np.abs(history.weights[0][-1] - history.weights[0][0]).max()
    assert (moved > 0.01) == (value > 0)


def test_five_starts_end_as_the_notebook_says(data):
    """Right: solved in 100 steps; small: still on the plateau; large: far away, then stuck."""
    ends = {}
    for name, factor in (("small", 0.25), ("right", 1.0), ("large", 5.0)):
        losses = toy.train(stack(he(factor)), data, lr=0.2, steps=200, record=[0]).losses
        ends[name] = losses
    assert ends["right"][100].max() < 0.1
    assert np.median(ends["small"][100]) > 0.6
    assert ends["large"].max() > 1000
    assert np.median(ends["large"][-1]) > 0.4
    zero = toy.train(stack(he(0.0), 1), data, lr=0.2, steps=50, record=[0]).losses
    assert_allclose(zero, np.log(2), rtol=1e-12)


def test_weight_decay_keeps_singular_values_and_the_gap_small():
    few = toy.circles(40, np.random.default_rng(0), 0.3, 0.1)
    test = toy.circles(1000, np.random.default_rng(1), 0.3, 0.1)
    one = [spectra.layers((2, 24, 24, 1), "2/n_in", np.random.default_rng(s)) for s in range(2)]
    start = [np.concatenate([np.stack(layer)] * 2) for layer in zip(*one, strict=True)]
    decay = np.repeat([0.0, 0.01], 2)
    history = toy.train(start, few, lr=0.2, steps=400, record=[0, 400], decay=decay, test=test)
    tops = [spectra.singular_values(W[-1])[:, 0] for W in history.weights]
    for top in tops:
        assert top[2:].max() < top[:2].min()
    gap = history.test_losses[-1] - history.losses[-1]
    assert gap[2:].max() < 0.5 * gap[:2].min()
    assert history.test_losses[-1, 2:].max() < history.test_losses[-1, :2].min()
