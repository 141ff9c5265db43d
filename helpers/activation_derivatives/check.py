"""The exercises of notebook 02: derivatives of activation units, their plots and their products.

References are `helpers.activations`, whose forms differ from those that the notebook derives.
"""

import re
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from numpy.random import Generator
from numpy.typing import NDArray
from torch.nn import functional as F

from helpers import activations, drawn
from helpers.differences import describe, malformed, wrong
from helpers.judge import Checklist, Given, Kind, Task

checklist = Checklist("2 · Activation functions")
progress = checklist.progress

Unit = Callable[..., NDArray]
s, softplus = activations.sigmoid, activations.softplus


# --- kinds of input ------------------------------------------------------------------------------


def _signs(rng: Generator, size: float, count: int = 6) -> NDArray:
    """Return numbers of either sign in turn, from a quarter of `size` to `size`."""
    return rng.uniform(size / 4, size, count) * np.resize([1, -1], count)


# Each makes an array z; the units' other arguments are added below.
ARRAYS: dict[str, Callable[[Generator], NDArray]] = {
    "both signs": lambda rng: _signs(rng, 5),
    "two axes": lambda rng: rng.uniform(-4, 4, (3, 2)),
    "zero": lambda rng: np.array([0.0, *_signs(rng, 1e-8, 2)]),
    "far out": lambda rng: _signs(rng, 40, 8),
    "one number": lambda rng: np.array(rng.uniform(0.5, 3)),
    "float32": lambda rng: np.append(_signs(rng, 6, 8), 0).astype(np.float32),
    "float32, three axes": lambda rng: rng.uniform(-9, 9, (2, 1, 3)).astype(np.float32),
}
HUGE: dict[str, Callable[[Generator], NDArray]] = {
    "huge": lambda rng: _signs(rng, 4000, 4),
    "huge in float32": lambda rng: _signs(rng, 400, 4).astype(np.float32),
}


def _of(arrays: Mapping[str, Callable[[Generator], NDArray]], *more: float) -> dict[str, Kind]:
    """Return kinds of input: each array, with each of the further arguments, or alone."""

    def kind(array: Callable[[Generator], NDArray]) -> Kind:
        def drawn_once(rng: Generator) -> list:
            return [_given(array(rng), *args) for args in [(), *((extra,) for extra in more)]]

        return drawn_once

    return {name: kind(array) for name, array in arrays.items()}


def _given(z: NDArray, *more: float) -> Given:
    note = "".join(f"the second argument {value:g}" for value in more)
    single = " in float32" if z.dtype == np.float32 else ""
    said = f"z = {describe(z)}{single}{' and ' * bool(note)}{note}"
    return Given((z, *more), said=said, note=note)


def _unit(
    reference: Unit | tuple[Unit, ...],
    mistakes: Mapping[str, Unit],
    more: tuple[float, ...] = (),
    forbidden: tuple[tuple[Any, str], ...] = (),
    stable: bool = True,
    name: str = "",
    hint: str = "",
) -> Task:
    """Return the task of a function of z, element by element, and of one more argument."""
    named = {f"{name}: {said}" if name else said: unit for said, unit in mistakes.items()}
    kinds = _of(ARRAYS | HUGE if stable else ARRAYS, *more)
    return Task(
        reference,
        kinds,
        named,
        rtol=1e-6,
        single=(1e-4, 2e-6),
        elementwise=True,
        silent=stable,
        forbidden=forbidden,
        name=name,
        hint=hint,
    )


# --- the exercises -------------------------------------------------------------------------------


def _cube(z: NDArray) -> NDArray:
    return z**3


def _quotient(up: float, down: float, width: float) -> Callable[..., NDArray]:
    """Return (f(z + up h) − f(z + down h)) / (width h)."""
    return lambda f, z, h=1e-5: (f(z + up * h) - f(z + down * h)) / (width * h)


def _function(f: Callable[[NDArray], NDArray], name: str, size: tuple, *h: float) -> Kind:
    def kind(rng: Generator) -> Given:
        z = np.array(rng.uniform(0.5, 2, size) * rng.choice([-1, 1], size))
        step = f"h = {h[0]:g}" if h else "the default h"
        return Given((f, z, *h), said=f"f(z) = {name}, z = {describe(z)} and {step}")

    return kind


central_difference = checklist.exercise(
    "2.1 Central difference",
    Task(
        _quotient(1, -1, 2),
        {
            "wide step": _function(_cube, "z³", (3,), 0.1),
            "another step": _function(np.exp, "exp(z)", (4,), 0.5),
            "two axes": _function(np.sin, "sin(z)", (2, 3), 0.02),
            "one number": _function(_cube, "z³", (), 0.25),
            "default step": _function(np.sin, "sin(z)", (5,)),
        },
        {
            "This is the one-sided quotient (f(z+h) - f(z)) / h.": _quotient(1, 0, 1),
            "This is the one-sided quotient (f(z) - f(z-h)) / h.": _quotient(0, -1, 1),
            "The points z+h and z-h are 2h apart, so divide by 2h and not by h.": (
                _quotient(1, -1, 1)
            ),
            "a / 2 * h means (a/2)·h; write a / (2 * h).": (
                lambda f, z, h=1e-5: (f(z + h) - f(z - h)) / 2 * h
            ),
            "The difference still has to be divided by 2h.": (
                lambda f, z, h=1e-5: f(z + h) - f(z - h)
            ),
            "The sign is turned round: take f(z+h) minus f(z-h).": _quotient(-1, 1, 2),
            "These points are h apart: z + h/2 and z - h/2; with step h they are z ± h.": (
                _quotient(0.5, -0.5, 1)
            ),
            "Use the step h that is given, not one of your own.": (
                lambda f, z, h=1e-5: (f(z + 1e-5) - f(z - 1e-5)) / 2e-5
            ),
        },
        rtol=1e-9,
        atol=2e-10,
        hint="It is (f(z+h) - f(z-h)) / (2h): not the derivative itself, but an estimate with an "
        "error of its own.",
    ),
)

relu = checklist.exercise(
    "2.2 Slope of ReLU",
    _unit(
        (activations.relu_derivative, lambda z: np.where(z >= 0, 1.0, 0.0)),
        {
            "This is ReLU itself, not its slope.": activations.relu,
            "This is the sign of z: for negative z the slope is 0, not -1.": np.sign,
            "The two sides are swapped.": lambda z: (z < 0) * 1.0,
            "For negative z ReLU is flat; this is LeakyReLU's slope.": (
                activations.leaky_relu_derivative
            ),
            "This is 1 for every z; for negative z ReLU is flat.": np.ones_like,
            "This is 0 for every z; for positive z ReLU rises.": np.zeros_like,
            "At the kink, z = 0, the slope is that of either side, 0 or 1, and not their mean.": (
                lambda z: np.heaviside(z, 0.5)
            ),
        },
        forbidden=((activations, "relu_derivative"),),
        hint="The slope is 1 where z > 0 and 0 where z < 0.",
    ),
)

sigmoid = checklist.exercise(
    "2.4 Stable sigmoid",
    _unit(
        s,
        {
            "It falls where it should rise: e^z stands for e^-z, or the branches are swapped.": (
                lambda z: s(-z)
            ),
            "This is e^z: the 1 in the denominator 1 + e^-z is missing.": np.exp,
            "This is 1 + e^-z; the sigmoid is 1 divided by that.": lambda z: 1 + np.exp(-z),
            "This is tanh.": np.tanh,
            "This has |z| in place of z: for negative z the numerator is e^-|z|, not 1.": (
                lambda z: s(np.abs(z))
            ),
            "The numerator is e^-|z| on both sides; for z ≥ 0 it is 1.": lambda z: s(-np.abs(z)),
        },
        forbidden=((activations, "sigmoid"),),
    ),
)

sigmoid_derivative = checklist.exercise(
    "2.5 Slope of the sigmoid",
    _unit(
        activations.sigmoid_derivative,
        {
            "This is z(1 - z): put the value s(z) in place of z.": lambda z: z * (1 - z),
            "This is s(1 + s); the slope is s(1 - s).": lambda z: s(z) * (1 + s(z)),
            "This is the sigmoid itself, not its slope.": s,
            "This is 1 - s, or e^-z/(1 + e^-z): the slope is s(1 - s), e^-z/(1 + e^-z)².": (
                lambda z: s(-z)
            ),
            "This is 1 - s², the rule for tanh.": lambda z: 1 - s(z) ** 2,
            "This is s·s; the second factor is 1 - s.": lambda z: s(z) ** 2,
            "The sign is wrong: the two minus signs cancel.": lambda z: -s(z) * s(-z),
            "This applies the sigmoid twice: put z, not s(z), into it.": (
                lambda z: activations.sigmoid_derivative(s(z))
            ),
        },
        forbidden=((activations, "sigmoid_derivative"),),
    ),
)

tanh = checklist.exercise(
    "2.6 Slope of tanh",
    _unit(
        activations.tanh_derivative,
        {
            "This is 1 - tanh; the square is missing.": lambda z: 1 - np.tanh(z),
            "This is 1 - z²: square the value tanh(z), not z.": lambda z: 1 - z**2,
            "This is 1 - tanh(z²): square the value, not the input.": lambda z: 1 - np.tanh(z**2),
            "This is 1 + tanh²; the sign is wrong.": lambda z: 1 + np.tanh(z) ** 2,
            "This is tanh(1 - tanh), the sigmoid's rule.": lambda z: np.tanh(z) * (1 - np.tanh(z)),
            "This is 1/cosh; the square is missing.": lambda z: 1 / np.cosh(z),
            "This is tanh itself, not its slope.": np.tanh,
            "This is tanh² - 1; the sign is turned round.": lambda z: np.tanh(z) ** 2 - 1,
            "This is tanh²; it still has to be taken from 1.": lambda z: np.tanh(z) ** 2,
        },
        forbidden=((activations, "tanh_derivative"),),
    ),
)


def _product_rule(first: float, second: Callable[[Any, Any], Any]) -> Unit:
    """Return z ↦ `first`·t + second(βz, t) with t = s(βz), a try at Swish's slope."""
    return lambda z, beta=1.0: first * s(beta * z) + second(beta * z, s(beta * z))


BETAS = (0.5, 2.0, 0.0, -0.7)
SWISH: dict[str, Unit] = {
    "e^{βz} where e^{-βz} is meant.": lambda z, beta=1.0: z * s(-beta * z),
    "β is not used.": lambda z, beta=1.0: z * s(z),
    "this is s(βz); the factor z is missing.": lambda z, beta=1.0: s(beta * z),
    "β belongs only inside the sigmoid, not in front of z.": (
        lambda z, beta=1.0: beta * z * s(beta * z)
    ),
    "β belongs inside the sigmoid, not in front of it.": lambda z, beta=1.0: beta * z * s(z),
    "a negative β is a β, too: take it as it is, not its absolute value.": (
        lambda z, beta=1.0: z * s(abs(beta) * z)
    ),
    "β = 0 is a β, too: the unit is z/2 then.": lambda z, beta=1.0: z * s((beta or 1.0) * z),
}
SWISH_SLOPE: dict[str, Unit] = {
    "e^{βz} where e^{-βz} is meant.": lambda z, beta=1.0: activations.swish_derivative(z, -beta),
    "the term βz·s(1 - s) is forgotten; the product rule has two terms.": (
        _product_rule(1, lambda bz, t: 0)
    ),
    "the factor β of the second term is forgotten (chain rule).": (
        lambda z, beta=1.0: s(beta * z) + z * activations.sigmoid_derivative(beta * z)
    ),
    "the factor z of the second term is forgotten.": (
        lambda z, beta=1.0: s(beta * z) + beta * activations.sigmoid_derivative(beta * z)
    ),
    "the first term s(βz) is forgotten; the product rule has two terms.": (
        _product_rule(0, lambda bz, t: bz * t * (1 - t))
    ),
    "the factor 1 - s of the second term is forgotten.": _product_rule(1, lambda bz, t: bz * t),
    "the factor s of the second term is forgotten.": _product_rule(1, lambda bz, t: bz * (1 - t)),
    "the second term is subtracted; it is added.": (
        _product_rule(1, lambda bz, t: -bz * t * (1 - t))
    ),
    "β is not used.": lambda z, beta=1.0: activations.swish_derivative(z),
    "this is swish itself, not its slope.": activations.swish,
    "β = 0 is a β, too: the slope is ½ then.": (
        lambda z, beta=1.0: activations.swish_derivative(z, beta or 1.0)
    ),
}
swish = checklist.exercise(
    "2.7 Swish and its slope",
    _unit(activations.swish, SWISH, BETAS, ((activations, "swish"), (F, "silu")), name="swish"),
    _unit(
        activations.swish_derivative,
        SWISH_SLOPE,
        BETAS,
        ((activations, "swish_derivative"),),
        name="swish_derivative",
    ),
)


def _sides(left: Callable[[Any, float], Any], right: float = 1.0) -> Unit:
    return lambda z, c=0.01: np.where(z > 0, right, left(z, c))


leaky_relu = checklist.exercise(
    "2.8 Slope of LeakyReLU",
    _unit(
        (_sides(lambda z, c: c), lambda z, c=0.01: np.where(z >= 0, 1.0, c)),
        {
            "This is LeakyReLU itself, not its slope.": (
                lambda z, c=0.01: np.where(z > 0, z, c * z)
            ),
            "For negative z this is 0, ReLU's slope; LeakyReLU's is c.": _sides(lambda z, c: 0),
            "For negative z this is c·z; the slope of c·z is c.": _sides(lambda z, c: c * z),
            "For negative z this is -c; the line c·z rises.": _sides(lambda z, c: -c),
            "The two sides are swapped.": lambda z, c=0.01: np.where(z > 0, c, 1.0),
            "Use the argument c, not 0.01.": _sides(lambda z, c: 0.01),
        },
        more=(0.2, 0.0, 1.7),
        forbidden=((activations, "leaky_relu_derivative"),),
        hint="The slope is 1 where z > 0 and c where z < 0.",
    ),
)


def _t(z: NDArray) -> NDArray:
    return np.tanh(softplus(z))


def _second(term: Callable[[Any, Any], Any], first: Unit = _t) -> Unit:
    """Return z ↦ first(z) + term(z, t), a try at Mish's slope."""
    return lambda z: first(z) + term(z, _t(z))


MISH: dict[str, Unit] = {
    "this is tanh(ln(1 + e^z)); the factor z is missing.": _t,
    "this is z·ln(1 + e^z); tanh is missing.": lambda z: z * softplus(z),
    "this is z·tanh(1 + e^z); the logarithm is missing.": lambda z: z * np.tanh(1 + np.exp(z)),
    "this is z·tanh(z); softplus is missing.": lambda z: z * np.tanh(z),
    "this has e^-z where e^z is meant.": lambda z: z * _t(-z),
    "this is z·tanh(e^z); np.logaddexp(0, z) is ln(1 + e^z).": lambda z: z * np.tanh(np.exp(z)),
    "this is Swish, z·s(z).": activations.swish,
}
MISH_SLOPE: dict[str, Unit] = {
    "1 - t where 1 - t² is meant.": _second(lambda z, t: z * (1 - t) * s(z)),
    "only the first term; the product rule has two.": _t,
    "the inner slope s(z) is forgotten (chain rule).": _second(lambda z, t: z * (1 - t**2)),
    "the factor z of the second term is forgotten.": _second(lambda z, t: (1 - t**2) * s(z)),
    "the first term tanh(ζ) is forgotten.": (
        _second(lambda z, t: z * (1 - t**2) * s(z), np.zeros_like)
    ),
    "softplus has the slope s(z), not s(1 - s).": (
        _second(lambda z, t: z * (1 - t**2) * activations.sigmoid_derivative(z))
    ),
    "1 - tanh²(z) where 1 - tanh²(ζ) is meant, ζ = softplus.": (
        _second(lambda z, t: z * (1 - np.tanh(z) ** 2) * s(z))
    ),
    "this is mish itself, not its slope.": activations.mish,
}
mish = checklist.exercise(
    "2.9 Mish and its slope",
    _unit(
        activations.mish,
        MISH,
        forbidden=((activations, "mish"), (F, "mish")),
        name="mish",
    ),
    _unit(
        activations.mish_derivative,
        MISH_SLOPE,
        forbidden=((activations, "mish_derivative"), (F, "mish")),
        name="mish_derivative",
    ),
)


# --- 2.10, by what a reader sees -----------------------------------------------------------------

SLOPE_LIKE = re.compile(r"'|′|prime|deriv|slope|gradient|\\frac|d\w*/d", re.I)


def _curves(f: Callable[[NDArray], NDArray], df: Callable[[NDArray], NDArray], name: str) -> Kind:
    def kind(rng: Generator) -> Given:
        z = np.sort(rng.uniform(-2, 2, int(rng.integers(30, 60))))
        return Given((z, f(z), df(z), name), said=f"the unit {name!r}")

    return kind


def _look_at_plot(observation: tuple[Axes, Any], given: Given) -> None:
    ax, returned = observation
    z, value, slope, name = given.args
    lines = [drawn.through(ax, np.stack([z, y], axis=1)) for y in (value, slope)]
    one, other = ((found or [None])[0] for found in lines)
    found = {"f(z)": one, "f'(z)": other}
    if not ax.lines and not ax.collections:
        wrong("nothing is drawn on the axes given; use ax.plot, not plt.plot or a new figure")
    if not any(found.values()) and drawn.through(ax, np.stack([value, z], axis=1)):
        wrong("z belongs on the horizontal axis: ax.plot(z, value)")
    for which, curve in found.items():
        if curve is None:
            wrong(f"no visible line shows {which} against z for {given}")
    assert one is not None and other is not None
    if returned is not ax:
        malformed(f"expected the axes given, received {describe(returned)}; end with `return ax`")
    if not one.label or not other.label:
        missing = " and ".join(w for w, c in (("f(z)", one), ("f'(z)", other)) if not c.label)
        wrong(f"a reader is not told which line is {missing}: give label=, and call ax.legend()")
    if one.label == other.label:
        wrong(f"both lines are called {one.label!r}")
    if SLOPE_LIKE.search(one.label) and not SLOPE_LIKE.search(other.label):
        wrong(f"the labels are exchanged: f(z) is called {one.label!r}")
    if not ax.get_xlabel().strip():
        wrong("the horizontal axis has no label; ax.set_xlabel says what it shows")
    if one.look == other.look:
        wrong("both lines have the same style; without colour they look alike. Try linestyle='--'")
    if name not in drawn.title(ax):
        wrong(f"the title does not say which unit this is: expected {name!r} in it")


plot_unit = checklist.exercise(
    "2.10 Plot of a unit and its slope",
    Task(
        lambda *args: args[0],
        {
            "a wave": _curves(np.sin, np.cos, "sine"),
            "a bell": _curves(lambda z: np.exp(-z * z), lambda z: -2 * z * np.exp(-z * z), "bell"),
            "large values": _curves(lambda z: 40 * z**3, lambda z: 120 * z**2, "cube"),
        },
        observe=drawn.on_new_axes,
        verify=_look_at_plot,
    ),
)


# --- 2.11 ----------------------------------------------------------------------------------------


def _from_last(slopes: NDArray) -> NDArray:
    return np.array([np.prod(slopes[layer:]) for layer in range(len(slopes))])


def _slopes(low: float, high: float, *counts: int) -> Kind:
    return lambda rng: [(rng.uniform(low, high, count),) for count in counts]


gradient_factors = checklist.exercise(
    "2.11 What each layer receives",
    Task(
        _from_last,
        {
            "a few layers": _slopes(0.1, 2, 4, 3),
            "one layer": _slopes(0.2, 0.9, 1),
            "thirty layers": _slopes(0.05, 0.5, 30),
            "a dead layer": lambda rng: (rng.permutation([0.0, *rng.uniform(0.2, 1, 4)]),),
            "a slope below 0": lambda rng: (rng.permutation([-0.1, *rng.uniform(0.2, 1, 4)]),),
        },
        {
            "This multiplies from the first layer on; a gradient comes from the last.": np.cumprod,
            "This is in the wrong order: entry 0 belongs to layer 1, next to the input.": (
                lambda x: np.cumprod(x[::-1])
            ),
            "This turns the order round at the end, but not before multiplying.": (
                lambda x: np.cumprod(x)[::-1]
            ),
            "This adds up; slopes multiply.": lambda x: np.cumsum(x[::-1])[::-1],
            "The layer's own slope is missing from its product.": (
                lambda x: np.append(_from_last(x)[1:], 1.0)
            ),
            "This is one product for the whole network; return one number a layer.": np.prod,
            "These are logarithms of the products.": lambda x: np.log(_from_last(x)),
        },
        rtol=1e-7,
        atol=0,
        hint="The last entry is the last slope alone, the first the product of them all.",
    ),
)
