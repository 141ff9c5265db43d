"""The checks of notebook 02: derivatives of activation units, their plots and their products.

References are `helpers.activations`, whose forms differ from those that the notebook derives.
"""

import contextlib
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from numpy.typing import NDArray

from helpers import activations
from helpers.old_judge import (
    Checklist,
    Finding,
    as_array,
    call,
    describe,
    expect_close,
    expect_elementwise,
    expect_shape,
    malformed,
    wrong,
)

checklist = Checklist("2 · Activation functions")
progress = checklist.progress

Unit = Callable[..., NDArray]
POINTS = np.array([[-3.0, -1.0, -0.25], [0.5, 1.5, 4.0]])
AROUND_KINK = np.array([-2.5, -0.5, -1e-6, 1e-6, 0.75, 3.0])
EXTREMES = (-1000.0, -100.0, 100.0, 1000.0)


def _stable(answer: Unit, reference: Unit, **options: Any) -> None:
    """End the check unless the answer is right, finite and silent at ±1000 in both precisions."""
    for dtype in (np.float64, np.float32):
        z = np.array(EXTREMES, dtype=dtype)
        received = as_array(call(answer, z, **options))
        expected = np.asarray(reference(z, **options), dtype=np.float64)
        expect_shape(received, z.shape, f"z = {describe(z)}")
        lost = np.flatnonzero(~np.isfinite(received.astype(np.float64)))
        if lost.size:
            wrong(
                f"overflow: at z = {describe(z[lost[0]])} ({z.dtype}) the answer is "
                f"{describe(received[lost[0]])}, expected {describe(expected[lost[0]])}.\n"
                "Take exponentials only of negative numbers, such as -|z|."
            )
        given = f"z = {describe(z)} ({z.dtype})"
        expect_close(received, expected, given, inputs=z, rtol=1e-5, atol=1e-6)
        warning = _warning(answer, z, **options)
        if warning:
            ends = [end for end in EXTREMES if _warning(answer, np.array([end], dtype), **options)]
            if min(ends, default=0) < 0 < max(ends, default=0):
                why = (
                    "An exponential overflows at either end. If this is np.where: it computes\n"
                    "both of its branches for every z, and then throws one away."
                )
            else:
                why = "An exponential overflows on the way, and only luck makes the result right."
            wrong(f"{warning}\n{why}")


def _warning(answer: Unit, z: NDArray, **options: Any) -> str:
    """Return what the answer, right in value for z, is told where NumPy warns; else nothing."""
    try:
        call(answer, z, warnings_wrong=True, **options)
    except Finding as finding:
        return str(finding)
    return ""


def _numbers_not_truths(answer: Unit) -> None:
    """End the check where the answer is an array of True and False."""
    if as_array(call(answer, AROUND_KINK)).dtype.kind == "b":
        malformed("expected numbers, received True and False; make them 1 and 0")


def _at_kink(answer: Unit, allowed: tuple[float, ...]) -> None:
    """End the check unless the slope at 0 is one of the allowed numbers."""
    received = as_array(call(answer, np.zeros(3)))
    expect_shape(received, (3,), "z = [0, 0, 0]")
    if not np.isclose(received[:, None], allowed).any(axis=1).all():
        choice = " or ".join(f"{number:g}" for number in allowed)
        wrong(f"at the kink, z = 0: expected {choice}, received {describe(received[0])}")


@checklist.exercise("2.1 Central difference")
def central_difference(answer: Callable) -> None:
    """Compare with the cube, for which the quotient is exactly 3z² + h²."""
    z, h = np.array([-1.0, 0.5, 2.0]), 0.1

    def cube(z: NDArray) -> NDArray:
        return z**3

    up, down = cube(z + h), cube(z - h)
    expect_close(
        call(answer, cube, z, h),
        3 * z**2 + h**2,
        f"f(z) = z³, z = {describe(z)}, h = {h}",
        inputs=z,
        rtol=1e-9,
        mistakes={
            "This is the one-sided quotient (f(z+h) - f(z)) / h.": (up - cube(z)) / h,
            "This is the one-sided quotient (f(z) - f(z-h)) / h.": (cube(z) - down) / h,
            "The points z+h and z-h are 2h apart, so divide by 2h and not by h.": (up - down) / h,
            "a / 2 * h means (a/2)·h; write a / (2 * h).": (up - down) / 2 * h,
            "The difference still has to be divided by 2h.": up - down,
            "The sign is turned round: take f(z+h) minus f(z-h).": (down - up) / (2 * h),
            "Use the step h that is given, not one of your own.": 3 * z**2 + 1e-10,
        },
        hint="Expected is 3z² + h²: the derivative, and the quotient's own error.",
    )
    z = np.linspace(-2, 2, 6).reshape(2, 3)
    expect_close(
        call(answer, np.sin, z), np.cos(z), "f = sin and the default h", inputs=z, atol=1e-8
    )


@checklist.exercise("2.2 Slope of ReLU")
def relu(answer: Unit) -> None:
    """Compare on both sides of the kink; at 0 either convention is right."""
    _numbers_not_truths(answer)
    expect_elementwise(
        answer,
        activations.relu_derivative,
        AROUND_KINK,
        mistakes={
            "This is ReLU itself, not its slope.": activations.relu,
            "This is the sign of z: for negative z the slope is 0, not -1.": np.sign,
            "The two sides are swapped.": lambda z: (z < 0) * 1.0,
            "For negative z ReLU is flat; this is LeakyReLU's slope.": (
                activations.leaky_relu_derivative
            ),
            "This is 1 for every z; for negative z ReLU is flat.": np.ones_like,
        },
        hint="The slope is 1 where z > 0 and 0 where z < 0.",
    )
    _at_kink(answer, (0, 1))


@checklist.exercise("2.4 Stable sigmoid")
def sigmoid(answer: Unit) -> None:
    """Compare the values, then what happens at ±1000."""
    expect_elementwise(
        answer,
        activations.sigmoid,
        POINTS,
        mistakes={
            "This has e^z where e^-z is meant: it falls where it should rise.": (
                lambda z: 1 / (1 + np.exp(z))
            ),
            "This is e^z: the 1 in the denominator 1 + e^-z is missing.": np.exp,
            "This is 1 + e^-z; the sigmoid is 1 divided by that.": lambda z: 1 + np.exp(-z),
            "This is tanh.": np.tanh,
            "This has |z| in place of z: for negative z the numerator is e^-|z|, not 1.": (
                lambda z: 1 / (1 + np.exp(-np.abs(z)))
            ),
        },
    )
    _stable(answer, activations.sigmoid)


@checklist.exercise("2.5 Slope of the sigmoid")
def sigmoid_derivative(answer: Unit) -> None:
    """Compare the slopes, then what happens at ±1000."""
    s = activations.sigmoid
    expect_elementwise(
        answer,
        activations.sigmoid_derivative,
        POINTS,
        mistakes={
            "This is z(1 - z): put the value s(z) in place of z.": lambda z: z * (1 - z),
            "This is s(1 + s); the slope is s(1 - s).": lambda z: s(z) * (1 + s(z)),
            "This is the sigmoid itself, not its slope.": s,
            "This is 1 - s; the factor s is missing.": lambda z: 1 - s(z),
            "This is 1 - s², the rule for tanh.": lambda z: 1 - s(z) ** 2,
            "This is s·s; the second factor is 1 - s.": lambda z: s(z) ** 2,
            "This is e^-z/(1 + e^-z): the denominator is squared in the derivation.": (
                lambda z: s(-z) + 0 * z
            ),
            "The sign is wrong: the two minus signs cancel.": lambda z: -s(z) * (1 - s(z)),
            "This applies the sigmoid twice: put z, not s(z), into it.": (
                lambda z: s(s(z)) * (1 - s(s(z)))
            ),
        },
    )
    _stable(answer, activations.sigmoid_derivative)


@checklist.exercise("2.6 Slope of tanh")
def tanh(answer: Unit) -> None:
    """Compare the slopes, then what happens at ±1000."""
    expect_elementwise(
        answer,
        activations.tanh_derivative,
        POINTS,
        mistakes={
            "This is 1 - tanh; the square is missing.": lambda z: 1 - np.tanh(z),
            "This is 1 - z²: square the value tanh(z), not z.": lambda z: 1 - z**2,
            "This is 1 - tanh(z²): square the value, not the input.": lambda z: 1 - np.tanh(z**2),
            "This is 1 + tanh²; the sign is wrong.": lambda z: 1 + np.tanh(z) ** 2,
            "This is tanh(1 - tanh), the sigmoid's rule.": lambda z: np.tanh(z) * (1 - np.tanh(z)),
            "This is 1/cosh; the square is missing.": lambda z: 1 / np.cosh(z),
            "This is tanh itself, not its slope.": np.tanh,
            "This is tanh² - 1; the sign is turned round.": lambda z: np.tanh(z) ** 2 - 1,
        },
    )
    _stable(answer, activations.tanh_derivative)


@checklist.exercise("2.7 Swish and its slope")
def swish(value: Unit, derivative: Unit) -> None:
    """Compare value and slope for two β, then what happens at ±1000."""
    for beta in (0.5, 2.0):
        expect_elementwise(
            partial(value, beta=beta),
            partial(activations.swish, beta=beta),
            POINTS,
            mistakes=_swish_mistakes(beta),
            hint=f"This is swish with β = {beta:g}.",
        )
    for beta in (0.5, 2.0):
        expect_elementwise(
            partial(derivative, beta=beta),
            partial(activations.swish_derivative, beta=beta),
            POINTS,
            mistakes=_swish_slope_mistakes(beta),
            hint=f"This is swish_derivative with β = {beta:g}.",
        )
    for beta in (1.0, 0.1):
        _stable(value, activations.swish, beta=beta)
        _stable(derivative, activations.swish_derivative, beta=beta)


def _swish_mistakes(beta: float) -> Mapping[str, Unit]:
    s = activations.sigmoid
    return {
        "swish: e^{βz} where e^{-βz} is meant.": lambda z: z * s(-beta * z),
        "swish: β is not used.": lambda z: z * s(z),
        "swish: this is s(βz); the factor z is missing.": lambda z: s(beta * z),
        "swish: β belongs only inside the sigmoid, not in front of z.": (
            lambda z: beta * z * s(beta * z)
        ),
        "swish: β belongs inside the sigmoid, not in front of it.": lambda z: beta * z * s(z),
    }


def _swish_slope_mistakes(beta: float) -> Mapping[str, Unit]:
    def parts(z: NDArray) -> tuple[NDArray, NDArray]:
        t = activations.sigmoid(beta * z)
        return t, t * (1 - t)

    return {
        "swish_derivative: e^{βz} where e^{-βz} is meant.": lambda z: (
            parts(-z)[0] + beta * z * parts(z)[1]
        ),
        "swish_derivative: the term βz·s(1 - s) is forgotten; the product rule has two terms.": (
            lambda z: parts(z)[0]
        ),
        "swish_derivative: the factor β of the second term is forgotten (chain rule).": lambda z: (
            parts(z)[0] + z * parts(z)[1]
        ),
        "swish_derivative: the factor z of the second term is forgotten.": lambda z: (
            parts(z)[0] + beta * parts(z)[1]
        ),
        "swish_derivative: the first term s(βz) is forgotten; the product rule has two terms.": (
            lambda z: beta * z * parts(z)[1]
        ),
        "swish_derivative: the factor 1 - s of the second term is forgotten.": lambda z: (
            parts(z)[0] + beta * z * parts(z)[0]
        ),
        "swish_derivative: the second term has Swish's value f where z is meant.": lambda z: (
            parts(z)[0] + beta * z * parts(z)[0] * parts(z)[1]
        ),
        "swish_derivative: β is not used.": activations.swish_derivative,
        "swish_derivative: this is swish itself, not its slope.": lambda z: z * parts(z)[0],
    }


@checklist.exercise("2.8 Slope of LeakyReLU")
def leaky_relu(answer: Unit) -> None:
    """Compare for the default c and another one; at 0 either convention is right."""
    expect_elementwise(
        answer,
        activations.leaky_relu_derivative,
        AROUND_KINK,
        mistakes={
            "This is LeakyReLU itself, not its slope.": activations.leaky_relu,
            "For negative z this is 0, ReLU's slope; LeakyReLU's is c.": (
                activations.relu_derivative
            ),
            "For negative z this is c·z; the slope of c·z is c.": (
                lambda z: np.where(z > 0, 1, 0.01 * z)
            ),
            "For negative z this is -c; the line c·z rises.": lambda z: np.where(z > 0, 1, -0.01),
            "The two sides are swapped.": lambda z: np.where(z > 0, 0.01, 1),
        },
        hint="The slope is 1 where z > 0 and c where z < 0.",
    )
    expect_elementwise(
        partial(answer, c=0.2),
        lambda z: np.where(z > 0, 1, 0.2),
        AROUND_KINK,
        mistakes={"Use the argument c (here 0.2), not 0.01.": activations.leaky_relu_derivative},
        hint="This is with c = 0.2.",
    )
    _at_kink(answer, (0.01, 1))


@checklist.exercise("2.9 Mish and its slope")
def mish(value: Unit, derivative: Unit) -> None:
    """Compare value and slope, then what happens at ±1000."""
    softplus, s = activations.softplus, activations.sigmoid

    def t(z: NDArray) -> NDArray:
        return np.tanh(softplus(z))

    expect_elementwise(
        value,
        activations.mish,
        POINTS,
        mistakes={
            "mish: this is tanh(ln(1 + e^z)); the factor z is missing.": t,
            "mish: this is z·ln(1 + e^z); tanh is missing.": lambda z: z * softplus(z),
            "mish: this is z·tanh(1 + e^z); the logarithm is missing.": (
                lambda z: z * np.tanh(1 + np.exp(z))
            ),
            "mish: this is z·tanh(z); softplus is missing.": lambda z: z * np.tanh(z),
            "mish: this has e^-z where e^z is meant.": lambda z: z * t(-z),
            "mish: this is z·tanh(e^z); np.logaddexp(0, z) is ln(1 + e^z).": (
                lambda z: z * np.tanh(np.exp(z))
            ),
        },
    )
    expect_elementwise(
        derivative,
        activations.mish_derivative,
        POINTS,
        mistakes={
            "mish_derivative: 1 - t where 1 - t² is meant.": (
                lambda z: t(z) + z * (1 - t(z)) * s(z)
            ),
            "mish_derivative: only the first term; the product rule has two.": t,
            "mish_derivative: the inner slope s(z) is forgotten (chain rule).": (
                lambda z: t(z) + z * (1 - t(z) ** 2)
            ),
            "mish_derivative: the factor z of the second term is forgotten.": (
                lambda z: t(z) + (1 - t(z) ** 2) * s(z)
            ),
            "mish_derivative: the first term tanh(ζ) is forgotten.": (
                lambda z: z * (1 - t(z) ** 2) * s(z)
            ),
            "mish_derivative: softplus has the slope s(z), not s(1 - s).": (
                lambda z: t(z) + z * (1 - t(z) ** 2) * s(z) * (1 - s(z))
            ),
            "mish_derivative: 1 - tanh²(z) where 1 - tanh²(ζ) is meant, ζ = softplus.": (
                lambda z: t(z) + z * (1 - np.tanh(z) ** 2) * s(z)
            ),
            "mish_derivative: this is mish itself, not its slope.": activations.mish,
        },
    )
    _stable(value, activations.mish)
    _stable(derivative, activations.mish_derivative)


@checklist.exercise("2.10 Plot of a unit and its slope")
def plot_unit(answer: Callable[..., Axes]) -> None:
    """Look at the lines, labels and styles that the student's function draws."""
    ax = Figure().subplots()
    z = np.linspace(-2.0, 2.0, 41)
    value, slope = np.sin(z), np.cos(z)
    with _no_stray_figures():
        received = call(partial(answer, ax), z, value, slope, "sine")
    drawn = {"f(z)": _line(ax, z, value), "f'(z)": _line(ax, z, slope)}
    if not ax.lines:
        wrong("nothing is drawn on the axes given; use ax.plot, not plt.plot or a new figure")
    if all(line is None for line in drawn.values()) and _line(ax, value, z) is not None:
        wrong("z belongs on the horizontal axis: ax.plot(z, value)")
    for name, line in drawn.items():
        if line is None:
            wrong(f"no line shows {name} against z; {len(ax.lines)} line(s) are drawn")
    if received is not ax:
        malformed(f"expected the axes given, received {describe(received)}; end with `return ax`")
    lines = {name: line for name, line in drawn.items() if line is not None}
    for name, line in lines.items():
        if not ax.texts and str(line.get_label()).startswith("_"):
            wrong(f"the line of {name} has no label; give ax.plot a label=")
    if ax.get_legend() is None and not ax.texts:
        wrong("the labels are not shown; call ax.legend()")
    if not ax.get_xlabel():
        wrong("the horizontal axis has no label; ax.set_xlabel says what it shows")
    looks = [(line.get_linestyle(), line.get_marker()) for line in lines.values()]
    if looks[0] == looks[1]:
        wrong("both lines have the same style; without colour they look alike. Try linestyle='--'")


@contextlib.contextmanager
def _no_stray_figures() -> Iterator[None]:
    """Close the figures that the block opens in pyplot, so that none appears in the notebook."""
    before = set(plt.get_fignums())
    try:
        yield
    finally:
        for number in set(plt.get_fignums()) - before:
            plt.close(number)


def _line(ax: Axes, x: NDArray, y: NDArray) -> Line2D | None:
    """Return the line of the axes that runs through these points, or None."""
    for line in ax.lines:
        data = np.asarray(line.get_xydata(), dtype=float)
        if data.shape == (len(x), 2) and np.allclose(data, np.stack([x, y], axis=1)):
            return line
    return None


@checklist.exercise("2.11 What each layer receives")
def gradient_factors(answer: Callable) -> None:
    """Compare for four layers, whose products all differ."""
    slopes = np.array([0.5, 0.25, 2.0, 0.1])
    given = f"slopes = {describe(slopes)}"
    received = as_array(call(answer, slopes), given)
    if received.shape == () and np.isclose(received, slopes.prod()):
        malformed("this is one product for the whole network; return one number a layer")
    expect_close(
        received,
        [0.0125 * 2, 0.05, 0.2, 0.1],
        given,
        mistakes={
            "This multiplies from the first layer on; a gradient comes from the last.": (
                np.cumprod(slopes)
            ),
            "This is in the wrong order: entry 0 belongs to layer 1, next to the input.": (
                np.cumprod(slopes[::-1])
            ),
            "This turns the order round at the end, but not before multiplying.": (
                np.cumprod(slopes)[::-1]
            ),
            "This adds up; slopes multiply.": np.cumsum(slopes[::-1])[::-1],
            "The layer's own slope is missing from its product.": np.append(
                np.cumprod(slopes[:0:-1])[::-1], 1.0
            ),
            "These are logarithms of the products.": np.log(np.cumprod(slopes[::-1])[::-1]),
        },
        hint="The last entry is the last slope alone, the first the product of them all.",
    )
    long = np.linspace(0.2, 1.3, 30)
    expected = [np.prod(long[layer:]) for layer in range(30)]
    expect_close(call(answer, long), expected, "30 layers", atol=0)
