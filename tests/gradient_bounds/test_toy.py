"""The toy problem, training of stacked networks, and notebook 05's claims on initialisation."""

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose

from helpers import activations
from helpers.gradient_bounds import bounds, toy
from helpers.initialization import constant, draw_stack, kaiming_normal

WIDTHS = (2, 12, 12, 12, 1)


def he(factor, widths=WIDTHS, seeds=3):
    def draw(n, m, rng):
        return factor * kaiming_normal(n, m, rng, mode="fan_in")

    return draw_stack(widths, draw, range(seeds))


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
    weights = he(1.0, (2, 5, 4, 1), seeds=2)
    decay = [0.0, 0.01]
    history = toy.train(weights, data, "tanh", lr=0.1, steps=20, record=[0, 20], decay=decay)
    x, y = (torch.tensor(part) for part in data)
    for run in range(2):
        linear = [torch.nn.Linear(n, m).double() for n, m in ((2, 5), (5, 4), (4, 1))]
        with torch.no_grad():
            for layer, W in zip(linear, weights, strict=True):
                layer.weight.copy_(torch.tensor(W[run]))
                layer.bias.zero_()
        tanh = torch.nn.Tanh()
        net = torch.nn.Sequential(linear[0], tanh, linear[1], tanh, linear[2])
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


def test_training_leaves_its_arguments_alone(data):
    weights = he(1.0, seeds=1)
    before = [W.copy() for W in weights]
    history = toy.train(weights, data, lr=0.1, steps=3, record=[0, 2])
    assert all((W == kept).all() for W, kept in zip(weights, before, strict=True))
    assert all((W[0] == kept).all() for W, kept in zip(history.weights, before, strict=True))
    assert history.steps.tolist() == [0, 2] and history.losses.shape == (4, 1)
    assert history.test_losses.size == 0


def test_evaluate_gives_the_hidden_activations_and_the_logits(data):
    weights = he(1.0, seeds=2)
    *hidden, logits = toy.evaluate(weights, [np.zeros(W.shape[:2]) for W in weights], data[0])
    assert [a.shape for a in hidden] == [(2, 100, 12)] * 3 and logits.shape == (2, 100)
    first = np.maximum(data[0] @ weights[0][1].T, 0)
    assert_allclose(hidden[0][1], first)


@pytest.mark.parametrize("normalised", ["batch", "layer"])
def test_normalised_training_is_pytorchs_at_each_runs_rate(data, normalised):
    weights, (x, y) = he(1.0, (2, 5, 4, 1), seeds=2), map(torch.tensor, data)
    history = toy.train(weights, data, lr=[0.1, 0.3], steps=1, record=[1], normalised=normalised)
    for run, rate in enumerate((0.1, 0.3)):
        Ws = [torch.tensor(W[run], requires_grad=True) for W in weights]
        a = x
        for W in Ws[:-1]:
            z = a @ W.T
            over = {"batch": 0, "layer": 1}[normalised]
            spread = (z.var(over, correction=0, keepdim=True) + 1e-5).sqrt()
            a = torch.relu((z - z.mean(over, keepdim=True)) / spread)
        logits = (a @ Ws[-1].T)[:, 0]
        loss = torch.nn.functional.binary_cross_entropy_with_logits(logits, y)
        assert history.losses[0, run] == pytest.approx(loss.item(), rel=1e-9)
        for W, G, ended in zip(Ws, torch.autograd.grad(loss, Ws), history.weights, strict=True):
            assert_allclose(ended[0, run], (W - rate * G).detach(), rtol=1e-8, atol=1e-12)


def test_gradient_norms_are_those_of_each_point_alone(data):
    weights, (x, y) = he(1.0, (2, 5, 4, 1), seeds=2), data
    biases = [np.full(W.shape[:2], 0.1) for W in weights]
    norms = toy.gradient_norms(weights, biases, data)
    for run, point in ((0, 3), (1, 60)):
        Ws, bs = [W[run] for W in weights], [b[run] for b in biases]
        passed = bounds.forward(Ws, x[point], "relu", bs)
        error = activations.sigmoid(passed.output) - y[point]
        assert norms[run, point] == pytest.approx(bounds.gradient_norms(Ws, passed, error)[0])


def test_largest_difference_is_that_of_any_two_neurons():
    W = np.random.default_rng(0).normal(size=(4, 5, 3))
    pairs = np.abs(W[:, :, None] - W[:, None]).max((1, 2, 3))
    assert_allclose(toy.largest_difference(W), pairs)
    assert toy.largest_difference(np.ones((3, 2)) * [1, 5]) == 0  # inputs may differ


@pytest.mark.parametrize("value", [0.0, 0.1])
@pytest.mark.parametrize("unit", ["relu", "tanh"])
def test_neurons_that_start_equal_stay_equal(data, value, unit):
    start = draw_stack(WIDTHS, lambda n, m, rng: constant(n, m, value), [0])
    history = toy.train(start, data, unit, lr=0.2, steps=150, record=range(0, 151, 10))
    for W in history.weights[:3]:
        assert toy.largest_difference(W).max() < 1e-12
    moved = np.abs(history.weights[0][-1] - history.weights[0][0]).max()
    assert (moved > 0.01) == (value > 0)


def test_starts_trained_side_by_side_end_as_each_would_alone(data):
    starts = {"small": he(0.25), "right": he(1.0)}
    settings = {"lr": 0.2, "steps": 30, "record": [0, 30], "test": data}
    histories = toy.train_each(starts, data, decay=[0.0, 0.01], **settings)
    for (name, start), decay in zip(starts.items(), (0.0, 0.01), strict=True):
        alone, ours = toy.train(start, data, decay=decay, **settings), histories[name]
        assert_allclose(ours.losses, alone.losses)
        assert_allclose(ours.test_losses, alone.losses[[0, 30]])
        for mine, other in zip(sum(ours.at(-1), []), sum(alone.at(-1), []), strict=True):
            assert_allclose(mine, other, rtol=1e-6, atol=1e-12)
        assert_allclose(ours.part(1).losses, alone.losses[:, 1])


def test_five_starts_end_as_the_notebook_says(data):
    """Right: solved in 100 steps; small: still on the plateau; large: far away, then stuck."""
    starts = {"zero": he(0.0), "small": he(0.25), "right": he(1.0), "large": he(5.0)}
    histories = toy.train_each(starts, data, lr=0.2, steps=200, record=[0])
    ends = {name: history.losses for name, history in histories.items()}
    assert ends["right"][100].max() < 0.1
    assert np.median(ends["small"][100]) > 0.6
    assert ends["large"].max() > 1000
    assert np.median(ends["large"][-1]) > 0.4
    assert_allclose(ends["zero"], np.log(2), rtol=1e-12)


def test_weight_decay_keeps_singular_values_and_the_gap_small():
    few, test = (toy.circles(n, np.random.default_rng(n), 0.3, 0.1) for n in (40, 1000))
    starts = dict.fromkeys(("without", "with"), he(1.0, (2, 24, 24, 1), seeds=2))
    settings = {"lr": 0.2, "steps": 400, "record": [0, 400], "test": test}
    plain, decayed = toy.train_each(starts, few, decay=[0.0, 0.01], **settings).values()
    for loose, held in zip(plain.weights, decayed.weights, strict=True):
        assert np.linalg.svdvals(held[-1])[:, 0].max() < np.linalg.svdvals(loose[-1])[:, 0].min()
    gaps = [(run.test_losses[-1] - run.losses[-1]) for run in (plain, decayed)]
    assert gaps[1].max() < 0.5 * gaps[0].min()
    assert decayed.test_losses[-1].max() < plain.test_losses[-1].min()


def test_normalisation_makes_good_for_a_start_that_is_too_small(data):
    start = he(0.5, (3, *[16] * 10, 1), seeds=2)
    with_one = np.column_stack([data[0], np.ones(100)]), data[1]
    ends = {}
    for kind, rate in (("", 0.3), ("batch", 0.3), ("layer", 0.03)):
        run = toy.train(start, with_one, lr=rate, steps=100, record=[0], normalised=kind)
        ends[kind] = run.losses[-1]
    assert_allclose(ends[""], np.log(2), atol=1e-3)
    assert ends["batch"].max() < 0.05 and ends["layer"].max() < 0.6
