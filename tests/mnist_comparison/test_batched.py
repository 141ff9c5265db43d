"""The fast training path against the plain loop, unit by unit and batch by batch."""

import numpy as np
import pytest
import torch

from helpers import activations
from helpers.activations import ACTIVATIONS, UNITS
from helpers.mnist_comparison import shortcuts
from helpers.mnist_comparison.batched import columns, initial_batch, train_batch
from helpers.mnist_comparison.passes import forward, in_blocks
from helpers.mnist_comparison.slopes import value_and_slope
from helpers.networks import mlp
from helpers.training import train

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


def fast(unit, lrs, seeds, data, epochs, precision="float32"):
    x, y, validation_x, validation_y = data
    batch = initial_batch(unit, seeds, SIZES, "cpu")
    seen, unseen = (
        columns(*part, precision, "cpu") for part in ((x, y), (validation_x, validation_y))
    )
    with torch.no_grad():
        return train_batch(batch, lrs, seen, unseen, epochs), batch


def plain(unit, lr, seed, data, epochs):
    torch.manual_seed(seed)
    model = mlp(SIZES, unit)
    return train(model, *data, lr=lr, epochs=epochs, progress=quiet), model


def assert_same(mine, theirs, rtol=1e-3, atol=1e-4):
    """Compare (history, parameters) with those of another run."""
    for one, other in zip(mine[0].curves(), theirs[0].curves(), strict=True):
        np.testing.assert_allclose(one, other, rtol=rtol, atol=atol)
    for name, value in theirs[1].items():
        np.testing.assert_allclose(mine[1][name], value, rtol=rtol, atol=atol)


@pytest.mark.parametrize("unit", ACTIVATIONS)
def test_value_and_slope_are_those_of_the_unit(unit):
    z = torch.linspace(-30, 30, 2 * 5 * 61).view(2, 5, 61)
    swish = unit == "swish"
    value, slope, *by_beta = value_and_slope(unit)(z, *([torch.full((2, 1, 1), 0.7)] * swish))
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
    (history,), batch = fast(unit, [lr], [3], data, 40)
    reference, model = plain(unit, lr, 3, data, 40)
    assert_same((history, batch.state_dict(0)), (reference, model.state_dict()), rtol=2e-3)


def test_pixels_that_training_never_sees_count_in_validation(data):
    blank = [part.clone() for part in data]
    blank[0][:, 2:25] = 0
    (history,), batch = fast("tanh", [0.02], [3], blank, 40)
    reference, model = plain("tanh", 0.02, 3, blank, 40)
    assert_same((history, batch.state_dict(0)), (reference, model.state_dict()), rtol=2e-3)


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
    (whole,), one = fast("swish", [0.002], [3], data, 20)
    monkeypatch.setattr(shortcuts, "BLOCK", size)
    (parts,), many = fast("swish", [0.002], [3], data, 20)
    assert_same((parts, many.state_dict(0)), (whole, one.state_dict(0)))


@pytest.mark.parametrize("unit", ["tanh", "swish", "relu"])
def test_a_batch_of_runs_is_the_runs_one_by_one(unit, data):
    """Some diverge or die early, and leave the others."""
    lrs, seeds = [0.001, 10.0, 0.003], [0, 1, 2]
    together, batch = fast(unit, lrs, seeds, data, 30)
    for row, (lr, seed) in enumerate(zip(lrs, seeds, strict=True)):
        (alone,), single = fast(unit, [lr], [seed], data, 30)
        assert_same((together[row], batch.state_dict(row)), (alone, single.state_dict(0)))


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
    (early,), left = fast(unit, [lr], [seed], data, 100)
    assert taken, "this run was meant to take the shortcut"
    monkeypatch.setattr(shortcuts, "rest", lambda *args: None)
    (whole,), all_of_it = fast(unit, [lr], [seed], data, 100)
    assert_same((early, left.state_dict(0)), (whole, all_of_it.state_dict(0)), atol=1e-3)
    if shortcut == "awake_neurons":
        assert torch.equal(left.weights[0][0, ~taken[0]], all_of_it.weights[0][0, ~taken[0]])
        assert torch.equal(left.weights[1][0][:, ~taken[0]], all_of_it.weights[1][0][:, ~taken[0]])


def test_neurons_that_only_validation_wakes_are_not_left_out(data):
    x, y, validation_x, validation_y = (part.clone() for part in data)
    x[:, 0], validation_x[:, 0] = 0, 1
    torch.manual_seed(3)
    model = mlp(SIZES, "relu")
    with torch.no_grad():
        model[0].bias[:12] = -1e4
        model[0].weight[:12, 0] = 2e4
    batch = initial_batch("relu", [3], SIZES, "cpu")
    batch.weights[0][0], batch.biases[0][0, :, 0] = model[0].weight.data, model[0].bias.data
    seen, unseen = (
        columns(*part, "float32", "cpu") for part in ((x, y), (validation_x, validation_y))
    )
    with torch.no_grad():
        (mine,) = train_batch(batch, [0.002], seen, unseen, 20)
    theirs = train(model, x, y, validation_x, validation_y, lr=0.002, epochs=20, progress=quiet)
    np.testing.assert_allclose(mine.train_loss, theirs.train_loss, rtol=2e-3)
    np.testing.assert_allclose(mine.validation_loss, theirs.validation_loss, rtol=2e-3)


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
    batch = initial_batch(unit, [0], SIZES, "cpu")
    batch.weights[0][:, :12] = 0
    batch.biases[0][:, :12], batch.biases[0][:, 12:] = bias, 1e4
    for beta in batch.betas:
        beta.fill_(1)
    seen = forward(batch, data[0].T)
    assert not seen.inputs[1][0, :12].any()
    found = shortcuts.awake_neurons([seen], seen)
    assert (None if found is None else found.nonzero().ravel().tolist()) == awake


def test_a_diverged_run_is_completed_as_the_plain_loop_does(data):
    (history,), _ = fast("leaky_relu", [1e4], [0], data, 200)
    reference, _ = plain("leaky_relu", 1e4, 0, data, 200)
    assert np.isnan(history.train_loss[-1])
    assert np.isnan(reference.train_loss[-1])
    np.testing.assert_array_equal(np.isnan(history.train_loss), np.isnan(reference.train_loss))
    assert history.train_accuracy[-1] == reference.train_accuracy[-1]
    assert history.validation_accuracy[-1] == reference.validation_accuracy[-1]


@pytest.mark.parametrize("unit", ACTIVATIONS)
def test_value_and_slope_are_finite_far_out(unit):
    z = torch.tensor([-1e38, -1e4, -104.0, -90.0, 0.0, 90.0, 104.0, 1e4, 1e38]).view(1, 1, 9)
    beta = [torch.ones(1, 1, 1)] * (unit == "swish")
    value, slope, *_ = value_and_slope(unit)(z, *beta)
    own = ACTIVATIONS[unit]
    np.testing.assert_allclose(value, own.value(z.numpy()), rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(slope[z != 0], own.derivative(z.numpy())[z != 0], atol=1e-6)


def test_bfloat16_products_stay_near_float32(data):
    (narrow,), _ = fast("tanh", [0.02], [3], data, 40, "bfloat16")
    (wide,), _ = fast("tanh", [0.02], [3], data, 40)
    assert abs(narrow.train_loss[-1] - wide.train_loss[-1]) < 0.01
    assert not np.array_equal(narrow.train_loss, wide.train_loss)


@pytest.mark.parametrize("sizes", [SIZES, (30, *[4] * 6, 3)])
def test_initial_weights_are_those_of_the_plain_loop_and_leave_the_generator_alone(sizes):
    state = torch.get_rng_state()
    batch = initial_batch("swish", [5], sizes, "cpu")
    assert torch.equal(torch.get_rng_state(), state)
    torch.manual_seed(5)
    model = mlp(sizes, "swish")
    for name, value in model.state_dict().items():
        np.testing.assert_array_equal(batch.state_dict(0)[name], value)
    x = torch.rand(7, 30)
    torch.testing.assert_close(forward(batch, x.T).logits[0].T, model(x).detach())


def test_precision_is_one_of_the_known():
    with pytest.raises(ValueError, match="'float8' unknown; choose from float32, bfloat16"):
        columns(torch.zeros(2, 3), torch.zeros(2), "float8", "cpu")
