"""A signal through depth: 50 layers of width 512 against theory, and the theory against itself."""

import numpy as np
import pytest
import torch

from helpers import activations, initialization
from helpers.networks import mlp
from helpers.numerical_stability import depth

PAIRS = [(unit, gain) for unit in ("relu", "tanh") for gain in (2.0, 1.0)]
DEPTH, WIDTH, SEEDS = 50, 512, range(20)


@pytest.fixture(scope="module")
def measured():
    return depth.through_depth(PAIRS, DEPTH, WIDTH, SEEDS)


def medians(signal):
    return np.median(signal.activations, axis=0), np.median(signal.gradients, axis=0)


def error(spread):
    """Four standard errors of the logarithm's median over the seeds, 1.25 times the mean's."""
    return 4 * 1.25 * spread / len(SEEDS) ** 0.5 + 0.02


def test_relu_keeps_its_size_with_kaiming_and_halves_in_every_layer_with_xavier(measured):
    a, delta = medians(measured["relu", 2.0])
    assert (0.5 < a).all() and (a < 2).all()
    assert (0.3 < delta).all() and (delta < 3).all()
    a, delta = medians(measured["relu", 1.0])
    assert a[-1] == pytest.approx(2.0**-50, rel=1.0)
    assert delta[0] == pytest.approx(2.0**-49, rel=2.0)
    assert np.diff(np.log2(a)) == pytest.approx(-1, abs=0.35)


def test_tanh_with_xavier_falls_like_a_power_and_not_like_an_exponential(measured):
    a, delta = medians(measured["tanh", 1.0])
    layers = np.arange(10, DEPTH + 1)
    assert 2 * layers * a[layers] == pytest.approx(1, abs=0.25)  # 1/(2l)
    # an exponential that fits layers 5 to 15 would be far lower at 50
    rate = np.log(a[15] / a[5]) / 10
    assert a[50] > 5 * a[15] * np.exp(35 * rate)
    assert 0.003 < delta[0] < 0.05


def test_tanh_with_kaiming_keeps_its_activations_and_its_gradients_grow_as_predicted(measured):
    a, delta = medians(measured["tanh", 2.0])
    fixed = depth.mean_field("tanh", 2.0, 300).activations[-1]
    assert 2 * fixed == pytest.approx(0.618, abs=1e-3)
    assert a[5:] == pytest.approx(fixed, rel=0.1)
    predicted = 2 * depth.gaussian_moment("tanh", 2 * fixed, slope=True)
    assert predicted == pytest.approx(1.1055, abs=1e-4)
    # δ² from layer 50 down to layer 10, where the activations have settled
    per_layer = measured["tanh", 2.0].gradients[:, 9] ** (1 / 40)
    spread = depth.mean_field("tanh", 2.0, DEPTH, WIDTH).gradient_spread[9] / 40
    assert np.log(np.median(per_layer) / predicted) == pytest.approx(0, abs=5 * spread)
    assert delta[0] > 10


@pytest.mark.parametrize("pair", PAIRS)
def test_every_layer_of_every_pair_lies_where_theory_has_it(measured, pair):
    a, delta = medians(measured[pair])
    theory = depth.mean_field(*pair, DEPTH, WIDTH)
    off = np.abs(np.log(a / theory.typical.activations))
    assert (off < error(theory.activation_spread)).all()
    off = np.abs(np.log(delta / theory.typical.gradients))
    assert (off < error(theory.gradient_spread + 0.1)).all()


@pytest.mark.parametrize("pair", PAIRS)
def test_networks_differ_from_each_other_as_theory_says(pair):
    """200 narrower networks: spreads within a third, which a wrong formula would miss."""
    (signal,) = depth.through_depth([pair], 20, 64, range(200)).values()
    theory = depth.mean_field(*pair, 20, 64)
    for values, spread in (
        (signal.activations[:, -1], theory.activation_spread[-1]),
        (signal.gradients[:, 0], theory.gradient_spread[0]),
    ):
        assert np.log(values).std() == pytest.approx(spread, rel=0.35)


@pytest.mark.parametrize("pair", [("relu", 2.0), ("tanh", 1.0)])
def test_uniform_weights_of_the_same_variance_do_the_same(pair):
    (uniform,) = depth.through_depth([pair], 20, 128, range(20), "uniform").values()
    theory = depth.mean_field(*pair, 20, 128)
    a, delta = medians(uniform)
    off = np.log(a[-1] / theory.typical.activations[-1])
    assert abs(off) < error(theory.activation_spread[-1])
    off = np.log(delta[0] / theory.typical.gradients[0])
    assert abs(off) < error(theory.gradient_spread[0])


@pytest.mark.parametrize("unit", ["tanh", "gelu"])
def test_residual_layers_are_autograds(unit):
    rng = np.random.default_rng(0)
    matrices, (x, top) = rng.normal(size=(3, 5, 5)), rng.normal(size=(2, 5, 4))
    module = activations.get(unit).module()
    values = [torch.tensor(x)]
    for matrix in matrices:
        step = torch.tensor(matrix) @ module(values[-1])
        values.append((values[-1] + 0.3 * 0.5 * step).requires_grad_())
        values[-1].retain_grad()
    values[-1].backward(torch.tensor(top))
    a, delta = depth.forward_backward(unit, matrices, 0.5, x, top, 0.3)
    for ours, theirs in zip(a + delta, values + [v.grad for v in values[1:]], strict=True):
        assert np.allclose(ours, theirs.detach().numpy())


@pytest.mark.parametrize("unit", ["relu", "tanh"])
@pytest.mark.parametrize("branch", [1.0, 30**-0.5])
def test_residual_layers_lie_where_theory_has_them(unit, branch):
    (signal,) = depth.through_depth([(unit, 2.0, branch)], 30, 256, range(8)).values()
    theory = depth.residual_field(unit, 2.0, 30, branch)
    a, delta = medians(signal)
    assert np.abs(np.log(a[-1] / theory.activations[-1])) < 0.6
    assert np.abs(np.log(delta[0] / theory.gradients[0])) < 0.9
    if branch < 1:
        assert 1 < a[-1] < 4 and 1 < delta[0] < 5  # e at most, in theory
    elif unit == "relu":
        assert theory.activations[-1] == pytest.approx(2.0**30)
        assert theory.gradients[0] == pytest.approx(2.0**29)


def test_the_gain_of_a_unit_keeps_its_second_moment():
    assert depth.gain_of(activations.relu) == pytest.approx(2)
    assert depth.gain_of(lambda z: 3 * z) == pytest.approx(1 / 9)
    t = np.random.default_rng(0).normal(size=1_000_000)
    for name in ("tanh", "swish", "gelu"):
        sigma = activations.get(name).value
        assert depth.gain_of(sigma) * np.mean(sigma(t) ** 2) == pytest.approx(1, rel=0.01)


@pytest.mark.parametrize("start", [-0.5, 0.0, 0.3, 0.9, 1.0])
def test_cosines_of_relu_have_a_closed_form(start):
    angle, found = np.arccos(start), depth.cosines("relu", 2.0, 3, start)
    expected = (np.sin(angle) + (np.pi - angle) * np.cos(angle)) / np.pi
    assert found[:2] == pytest.approx([start, expected], abs=2e-3)
    assert found == pytest.approx(depth.cosines("relu", 0.5, 3, start), abs=1e-9)


def test_inputs_become_one_with_relu_and_part_in_chaos():
    assert 0.98 < depth.cosines("relu", 2.0, 50, 0.3)[-1] < 0.99
    assert depth.cosines("tanh", 1.0, 50, 0.5)[-1] == pytest.approx(0.46, abs=0.03)
    distance = 1 - depth.cosines("tanh", 2.0, 40, 1 - 1e-6)
    assert distance[-1] / distance[-2] == pytest.approx(1.1055, abs=2e-4)  # χ, as for δ²
    measured = []
    for rng in map(np.random.default_rng, range(8)):
        one, other = rng.normal(size=(2, 256))
        inputs = np.stack([one, 0.8 * one + 0.6 * other], axis=1)
        matrices = depth.unit_matrices(10, 256, rng)
        signals, _ = depth.forward_backward("relu", matrices, (2 / 256) ** 0.5, inputs, inputs)
        norms = np.linalg.norm(signals[-1], axis=0)
        measured.append(signals[-1][:, 0] @ signals[-1][:, 1] / norms.prod())
    assert np.median(measured) == pytest.approx(depth.cosines("relu", 2.0, 10, 0.8)[-1], abs=0.03)


@pytest.mark.parametrize("unit", activations.UNITS)
def test_forward_and_backward_are_autograds(unit):
    rng = np.random.default_rng(0)
    network = mlp([5, 5, 5, 5], unit, bias=False).double()
    for module in network:
        if hasattr(module, "beta"):
            module.beta.data.fill_(1.0)
    initialization.initialize(network, "kaiming_normal", rng)
    x, top = rng.normal(size=(2, 5, 3))
    matrices = [2 * p.detach().numpy() for p in network.parameters() if p.ndim == 2]
    values, zs = [torch.tensor(x.T)], []
    for layer in (0, 2, 4):
        zs.append(network[layer](values[-1]))
        zs[-1].retain_grad()
        values.append(network[1](zs[-1]))
    values[-1].backward(torch.tensor(top.T))
    a, delta = depth.forward_backward(unit, matrices, 0.5, x, top)
    for ours, theirs in zip(a + delta, values + [z.grad for z in zs], strict=True):
        assert np.allclose(ours, theirs.detach().numpy().T, atol=1e-6)


@pytest.mark.parametrize("unit", activations.ACTIVATIONS)
@pytest.mark.parametrize("slope", [False, True])
def test_gaussian_moments_are_those_of_a_large_sample(unit, slope):
    z = np.random.default_rng(0).normal(0, 1.3**0.5, 400_000)
    known = activations.get(unit)
    values = (known.derivative if slope else known.value)(z) ** 2
    expected = depth.gaussian_moment(unit, 1.3, slope=slope)
    assert values.mean() == pytest.approx(expected, abs=5 * values.std() / z.size**0.5 + 1e-9)


def test_theory_is_exact_for_relu_and_wide_layers_have_no_spread():
    field = depth.mean_field("relu", 1.0, 50)
    assert field.activations == pytest.approx(0.5 ** np.arange(51), rel=1e-2)
    assert field.gradients == pytest.approx(0.5 ** np.arange(49, -1, -1), rel=1e-9)
    assert not field.activation_spread.any() and not field.gradient_spread.any()
    assert not depth.mean_field("relu", 0.0, 3).activations[1:].any()


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: depth.mean_field("relu", -1, 5), "gain is -1"),
        (lambda: depth.through_depth([("relu", float("nan"))], 5, 5, [0]), "gain is nan"),
        (lambda: depth.mean_field("relu", 1, 0), "depth is 0"),
        (lambda: depth.through_depth([("relu", 1.0)], 5, 0, [0]), "width 0"),
        (lambda: depth.mean_field("rleu", 1, 5), "activation 'rleu' unknown"),
        (lambda: depth.through_depth([("relu", 1.0)], 2, 2, [0], "cauchy"), "'cauchy' unknown"),
    ],
)
def test_bad_arguments_are_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()
