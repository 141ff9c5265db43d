"""Gradient bounds, singular values and layer normalisation, and notebook 05's claims on them."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose

from helpers import activations
from helpers.gradient_bounds import bounds, normalization, spectra
from helpers.initialization import METHODS, draw_layers, normal, orthogonal


def network(rng, widths, unit, method="kaiming_normal", gain=1.0, bias=1.0):
    weights = [gain * W for W in draw_layers(widths, method, rng)]
    biases = [bias * rng.normal(size=n) for n in widths[1:]]
    passed = bounds.forward(weights, rng.normal(size=widths[0]), unit, biases)
    return weights, passed, rng.normal(size=widths[-1]), biases


def autograd(weights, x, unit, biases, g):
    tensors = [torch.tensor(W, requires_grad=True) for W in weights]
    module = torch.nn.SiLU() if unit == "swish" else activations.get(unit).module()
    h = torch.tensor(x)
    for k, W in enumerate(tensors):
        h = W @ h + torch.tensor(biases[k])
        h = module(h) if k < len(tensors) - 1 else h
    (torch.tensor(g) @ h).backward()
    return h.detach().numpy(), [W.grad.numpy() for W in tensors]


@pytest.mark.parametrize("unit", activations.ACTIVATIONS)
def test_the_backward_pass_is_autograds(unit):
    weights, passed, g, biases = network(np.random.default_rng(1), (4, 7, 5, 6, 2), unit)
    output, gradients = autograd(weights, passed.inputs[0], unit, biases, g)
    assert_allclose(passed.output, output, rtol=1e-12)
    for z, a in zip(passed.pre_activations, passed.inputs[1:], strict=True):
        assert_allclose(activations.get(unit).value(z), a, rtol=1e-12)
    deltas = bounds.backward(weights, passed.slopes, g)
    for delta, a, gradient in zip(deltas, passed.inputs, gradients, strict=True):
        assert_allclose(np.outer(delta, a), gradient, rtol=1e-9, atol=1e-12)
    norms = [np.linalg.norm(G) for G in gradients]
    assert_allclose(bounds.gradient_norms(weights, passed, g), norms, rtol=1e-9)


def test_bounds_hold_on_1000_random_networks():
    rng = np.random.default_rng(0)
    positive = 0
    for i in range(1000):
        widths = rng.integers(1, 25, rng.integers(3, 10))
        widths = np.sort(widths)[::-1] if i % 2 else widths
        unit = rng.choice(list(activations.ACTIVATIONS))
        method = rng.choice([*METHODS.values(), orthogonal])
        *net, _ = network(rng, widths, unit, method, 10 ** rng.uniform(-0.7, 0.7))
        true = bounds.gradient_norms(*net)
        for joint in (False, True):
            upper = bounds.upper_bounds(*net, joint=joint)
            lower = bounds.lower_bounds(*net, joint=joint)
            assert (true <= upper * (1 + 1e-9)).all()
            assert (lower <= true * (1 + 1e-9) + 1e-150).all()  # its square would underflow
            assert_allclose(true[-1], upper[-1], rtol=1e-9)
        assert (upper <= bounds.upper_bounds(*net) * (1 + 1e-9)).all()  # the joint one is tighter
        positive += bounds.lower_bounds(*net)[0] > 0
    assert positive > 250  # the lower bound says something on many of them


@settings(max_examples=60)
@given(st.integers(0, 10_000), st.integers(1, 6), st.integers(1, 6))
def test_no_vector_is_stretched_beyond_the_two_stretches(seed, rows, columns):
    rng = np.random.default_rng(seed)
    A, v = rng.normal(size=(rows, columns)), rng.normal(size=(columns, 200))
    stretch = np.linalg.norm(A @ v, axis=0) / np.linalg.norm(v, axis=0)
    assert stretch.max() <= bounds.largest_stretch(A) * (1 + 1e-12)
    assert stretch.min() >= bounds.smallest_stretch(A) * (1 - 1e-12)


def test_a_wide_matrix_has_a_smallest_stretch_of_zero():
    wide = np.array([[2.0, 0.0, 1.0], [0.0, 3.0, 1.0]])
    assert bounds.smallest_stretch(wide) == 0
    assert bounds.smallest_stretch(wide.T) == pytest.approx(np.linalg.svd(wide)[1][1])
    assert bounds.smallest_stretch(np.ones((3, 2))) == 0  # rank 1, up to rounding


def test_the_lower_bound_is_zero_where_it_must_be():
    rng = np.random.default_rng(3)
    widening = network(rng, (4, 3, 5, 5), "softplus")[:3]
    lower = bounds.lower_bounds(*widening)
    assert lower[0] == 0 and lower[1] > 0
    weights, passed, g, _ = network(rng, (6, 40, 12, 4), "relu")
    assert bounds.lower_bounds(weights, passed, g)[0] == 0  # dead units
    assert bounds.lower_bounds(weights, passed, g, joint=True)[0] > 0  # the live rows suffice


def test_looseness_adds_up_to_the_gap():
    for unit in ("relu", "tanh", "swish"):
        *net, _ = network(np.random.default_rng(4), [20] * 8, unit)
        at_weights, at_slopes = bounds.looseness(*net)
        gap = np.log10(bounds.upper_bounds(*net)[0] / bounds.gradient_norms(*net)[0])
        assert at_weights.sum() + at_slopes.sum() == pytest.approx(gap)
        assert min(at_weights.min(), at_slopes.min()) > -1e-12
        assert len(at_weights) == len(at_slopes) == 6


def test_relu_layers_lose_a_factor_2_at_w_and_1_4_at_d():
    """Claim of notebook 05: 64 wide, He's weights, twelve layers; about 10⁵ together."""
    parts = []
    for seed in range(5):
        *net, _ = network(np.random.default_rng(seed), [64] * 13, "relu", bias=0.0)
        parts.append([np.mean(part) for part in bounds.looseness(*net)])
    at_weights, at_slopes = 10 ** np.mean(parts, axis=0)
    assert 1.85 < at_weights < 2.1
    assert 1.3 < at_slopes < 1.5


def factor_per_layer(unit, bias=0.0, gain=1.0):
    factors = []
    for seed in range(3):
        rng = np.random.default_rng(seed)
        weights = [gain * W for W in draw_layers([64] * 13, "xavier_normal", rng)]
        biases = [bias * rng.choice([-1, 1], 64) for _ in weights]
        passed = bounds.forward(weights, rng.normal(size=64), unit, biases)
        deltas = bounds.backward(weights, passed.slopes, rng.normal(size=64))
        sizes = np.linalg.norm(deltas, axis=1)
        factors.append((sizes[0] / sizes[-1]) ** (1 / 11))
    return np.median(factors), np.abs(passed.pre_activations)


def test_saturated_sigmoids_and_tanhs_vanish_and_relus_do_not():
    for unit, most in (("sigmoid", 1e-3), ("tanh", 1e-5)):
        factor, sizes = factor_per_layer(unit, bias=10.0)
        assert factor < most and sizes.min() > 5
    for unit in ("relu", "softplus"):
        assert factor_per_layer(unit, bias=10.0)[0] > 0.5
    assert 0.2 < factor_per_layer("sigmoid")[0] < 0.28
    assert 0.8 < factor_per_layer("tanh")[0] < 1.1


def test_large_weights_saturate_tanh_and_yet_its_gradient_grows():
    factor, sizes = factor_per_layer("tanh", gain=10.0)
    assert np.mean(sizes > 5) > 0.5 and factor > 1.5


def test_bounds_meet_for_orthogonal_weights_without_units():
    *net, _ = network(np.random.default_rng(5), [16] * 31, "identity", orthogonal)
    true = bounds.gradient_norms(*net)
    assert_allclose(bounds.upper_bounds(*net), true, rtol=1e-12)
    assert_allclose(bounds.lower_bounds(*net), true, rtol=1e-12)


@pytest.mark.parametrize("shape", [(784, 200), (256, 256), (64, 1024), (200, 64)])
def test_marchenko_pasturs_edges_are_met_within_three_percent(shape):
    fan_in, fan_out = shape
    low, high = spectra.edges(fan_in, fan_out, 1 / fan_in)
    values = np.linalg.svdvals(normal(fan_in, fan_out, fan_in**-0.5, np.random.default_rng(7)))
    assert abs(values[0] - high) < 0.03 * high
    assert abs(values[-1] - low) < 0.03 * high
    s = np.linspace(low, high, 20_001)
    density = spectra.density(s, fan_in, fan_out, 1 / fan_in)
    assert np.trapezoid(density, s) == pytest.approx(1, abs=1e-3)
    counted, _ = np.histogram(values, 8, (low, high))
    cells = density[:-1].reshape(8, -1).mean(1) * (high - low) / 8
    assert np.abs(counted / len(values) - cells).max() < 0.06
    assert (spectra.density([low * 0.9 - 0.1, high * 1.1], fan_in, fan_out, 1 / fan_in) == 0).all()


def test_arguments_that_make_no_sense_are_named():
    with pytest.raises(ValueError, match="0, 3, 1.0"):
        spectra.edges(0, 3, 1.0)
    with pytest.raises(ValueError, match="positive variance"):
        spectra.edges(2, 3, -1.0)
    with pytest.raises(ValueError, match="activation 'rleu' unknown"):
        bounds.forward([np.eye(2)], np.ones(2), "rleu")


@settings(max_examples=50)
@given(st.integers(0, 10_000), st.integers(2, 40), st.floats(1e-6, 1e6))
def test_layer_norm_is_pytorchs_with_eps_zero(seed, width, scale):
    rng = np.random.default_rng(seed)
    z, v, u = scale * rng.normal(size=(3, width)), rng.normal(size=width), rng.normal(size=width)
    expected = torch.layer_norm(torch.tensor(z), (width,), torch.tensor(v), torch.tensor(u), 0.0)
    assert_allclose(normalization.layer_norm(z, v, u), expected, rtol=1e-7, atol=1e-7)
    assert_allclose(normalization.layer_norm(z[0], v, u), expected[0], rtol=1e-7, atol=1e-7)


def test_layer_norms_derivative_is_autograds_and_loses_two_directions():
    z = np.random.default_rng(3).normal(1, 4, 12)
    J = normalization.layer_norm_jacobian(z)
    module = torch.nn.LayerNorm(12, eps=0.0, elementwise_affine=False)
    expected = torch.autograd.functional.jacobian(module, torch.tensor(z)).numpy()
    assert_allclose(J, expected, atol=1e-12)
    s = np.linalg.svdvals(J)
    assert_allclose(s[:10], 1 / z.std(), rtol=1e-10)
    assert s[10:].max() < 1e-12


@pytest.mark.parametrize("normalised", [False, True])
def test_hidden_derivatives_are_autograds(normalised):
    rng = np.random.default_rng(4)
    weights, x = draw_layers((6, 8, 7), "xavier_normal", rng), rng.normal(size=6)

    def run(a):
        for W in weights:
            z = torch.tensor(W) @ a
            a = torch.tanh(torch.nn.functional.layer_norm(z, z.shape, eps=0) if normalised else z)
        return a

    first, second = normalization.hidden_jacobians(weights, x, "tanh", normalised)
    expected = torch.autograd.functional.jacobian(run, torch.tensor(x)).numpy()
    assert_allclose(second @ first, expected, atol=1e-12)


def test_with_layer_norm_the_weights_scale_drops_out_of_the_derivative():
    rng = np.random.default_rng(5)
    weights, x = draw_layers([32] * 11, "kaiming_normal", rng), rng.normal(size=32)
    sizes = {}
    for scale in (0.1, 1.0, 10.0):
        scaled = [scale * W for W in weights]
        for normalised in (False, True):
            layers = normalization.hidden_jacobians(scaled, x, "relu", normalised)
            sizes[scale, normalised] = np.linalg.norm(np.linalg.multi_dot(layers[::-1]), 2)
    assert sizes[0.1, True] == pytest.approx(sizes[1.0, True], rel=1e-9)
    assert sizes[10.0, True] == pytest.approx(sizes[1.0, True], rel=1e-9)
    assert sizes[10.0, False] == pytest.approx(1e10 * sizes[1.0, False], rel=1e-6)
