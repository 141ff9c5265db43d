"""The fast training path against the plain loop, unit by unit and shortcut by shortcut."""

import numpy as np
import pytest
import torch

from helpers import activations
from helpers.activations import ACTIVATIONS, UNITS
from helpers.mnist_comparison import shortcuts
from helpers.mnist_comparison.fast import columns, train_columns
from helpers.mnist_comparison.passes import forward, in_blocks, parameters_of
from helpers.mnist_comparison.slopes import value_and_slope
from helpers.networks import mlp
from helpers.training import record_epochs, train

SIZES = (30, 16, 8, 4)


def quiet(loop):
    return loop


@pytest.fixture(scope="module")
def data():
    """Clusters of 30 inputs, of which an example uses the first 10 to 30: blocks differ."""
    generator = torch.Generator().manual_seed(1)
    centres = 60 * torch.rand(4, 30, generator=generator)

    def draw(n):
        y = torch.randint(4, (n,), generator=generator)
        x = (centres[y] + 30 * torch.rand(n, 30, generator=generator)).round()
        used = torch.randint(10, 31, (n, 1), generator=generator)
        return x * (torch.arange(30) < used), y

    return *draw(200), *draw(80)


@pytest.fixture(autouse=True)
def several_blocks(monkeypatch):
    monkeypatch.setattr("helpers.mnist_comparison.shortcuts.BLOCK", 64)


def started(unit, seed):
    torch.manual_seed(seed)
    return mlp(SIZES, unit)


def fast(unit, lr, seed, data, epochs, precision="float32", model=None):
    seen, unseen = (columns(*part, precision, "cpu") for part in (data[:2], data[2:]))
    model = model or started(unit, seed)
    return train_columns(model, unit, seen, unseen, lr, record_epochs(epochs)), model.state_dict()


def plain(unit, lr, seed, data, epochs, model=None):
    model = model or started(unit, seed)
    return train(model, *data, lr=lr, epochs=epochs, progress=quiet), model.state_dict()


def assert_same(mine, theirs, rtol=1e-3, atol=1e-4):
    """Compare (history, parameters) with those of another run."""
    for one, other in zip(mine[0].curves(), theirs[0].curves(), strict=True):
        np.testing.assert_allclose(one, other, rtol=rtol, atol=atol)
    for name, value in theirs[1].items():
        np.testing.assert_allclose(mine[1][name], value, rtol=rtol, atol=atol)


@pytest.mark.parametrize("unit", ACTIVATIONS)
def test_value_and_slope_are_those_of_the_unit(unit):
    z = torch.linspace(-30, 30, 5 * 61).view(5, 61)
    swish = unit == "swish"
    value, slope, *by_beta = value_and_slope(unit)(z, *([torch.tensor(0.7)] * swish))
    rest = {"beta": 0.7} if swish else {}
    own = ACTIVATIONS[unit]
    np.testing.assert_allclose(value, own.value(z.numpy(), **rest), rtol=1e-5, atol=2e-6)
    np.testing.assert_allclose(slope, own.derivative(z.numpy(), **rest), rtol=1e-4, atol=2e-6)
    if swish:
        step = 1e-3
        difference = activations.swish(z.double(), 0.7 + step) - activations.swish(
            z.double(), 0.7 - step
        )
        np.testing.assert_allclose(by_beta[0], difference / (2 * step), atol=1e-4)


@pytest.mark.parametrize("unit", UNITS)
def test_fast_and_plain_runs_are_the_same(unit, data):
    lr = 0.002 if unit in ("relu", "leaky_relu", "mish", "swish") else 0.02
    assert_same(fast(unit, lr, 3, data, 40), plain(unit, lr, 3, data, 40), rtol=2e-3)


def test_pixels_that_training_never_sees_count_in_validation(data):
    blank = [part.clone() for part in data]
    blank[0][:, 2:25] = 0
    assert_same(fast("tanh", 0.02, 3, blank, 40), plain("tanh", 0.02, 3, blank, 40), rtol=2e-3)


def test_blocks_hold_all_that_is_not_zero_and_little_else():
    generator = torch.Generator().manual_seed(0)
    reach = torch.randint(1, 100, (250,), generator=generator)
    x = (torch.arange(100)[:, None] < reach) * torch.rand(100, 250, generator=generator)
    x = x[torch.randperm(100, generator=generator)]
    order, blocks = in_blocks(columns(x.T, torch.arange(250), "float32", "cpu"), 60)
    assert sorted(order.tolist()) == list(range(100))
    assert [len(block.y) for block in blocks] == [60, 60, 60, 60, 10]
    assert sorted(torch.cat([block.y for block in blocks]).tolist()) == list(range(250))
    for block in blocks:
        needed = len(block.x)
        assert torch.equal(block.x, x[order[:needed]][:, block.y])
        assert not x[order[needed:]][:, block.y].any()
        assert block.x[-16:].any()
        assert needed % 16 == 0 or needed == 100
    farthest = [part.max() for part in reach.sort().values.split(60)]
    assert [len(block.x) for block in blocks] == [min(-(-k // 16) * 16, 100) for k in farthest]


def test_blocks_of_examples_that_are_zero_throughout():
    _, blocks = in_blocks(columns(torch.zeros(7, 5), torch.arange(7), "float32", "cpu"), 4)
    assert [block.x.shape for block in blocks] == [(0, 4), (0, 3)]


@pytest.mark.parametrize("size", [1, 64, 199])
def test_the_size_of_blocks_changes_nothing_but_rounding(size, data, monkeypatch):
    monkeypatch.setattr(shortcuts, "BLOCK", 1000)
    whole = fast("swish", 0.002, 3, data, 20)
    monkeypatch.setattr(shortcuts, "BLOCK", size)
    assert_same(fast("swish", 0.002, 3, data, 20), whole)


@pytest.mark.parametrize(
    ("unit", "lr", "seed", "shortcut"),
    [
        ("relu", 1.0, 0, "dead_layer"),
        ("swish", 0.1, 0, "dead_layer"),
        ("mish", 300.0, 0, "dead_layer"),
        ("tanh", 200.0, 0, "dead_layer"),
        ("relu", 0.05, 1, "awake_neurons"),
        ("relu", 0.05, 2, "awake_neurons"),
        ("mish", 1.0, 0, "awake_neurons"),
        ("leaky_relu", 1e4, 0, "diverged"),
    ],
)
def test_shortcuts_change_nothing_but_rounding(unit, lr, seed, shortcut, data, monkeypatch):
    """What is left out gives the curves and the weights of going on step by step."""
    taken, honest = [], getattr(shortcuts, shortcut)

    def watched(*args):
        found = honest(*args)
        if found is not None and found is not False:
            taken.append(found)
        return found

    monkeypatch.setattr(shortcuts, shortcut, watched)
    early = fast(unit, lr, seed, data, 100)
    assert taken, "this run was meant to take the shortcut"
    monkeypatch.setattr(shortcuts, "rest", lambda part, *_: part)
    monkeypatch.setattr(shortcuts, "diverged", lambda _: False)
    whole = fast(unit, lr, seed, data, 100)
    assert_same(early, whole, atol=1e-3)
    if shortcut == "awake_neurons":
        for name, kept in (("0.weight", ~taken[0]), ("2.weight", (slice(None), ~taken[0]))):
            assert torch.equal(early[1][name][kept], whole[1][name][kept])


def test_neurons_that_only_validation_wakes_are_not_left_out(data):
    x, y, validation_x, validation_y = (part.clone() for part in data)
    x[:, 0], validation_x[:, 0] = 0, 1
    models = started("relu", 3), started("relu", 3)
    for model in models:
        model[0].bias.data[:12] = -1e4
        model[0].weight.data[:12, 0] = 2e4
    parts = x, y, validation_x, validation_y
    mine = fast("relu", 0.002, 3, parts, 20, model=models[0])
    assert_same(mine, plain("relu", 0.002, 3, parts, 20, model=models[1]), rtol=2e-3)


@pytest.mark.parametrize(
    ("unit", "bias", "awake"),
    [
        ("relu", -1e4, [12, 13, 14, 15]),
        ("mish", -1e4, [12, 13, 14, 15]),
        ("swish", -1e4, None),  # a change of β could wake them
        ("tanh", 0.0, None),  # 0 everywhere, but with slope 1
    ],
)
def test_neurons_are_left_out_only_if_nothing_can_wake_them(unit, bias, awake, data):
    network = parameters_of(started(unit, 0), unit)
    network.weights[0][:12] = 0
    network.biases[0][:12], network.biases[0][12:] = bias, 1e4
    for beta in network.betas:
        beta.fill_(1)
    seen = forward(network, data[0].T)
    assert not seen.inputs[1][:12].any()
    found = shortcuts.awake_neurons([seen], seen)
    assert (None if found is None else found.nonzero().ravel().tolist()) == awake


def test_a_diverged_run_is_completed_as_the_plain_loop_does(data):
    history, _ = fast("leaky_relu", 1e4, 0, data, 200)
    reference, _ = plain("leaky_relu", 1e4, 0, data, 200)
    assert np.isnan(history.train_loss[-1])
    assert np.isnan(reference.train_loss[-1])
    np.testing.assert_array_equal(np.isnan(history.train_loss), np.isnan(reference.train_loss))
    assert history.train_accuracy[-1] == reference.train_accuracy[-1]
    assert history.validation_accuracy[-1] == reference.validation_accuracy[-1]


@pytest.mark.parametrize("unit", ACTIVATIONS)
def test_value_and_slope_are_finite_far_out(unit):
    z = torch.tensor([-1e38, -1e4, -104.0, -90.0, 0.0, 90.0, 104.0, 1e4, 1e38]).view(1, 9)
    beta = [torch.ones(())] * (unit == "swish")
    value, slope, *_ = value_and_slope(unit)(z, *beta)
    own = ACTIVATIONS[unit]
    np.testing.assert_allclose(value, own.value(z.numpy()), rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(slope[z != 0], own.derivative(z.numpy())[z != 0], atol=1e-6)


def test_bfloat16_products_stay_near_float32(data):
    narrow, _ = fast("tanh", 0.02, 3, data, 40, "bfloat16")
    wide, _ = fast("tanh", 0.02, 3, data, 40)
    assert abs(narrow.train_loss[-1] - wide.train_loss[-1]) < 0.01
    assert not np.array_equal(narrow.train_loss, wide.train_loss)


@pytest.mark.parametrize("sizes", [SIZES, (30, *[4] * 6, 3)])
def test_a_forward_pass_is_that_of_the_model(sizes):
    model = mlp(sizes, "swish")
    x = torch.rand(7, 30)
    logits = forward(parameters_of(model, "swish"), x.T).logits
    torch.testing.assert_close(logits.T, model(x).detach())
