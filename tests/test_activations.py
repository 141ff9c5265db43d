"""The activation units, held against exact arithmetic, autograd and difference quotients."""

import dataclasses
from decimal import Decimal, localcontext

import numpy as np
import pytest
import torch
from matplotlib.colors import to_rgb

from helpers import activations
from helpers.activations import ACTIVATIONS, UNITS
from helpers.plotting import contrast_on_white, text_color

ALL = list(ACTIVATIONS)
KINKED = {"relu", "leaky_relu"}
SATURATING = {"sigmoid", "tanh"}
POINTS = (-1000.0, -40.0, -8.5, -2.0, -0.75, -1e-3, 1e-3, 0.5, 1.0, 3.25, 17.0, 40.0, 1000.0)


def normal_law(z):
    """Distribution function and density of N(0, 1), by a series of terms of one sign."""
    if abs(z) >= 40:
        return Decimal(int(z > 0)), Decimal(0)  # to within 1e-340
    pi = Decimal("3.14159265358979323846264338327950288419716939937510582097494459")
    density, term, total, k = (-z * z / 2).exp() / (2 * pi).sqrt(), z, z, 1
    while abs(term) > abs(total) * Decimal(10) ** -59:
        k += 2
        term *= z * z / k
        total += term
    return Decimal("0.5") + density * total, density


def exact(name, z, beta=1):
    """Value and derivative in 60-digit arithmetic, by the textbook's formulas."""
    with localcontext() as context:
        context.prec, context.Emin, context.Emax = 60, -(10**6), 10**6
        z, beta, one = Decimal(z), Decimal(beta), Decimal(1)
        e, s = z.exp(), one / (one + (-z).exp())
        if name == "swish":
            s = one / (one + (-beta * z).exp())
            value, slope = z * s, s + beta * z * s * (one - s)
        elif name == "gelu":
            cdf, density = normal_law(z)
            value, slope = z * cdf, cdf + z * density
        elif name == "mish":
            t = ((one + e) ** 2 - 1) / ((one + e) ** 2 + 1)
            value, slope = z * t, t + z * (1 - t * t) * s
        else:
            t = (e - 1 / e) / (e + 1 / e)
            leak = Decimal(activations.LEAKY_SLOPE)
            value, slope = {
                "identity": (z, one),
                "relu": (max(z, Decimal(0)), Decimal(int(z > 0))),
                "leaky_relu": (z if z > 0 else leak * z, one if z > 0 else leak),
                "sigmoid": (s, s * (one - s)),
                "tanh": (t, one - t * t),
                "softplus": ((one + e).ln(), s),
            }[name]
        return float(value), float(slope)


@pytest.mark.parametrize("name", ALL)
def test_value_and_derivative_equal_exact_arithmetic(name):
    unit = ACTIVATIONS[name]
    value, slope = np.array([exact(name, z) for z in POINTS]).T
    np.testing.assert_allclose(unit.value(np.array(POINTS)), value, rtol=1e-13, atol=1e-300)
    np.testing.assert_allclose(unit.derivative(np.array(POINTS)), slope, rtol=1e-12, atol=1e-300)


@pytest.mark.parametrize("beta", [-0.1, 0.0, 0.05, 1.0, 2.5, 10.0])
def test_swish_keeps_to_its_beta(beta):
    z = np.array(POINTS)
    value, slope = np.array([exact("swish", point, beta) for point in POINTS]).T
    np.testing.assert_allclose(activations.swish(z, beta), value, rtol=1e-13, atol=1e-300)
    np.testing.assert_allclose(
        activations.swish_derivative(z, beta), slope, rtol=1e-11, atol=1e-300
    )


@pytest.mark.parametrize("name", ALL)
def test_derivative_is_what_autograd_finds(name):
    unit = ACTIVATIONS[name]
    module = activations.Swish(1.0) if name == "swish" else unit.module()
    z = torch.linspace(-20, 20, 4001, dtype=torch.float64, requires_grad=True)
    (slope,) = torch.autograd.grad(module(z).sum(), z)
    np.testing.assert_allclose(
        unit.derivative(z.detach().numpy()), slope.numpy(), rtol=0, atol=1e-12
    )


@pytest.mark.parametrize("name", ALL)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_module_equals_value(name, dtype):
    unit = ACTIVATIONS[name]
    module = activations.Swish(1.0) if name == "swish" else unit.module()
    z = torch.linspace(-100, 100, 2001, dtype=dtype)
    out = module(z)
    assert out.dtype is dtype
    accuracy = 50 * torch.finfo(dtype).eps
    if name == "softplus":
        accuracy = max(accuracy, 2.1e-9)  # torch returns z itself beyond 20, short by e^-20
    np.testing.assert_allclose(
        out.detach().numpy(), unit.value(z.numpy()), rtol=accuracy, atol=accuracy
    )


@pytest.mark.parametrize("name", ALL)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_stable_silent_and_of_the_same_dtype(name, dtype):
    unit = ACTIVATIONS[name]
    most = np.finfo(dtype).max
    z = np.array([most, -most, -1e4, -1000, -89, -1, -0.0, 0, 1, 89, 1000, 1e4], dtype=dtype)
    before = z.copy()
    with np.errstate(over="raise", invalid="raise", divide="raise"):
        value, slope = unit.value(z), unit.derivative(z)
    assert value.dtype == slope.dtype == dtype
    assert np.isfinite(value).all()
    assert np.isfinite(slope).all()
    assert value[-1] == (1 if name in SATURATING else dtype(1e4))
    assert slope[-1] == (0 if name in SATURATING else 1)
    np.testing.assert_array_equal(z, before)


@pytest.mark.parametrize("name", ALL)
def test_scalars_lists_and_any_shape(name):
    unit = ACTIVATIONS[name]
    for function in (unit.value, unit.derivative):
        rows = function([[-1.0, 0.5], [2.0, 3.0]])
        assert rows.shape == (2, 2)
        assert np.ndim(function(0.5)) == 0
        assert function(0.5) == rows[0, 1]
        assert function(2) == rows[1, 0]  # whole numbers become float64
        assert function(np.array([2])).dtype == np.float64
        assert function(np.zeros((0, 3))).shape == (0, 3)


@pytest.mark.parametrize("name", ["sigmoid_derivative", "tanh_derivative"])
def test_small_slopes_keep_their_digits_in_float32(name):
    z = np.array([12, 20, 30], dtype=np.float32)
    slope = getattr(activations, name)(z)
    expected = [exact(name.removesuffix("_derivative"), float(point))[1] for point in z]
    np.testing.assert_allclose(slope, expected, rtol=1e-5)


def test_slope_at_the_kink_is_that_of_torch():
    for name in KINKED:
        unit = ACTIVATIONS[name]
        z = torch.zeros(1, requires_grad=True)
        (slope,) = torch.autograd.grad(unit.module()(z).sum(), z)
        assert unit.derivative(0.0) == pytest.approx(slope.item())


def test_swish_draws_beta_in_its_range_and_learns_it():
    torch.manual_seed(0)
    betas = torch.stack([activations.Swish().beta.detach() for _ in range(200)])
    assert betas.abs().max() <= activations.BETA_RANGE
    assert betas.min() < -0.08
    assert betas.max() > 0.08
    unit = activations.Swish(0.5)
    z = torch.linspace(-3, 3, 7)
    unit(z).sum().backward()
    s = torch.sigmoid(0.5 * z)
    torch.testing.assert_close(unit.beta.grad, (z**2 * s * (1 - s)).sum())


@pytest.mark.parametrize("name", ALL)
def test_colors_are_seen_on_white_and_text_in_them_is_readable(name):
    color = ACTIVATIONS[name].color
    assert contrast_on_white(color) >= 3
    assert contrast_on_white(text_color(color)) >= 4.5


def test_contrast_is_that_of_the_standard():
    assert contrast_on_white("white") == pytest.approx(1)
    assert contrast_on_white("black") == pytest.approx(21)
    assert contrast_on_white("#767676") == pytest.approx(4.54, abs=0.01)  # WCAG 2's known grey
    assert text_color("#0072B2") == pytest.approx(to_rgb("#0072B2")), "dark enough as it is"


def test_no_two_units_look_alike():
    assert len({unit.color for unit in ACTIVATIONS.values()}) == len(ACTIVATIONS)
    assert len({str(unit.linestyle) for unit in ACTIVATIONS.values()}) == len(ACTIVATIONS)


def test_dictionary_and_get():
    assert set(UNITS) <= set(ACTIVATIONS)
    for name, unit in ACTIVATIONS.items():
        assert activations.get(name) is unit
        assert unit.name == name
        assert repr(unit) == f"Activation({name})"
    with pytest.raises(dataclasses.FrozenInstanceError):
        ACTIVATIONS["relu"].name = "other"


@pytest.mark.parametrize("name", ["rleu", "", "ReLU", None, 3, []])
def test_an_unknown_name_is_told_with_the_known_ones(name):
    with pytest.raises(ValueError, match="choose from relu, sigmoid, leaky_relu") as caught:
        activations.get(name)
    assert repr(name) in str(caught.value)
