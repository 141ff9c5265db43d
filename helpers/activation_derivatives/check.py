"""The exercises of notebook 02; `helpers.activations` differs in form from what it derives."""

import re
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from numpy.random import Generator
from numpy.typing import NDArray
from torch.nn import functional as F

from helpers import activations, drawn
from helpers.differences import describe
from helpers.judge import Checklist, Given, Kind, Task, each

checklist = Checklist("2 · Activation functions")
progress = checklist.progress

Unit = Callable[..., NDArray]
s, softplus = activations.sigmoid, activations.softplus


def _quotient(up: float, down: float, divisor: Callable[[float], float]) -> Unit:
    return lambda f, z, h=1e-5: (f(z + up * h) - f(z + down * h)) / divisor(h)


def _function(f: Callable, name: str, size: tuple, h: tuple, rng: Generator) -> Given:
    z = np.array(rng.uniform(0.5, 2, size) * rng.choice([-1, 1], size))
    step = f"h = {h[0]:g}" if h else "the default h"
    return Given((f, z, *h), said=f"f(z) = {name}, z = {describe(z)} and {step}")


CENTRAL = _quotient(1, -1, lambda h: 2 * h)
NOT_CENTRAL: dict[str, Callable] = {
    "This is the one-sided quotient (f(z+h) - f(z)) / h.": _quotient(1, 0, lambda h: h),
    "This is the one-sided quotient (f(z) - f(z-h)) / h.": _quotient(0, -1, lambda h: h),
    "The points z+h and z-h are 2h apart, so divide by 2h, not h.": _quotient(1, -1, lambda h: h),
    "a / 2 * h means (a/2)·h; write a / (2 * h).": _quotient(1, -1, lambda h: 2 / h),
    "The difference still has to be divided by 2h.": _quotient(1, -1, lambda h: 1),
    "These points are h apart; with step h they are z ± h.": _quotient(0.5, -0.5, lambda h: h),
    "Use the step h that is given, not one of your own.": lambda f, z, h=1e-5: CENTRAL(f, z),
}
central_difference = checklist.exercise(
    "2.1 Central difference",
    CENTRAL,
    {
        "wide step": partial(_function, lambda z: 300 * z**3, "300z³", (3,), (0.1,)),
        "another step": partial(_function, np.exp, "exp(z)", (4,), (0.5,)),
        "two axes": partial(_function, np.sin, "sin(z)", (2, 3), (0.02,)),
        "one number": partial(_function, lambda z: z**3, "z³", (), (0.25,)),
        "default step": partial(_function, np.sin, "sin(z)", (5,), ()),
    },
    NOT_CENTRAL,
    near=(1e-9, 2e-10),
    hint="It is (f(z+h) - f(z-h)) / (2h): an estimate, not the derivative itself.",
)


def _signs(rng: Generator, size: float, count: int = 6) -> NDArray:
    """Return numbers of either sign in turn, from a quarter of `size` to `size`."""
    return rng.uniform(size / 4, size, count) * rng.permutation(np.resize([1, -1], count))


ARRAYS: dict[str, Callable[[Generator], NDArray]] = {
    "both signs": lambda rng: _signs(rng, 5),
    "two axes": lambda rng: rng.uniform(-4, 4, (3, 2)),
    "zero": lambda rng: np.array([0.0, *_signs(rng, 1e-8, 2)]),
    "far out": lambda rng: _signs(rng, 24, 12),
    "one number": lambda rng: np.array(rng.uniform(0.5, 3)),
    "positive": lambda rng: rng.uniform(0.5, 5, 4),
    "negative": lambda rng: -rng.uniform(0.5, 5, 4),
    "float32": lambda rng: np.append(_signs(rng, 6, 8), 0).astype(np.float32),
    "float32, three axes": lambda rng: rng.uniform(-9, 9, (2, 1, 3)).astype(np.float32),
    "huge beside small": lambda rng: np.append(_signs(rng, 4000, 4), _signs(rng, 2, 2)),
    "huge in float32": lambda rng: _signs(rng, 400, 4).astype(np.float32),
}


def _given(rng: Generator, array: Callable[[Generator], NDArray], *more: float) -> Given:
    z = array(rng)
    note = f"the second argument {more[0]:g}" if more else ""
    single = " in float32" if z.dtype == np.float32 else ""
    said = f"z = {describe(z)}{single}{' and ' if more else ''}{note}"
    return Given((z, *more), said=said, note=note)


def _unit(
    name: str,
    mistakes: dict,
    *right: Unit,
    more: tuple = (),
    forbidden: tuple = (),
    near: tuple[float, float] = (1e-6, 1e-9),
    single: tuple[float, float] = (1e-4, 2e-6),
) -> Task:
    """Return the task of a function in `activations`; `more` are values of a second argument."""
    rows = [(), *zip(more)]
    return Task(
        right or getattr(activations, name),
        {kind: each(_given, *((array, *row) for row in rows)) for kind, array in ARRAYS.items()},
        mistakes,
        near=near,
        single=single,
        elementwise=True,
        silent=True,
        forbidden=((activations, name), *forbidden),
        name=name,
    )


RELU: dict[str, Unit] = {
    "This is ReLU itself, not its slope.": activations.relu,
    "This is the sign of z: for negative z the slope is 0, not -1.": np.sign,
    "The two sides are swapped.": lambda z: (z < 0) * 1.0,
    "The two sides are swapped; for z > 0 the slope is 1.": lambda z: (z <= 0) * 1.0,
    "For negative z ReLU is flat; this is LeakyReLU's slope.": activations.leaky_relu_derivative,
    "At z = 0 take the slope of one side, 0 or 1, not their mean.": lambda z: (1 + np.sign(z)) / 2,
}
relu = checklist.exercise(
    "2.2 Slope of ReLU",
    _unit("relu_derivative", RELU, activations.relu_derivative, lambda z: np.where(z >= 0, 1.0, 0)),
)

SIGMOID: dict[str, Unit] = {
    "It falls where it should rise: e^z for e^-z, or the branches are swapped.": lambda z: s(-z),
    "This is e^z: the 1 in the denominator 1 + e^-z is missing.": np.exp,
    "This is 1 + e^-z; the sigmoid is 1 divided by that.": lambda z: 1 + np.exp(-z),
    "For negative z the numerator is e^-|z|, not 1.": lambda z: s(np.abs(z)),
    "For z ≥ 0 the numerator is 1, not e^-|z|.": lambda z: s(-np.abs(z)),
}
sigmoid = checklist.exercise(
    "2.4 Stable sigmoid", _unit("sigmoid", SIGMOID, near=(1e-9, 1e-9), single=(1e-6, 1e-6))
)

SIGMOID_SLOPE: dict[str, Unit] = {
    "This is z(1 - z): put the value s(z) in place of z.": lambda z: z * (1 - z),
    "This is the sigmoid itself, not its slope.": s,
    "This is 1 - s, or e^-z/(1 + e^-z); the factor s is missing.": lambda z: s(-z),
    "This is 1 - s², the rule for tanh.": lambda z: 1 - s(z) ** 2,
    "This is s·s; the second factor is 1 - s.": lambda z: s(z) ** 2,
    "The sign is wrong: two minus signs cancel.": lambda z: -s(z) * s(-z),
}
sigmoid_derivative = checklist.exercise(
    "2.5 Slope of the sigmoid", _unit("sigmoid_derivative", SIGMOID_SLOPE)
)

TANH_SLOPE: dict[str, Unit] = {
    "This is 1 - tanh; the square is missing.": lambda z: 1 - np.tanh(z),
    "This is 1 - z²: square the value tanh(z), not z.": lambda z: 1 - z**2,
    "This is 1 - tanh(z²): square the value, not the input.": lambda z: 1 - np.tanh(z**2),
    "This is tanh(1 - tanh), the sigmoid's rule.": lambda z: np.tanh(z) * (1 - np.tanh(z)),
    "This is 1/cosh; the square is missing.": lambda z: 1 / np.cosh(z),
    "This is tanh itself, not its slope.": np.tanh,
    "This is tanh²; it still has to be taken from 1.": lambda z: np.tanh(z) ** 2,
}
tanh = checklist.exercise("2.6 Slope of tanh", _unit("tanh_derivative", TANH_SLOPE))


def _swish(rule: Callable[[Any, float, Any], Any]) -> Unit:
    """Return a try at Swish or its slope: a rule of z, β and t = s(βz)."""
    return lambda z, beta=1.0: rule(z, beta, s(beta * z))


BETAS = (0.5, 2.0, 0.0, -0.7)
SWISH: dict[str, Unit] = {
    "e^{βz} where e^{-βz} is meant.": _swish(lambda z, b, t: z * (1 - t)),
    "β is not used.": lambda z, beta=1.0: z * s(z),
    "this is s(βz); the factor z is missing.": _swish(lambda z, b, t: t),
    "β belongs only inside the sigmoid, not in front of z.": _swish(lambda z, b, t: b * z * t),
    "β belongs inside the sigmoid, not in front of it.": lambda z, beta=1.0: beta * z * s(z),
}
SWISH_SLOPE: dict[str, Unit] = {
    "e^{βz} where e^{-βz} is meant.": _swish(lambda z, b, t: (1 - t) - b * z * t * (1 - t)),
    "the second term is forgotten; the product rule has two.": _swish(lambda z, b, t: t),
    "the factor β of the second term is forgotten.": _swish(lambda z, b, t: t + z * t * (1 - t)),
    "the factor z of the second term is forgotten.": _swish(lambda z, b, t: t + b * t * (1 - t)),
    "the factor 1 - s of the second term is forgotten.": _swish(lambda z, b, t: t + b * z * t),
    "β is not used.": lambda z, beta=1.0: activations.swish_derivative(z),
    "this is swish itself, not its slope.": activations.swish,
}
swish = checklist.exercise(
    "2.7 Swish and its slope",
    _unit("swish", SWISH, more=BETAS, forbidden=((F, "silu"),)),
    _unit("swish_derivative", SWISH_SLOPE, more=BETAS),
)


def _below(left: Callable[[Any, float], Any]) -> Unit:
    """Return a try at LeakyReLU's slope: right for z > 0, elsewhere a rule of z and α."""
    return lambda z, alpha=0.01: np.where(z > 0, 1.0, left(z, alpha))


LEAKY: dict[str, Unit] = {
    "This is LeakyReLU itself, not its slope.": lambda z, alpha=0.01: np.where(z > 0, z, alpha * z),
    "For negative z this is 0, ReLU's slope; LeakyReLU's is α.": _below(lambda z, alpha: 0),
    "For negative z this is αz; the slope of αz is α.": _below(lambda z, alpha: alpha * z),
    "The two sides are swapped.": lambda z, alpha=0.01: np.where(z > 0, alpha, 1.0),
    "The two sides are swapped; for z > 0 the slope is 1.": (
        lambda z, alpha=0.01: np.where(z >= 0, alpha, 1.0)
    ),
    "Use the argument alpha, not 0.01.": _below(lambda z, alpha: 0.01),
}
RIGHT_AT_ZERO = _below(lambda z, alpha: alpha), lambda z, alpha=0.01: np.where(z >= 0, 1.0, alpha)
leaky_relu = checklist.exercise(
    "2.8 Slope of LeakyReLU",
    _unit("leaky_relu_derivative", LEAKY, *RIGHT_AT_ZERO, more=(0.213, 0.0, 1.7, -0.4)),
)


def _mish(rule: Callable[[Any, Any], Any]) -> Unit:
    """Return a try at Mish or its slope: a rule of z and t = tanh(softplus(z))."""
    return lambda z: rule(z, np.tanh(softplus(z)))


MISH: dict[str, Unit] = {
    "this is tanh(ln(1 + e^z)); the factor z is missing.": _mish(lambda z, t: t),
    "this is z·ln(1 + e^z); tanh is missing.": lambda z: z * softplus(z),
    "this is z·tanh(1 + e^z); the logarithm is missing.": lambda z: z * np.tanh(1 + np.exp(z)),
    "this is z·tanh(z); softplus is missing.": lambda z: z * np.tanh(z),
    "this is z·tanh(e^z); np.logaddexp(0, z) is ln(1 + e^z).": lambda z: z * np.tanh(np.exp(z)),
}
MISH_SLOPE: dict[str, Unit] = {
    "1 - tanh(ζ) where 1 - tanh²(ζ) is meant.": _mish(lambda z, t: t + z * (1 - t) * s(z)),
    "only the first term; the product rule has two.": _mish(lambda z, t: t),
    "the inner slope s(z) is forgotten (chain rule).": _mish(lambda z, t: t + z * (1 - t**2)),
    "the factor z of the second term is forgotten.": _mish(lambda z, t: t + (1 - t**2) * s(z)),
    "tanh²(z) where tanh²(ζ) is meant.": _mish(lambda z, t: t + z * (1 - np.tanh(z) ** 2) * s(z)),
    "the first term tanh(ζ) is forgotten.": _mish(lambda z, t: z * (1 - t**2) * s(z)),
    "this is mish itself, not its slope.": activations.mish,
}
mish = checklist.exercise(
    "2.9 Mish and its slope",
    _unit("mish", MISH, forbidden=((F, "mish"),)),
    _unit("mish_derivative", MISH_SLOPE, forbidden=((F, "mish"),)),
)


SLOPE_LIKE = re.compile(r"'(?!s\b)|′|prime|deriv|slope|gradient|\\frac|d\w*/d", re.I)


def _curves(f: Callable[[NDArray], NDArray], df: Callable[[NDArray], NDArray], name: str) -> Kind:
    def kind(rng: Generator) -> Given:
        z = np.sort(rng.uniform(-2, 2, int(rng.integers(30, 60))))
        return Given((z, f(z), df(z), name), said=f"the unit {name!r}")

    return kind


def _look_at_plot(ax: Axes, given: Given) -> None:
    z, value, slope, name = given.args
    found = {}
    for which, y in (("f(z)", value), ("f'(z)", slope)):
        seen = drawn.through(ax, np.stack([z, y], axis=1))
        turned = not seen and drawn.through(ax, np.stack([y, z], axis=1))
        drawn.demand(
            (not turned, "z belongs on the horizontal axis: ax.plot(z, value)"),
            (seen, f"no visible line shows {which} against z for {given}"),
        )
        found[which] = seen[0]
    one, other = found.values()
    unnamed = " and ".join(which for which, curve in found.items() if not curve.label)
    how = "give label=, and call ax.legend()"
    exchanged = SLOPE_LIKE.search(one.label) and not SLOPE_LIKE.search(other.label)
    drawn.demand(
        (not unnamed, f"a reader is not told which line is {unnamed}: {how}"),
        (one.label != other.label, f"both lines are called {one.label!r}"),
        (not exchanged, f"the labels are exchanged: f(z) is called {one.label!r}"),
        (ax.get_xlabel().strip(), "the horizontal axis has no label; ax.set_xlabel sets it"),
        (one.look != other.look, "both lines have the same line style and marker; give one '--'"),
        (name in drawn.title(ax), f"the title does not say which unit: expected {name!r} in it"),
    )


plot_unit = checklist.exercise(
    "2.10 Plot of a unit and its slope",
    lambda *args: args[0],
    {
        "a wave": _curves(np.sin, np.cos, "sine"),
        "a bell": _curves(lambda z: np.exp(-z * z), lambda z: -2 * z * np.exp(-z * z), "bell"),
        "large values": _curves(lambda z: 40 * z**3, lambda z: 120 * z**2, "cube"),
    },
    observe=drawn.on_new_axes,
    verify=_look_at_plot,
)


def _from_last(slopes: NDArray) -> NDArray:
    return np.array([np.prod(slopes[layer:]) for layer in range(len(slopes))])


NOT_FACTORS: dict[str, Unit] = {
    "This multiplies from the first layer on; a gradient comes from the last.": np.cumprod,
    "It is turned round: entry 0 belongs to layer 1.": lambda x: np.cumprod(x[::-1]),
    "This turns the order at the end, but not before multiplying.": lambda x: np.cumprod(x)[::-1],
    "This adds up; slopes multiply.": lambda x: np.cumsum(x[::-1])[::-1],
    "Each product lacks the layer's own slope.": lambda x: np.append(_from_last(x)[1:], 1.0),
    "This is one product for the whole network; return one number a layer.": np.prod,
}
gradient_factors = checklist.exercise(
    "2.11 What each layer receives",
    _from_last,
    {
        "a few layers": lambda rng: [(rng.uniform(0.1, 2, n),) for n in (4, 3, 1)],
        "many layers": lambda rng: [(rng.uniform(0.05, 0.5, n),) for n in (30, 70)],
        "a dead layer": lambda rng: (rng.permutation([0.0, *rng.uniform(0.2, 1, 4)]),),
        "a slope below 0": lambda rng: (rng.permutation([-0.1, *rng.uniform(0.2, 1, 4)]),),
    },
    NOT_FACTORS,
    near=(1e-7, 0),
    hint="The last entry is the last slope alone, the first the product of them all.",
)
