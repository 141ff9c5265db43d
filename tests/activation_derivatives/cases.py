"""Right and wrong answers to the exercises of notebook 02."""

import matplotlib.pyplot as plt
import numpy as np
import torch

from helpers import activations
from helpers.activation_derivatives import check
from helpers.judge import State
from tests.cases import Case, Wrong, stub

s = activations.sigmoid


def no_return(*args, **kwargs):
    return None


def changes_input(z, *args):
    z[z > 0] = 1
    z[z <= 0] = 0
    return z


def shift_in_place(f, z, h=1e-5):
    z += h
    up = f(z)
    z -= 2 * h
    down = f(z)
    return (up - down) / (2 * h)


def by_loop(f, z, h=1e-5):
    out = np.empty_like(z)
    for index in np.ndindex(z.shape):
        out[index] = (f(z[index] + h) - f(z[index] - h)) / (2 * h)
    return out


def branch(z):
    return 1.0 if z > 0 else 0.0


def masked_sigmoid(z):
    out = np.empty_like(z)
    out[z >= 0] = 1 / (1 + np.exp(-z[z >= 0]))
    e = np.exp(z[z < 0])
    out[z < 0] = e / (1 + e)
    return out


def both_branches(z):
    return np.where(z >= 0, 1 / (1 + np.exp(-z)), np.exp(z) / (1 + np.exp(z)))


def in_float32(function):
    return lambda z, *args, **kwargs: function(np.asarray(z, np.float32), *args, **kwargs)


def softplus(z):
    return np.logaddexp(0, z)


def swish_two(z, beta=1.0):
    f = z * s(beta * z)
    return beta * f + s(beta * z) * (1 - beta * f)


def swish_printed(z, beta=1.0):
    e = np.exp(-beta * z)
    return (1 + e + beta * z * e) / (1 + e) ** 2


def mish_rational(z):
    e = np.exp(np.minimum(z, 20))
    n = e * (e + 2)
    return z * n / (n + 2)


def mish_slope_rational(z):
    t = np.tanh(np.maximum(z, 0) + np.log1p(np.exp(-np.abs(z))))
    return t + z * (1 - t) * (1 + t) * masked_sigmoid(z)


def mish_slope(t_of, inner=s):
    """A Mish slope whose second term is z times `t_of(t)` times the inner slope."""
    return lambda z: np.tanh(softplus(z)) + z * t_of(np.tanh(softplus(z))) * inner(z)


# --- plots ---------------------------------------------------------------------------------------


def plot_with(
    value=True,
    slope=True,
    label=True,
    legend=True,
    xlabel=True,
    linestyle="--",
    back=True,
    swap=False,
):
    def plot_unit(ax, z, f, df, name):
        for draw, y, text, style in ((value, f, "f", "-"), (slope, df, "f'", linestyle)):
            if draw:
                ax.plot(
                    *((y, z) if swap else (z, y)),
                    linestyle=style,
                    **({"label": text} if label else {}),
                )
        if xlabel:
            ax.set_xlabel("z")
        if legend and label and (value or slope):
            ax.legend()
        ax.set_title(name)
        return ax if back else ax.figure

    return plot_unit


def plot_elsewhere(ax, z, f, df, name):
    plt.figure()
    plt.plot(z, f, label="f")
    plt.plot(z, df, label="f'")
    plt.xlabel("z")
    return ax


def plot_twice_the_value(ax, z, f, df, name):
    ax.plot(z, f, label="f")
    ax.plot(z, f, "--", label="f'")
    ax.set_xlabel("z")
    ax.legend()
    return ax


def plot_and_text(ax, z, f, df, name):
    (line,) = ax.plot(z, df, ":")
    ax.plot(z, f)
    ax.text(z[-1], df[-1], "slope", color=line.get_color())
    ax.text(z[-1], f[-1], "value")
    ax.set(xlabel="z", title=name)
    return ax


def plot_no_return(ax, z, f, df, name):
    plot_with()(ax, z, f, df, name)


# --- products ------------------------------------------------------------------------------------


def factors_by_loop(slopes):
    out, factor = [], 1.0
    for slope in reversed(slopes):
        factor *= float(slope)
        out.insert(0, factor)
    return out


CASES = [
    Case(
        check.central_difference,
        (stub,),
        right=[
            (lambda f, z, h=1e-5: (f(z + h) - f(z - h)) / (2 * h),),
            (by_loop,),
            (lambda f, z, h=1e-5: (f(z + h) - f(z - h)) / h / 2,),
        ],
        wrong=[
            Wrong((no_return,), "returned nothing", State.MALFORMED),
            Wrong((lambda f, z, h=1e-5: (f(z + h) - f(z)) / h,), "(f(z+h) - f(z)) / h"),
            Wrong((lambda f, z, h=1e-5: (f(z) - f(z - h)) / h,), "(f(z) - f(z-h)) / h"),
            Wrong((lambda f, z, h=1e-5: (f(z + h) - f(z - h)) / h,), "2h apart"),
            Wrong((lambda f, z, h=1e-5: (f(z + h) - f(z - h)) / 2 * h,), "means (a/2)·h"),
            Wrong((lambda f, z, h=1e-5: f(z + h) - f(z - h),), "still has to be divided"),
            Wrong((lambda f, z, h=1e-5: (f(z - h) - f(z + h)) / (2 * h),), "turned round"),
            Wrong((lambda f, z, h=1e-5: (f(z + 1e-5) - f(z - 1e-5)) / 2e-5,), "step h that is"),
            Wrong((shift_in_place,), "in place"),
            Wrong((lambda f, z, h=1e-5: (f(z + h) - f(z - h)) / (3 * h),), "quotient's own error"),
        ],
    ),
    Case(
        check.relu,
        (stub,),
        right=[
            (lambda z: np.where(z > 0, 1.0, 0.0),),
            (lambda z: (z >= 0).astype(float),),
            (in_float32(activations.relu_derivative),),
            (np.vectorize(branch),),
            (lambda z: torch.heaviside(torch.as_tensor(z), torch.zeros((), dtype=torch.double)),),
            (lambda z: np.heaviside(z, 1),),
        ],
        wrong=[
            Wrong((no_return,), "returned nothing", State.MALFORMED),
            Wrong((branch,), "ambiguous", State.RAISED),
            Wrong((lambda z: z > 0,), "True and False", State.MALFORMED),
            Wrong((changes_input,), "in place"),
            Wrong((lambda z: np.maximum(z, 0),), "ReLU itself"),
            Wrong((np.sign,), "the sign of z"),
            Wrong((lambda z: np.where(z < 0, 1.0, 0.0),), "swapped"),
            Wrong((lambda z: np.where(z > 0, 1, 0.01),), "LeakyReLU's slope"),
            Wrong((np.ones_like,), "1 for every z"),
            Wrong((lambda z: np.heaviside(z, 0.5),), "at the kink"),
            Wrong((lambda z: 0.0,), "expected shape", State.MALFORMED),
        ],
    ),
    Case(
        check.sigmoid,
        (stub,),
        right=[
            (s,),
            (masked_sigmoid,),
            (lambda z: (1 + np.tanh(z / 2)) / 2,),
            (lambda z: torch.sigmoid(torch.as_tensor(z)).numpy(),),
            (in_float32(s),),
            (lambda z: np.exp(-np.logaddexp(0, -z)),),
        ],
        wrong=[
            Wrong((no_return,), "returned nothing", State.MALFORMED),
            Wrong((lambda z: 1 / (1 + np.exp(-z)),), "only luck makes"),
            Wrong((both_branches,), "throws one away"),
            Wrong((lambda z: np.exp(z) / (1 + np.exp(z)),), "overflow: at z = 1000"),
            Wrong((lambda z: 1 / (1 + np.exp(z)),), "e^z where e^-z is meant"),
            Wrong((np.exp,), "the 1 in the denominator"),
            Wrong((lambda z: 1 + np.exp(-z),), "1 divided by that"),
            Wrong((np.tanh,), "This is tanh."),
            Wrong((lambda z: 1 / (1 + np.exp(-np.abs(z))),), "|z| in place of z"),
            Wrong((lambda z: s(z).sum(),), "expected shape", State.MALFORMED),
        ],
    ),
    Case(
        check.sigmoid_derivative,
        (stub,),
        right=[
            (lambda z: s(z) * (1 - s(z)),),
            (lambda z: s(z) * s(-z),),
            (lambda z: (1 - np.tanh(z / 2) ** 2) / 4,),
            (in_float32(activations.sigmoid_derivative),),
        ],
        wrong=[
            Wrong((no_return,), "returned nothing", State.MALFORMED),
            Wrong((lambda z: z * (1 - z),), "in place of z"),
            Wrong((lambda z: s(z) * (1 + s(z)),), "s(1 + s)"),
            Wrong((s,), "sigmoid itself"),
            Wrong((lambda z: 1 - s(z),), "factor s is missing"),
            Wrong((lambda z: 1 - s(z) ** 2,), "rule for tanh"),
            Wrong((lambda z: s(z) ** 2,), "This is s·s"),
            Wrong((lambda z: -s(z) * (1 - s(z)),), "two minus signs"),
            Wrong((lambda z: s(s(z)) * (1 - s(s(z))),), "sigmoid twice"),
            Wrong((lambda z: np.exp(-z) / (1 + np.exp(-z)) ** 2,), "overflow: at z = -1000"),
            Wrong((lambda z: 1 / (2 + np.exp(z) + np.exp(-z)),), "it is unstable"),
        ],
    ),
    Case(
        check.tanh,
        (stub,),
        right=[
            (lambda z: 1 - np.tanh(z) ** 2,),
            (lambda z: (1 - np.tanh(z)) * (1 + np.tanh(z)),),
            (in_float32(activations.tanh_derivative),),
            (lambda z: 4 * s(2 * z) * s(-2 * z),),
        ],
        wrong=[
            Wrong((no_return,), "returned nothing", State.MALFORMED),
            Wrong((lambda z: 1 - np.tanh(z),), "1 - tanh; the square"),
            Wrong((lambda z: 1 - z**2,), "square the value tanh(z)"),
            Wrong((lambda z: 1 - np.tanh(z**2),), "square the value, not the input"),
            Wrong((lambda z: 1 + np.tanh(z) ** 2,), "1 + tanh²"),
            Wrong((lambda z: np.tanh(z) * (1 - np.tanh(z)),), "sigmoid's rule"),
            Wrong((lambda z: 1 / np.cosh(z),), "1/cosh; the square"),
            Wrong((np.tanh,), "tanh itself"),
            Wrong((lambda z: np.tanh(z) ** 2 - 1,), "turned round"),
            Wrong((lambda z: 1 / np.cosh(z) ** 2,), "it is unstable"),
            Wrong(
                (lambda z: 1 - ((np.exp(z) - np.exp(-z)) / (np.exp(z) + np.exp(-z))) ** 2,),
                "overflow: at z = -1000",
            ),
        ],
    ),
    Case(
        check.swish,
        (stub, stub),
        right=[
            (activations.swish, activations.swish_derivative),
            (lambda z, beta=1.0: z * masked_sigmoid(beta * z), swish_two),
            (in_float32(activations.swish), in_float32(activations.swish_derivative)),
        ],
        wrong=[
            Wrong((no_return, swish_two), "returned nothing", State.MALFORMED),
            Wrong((activations.swish, stub), "", State.NOT_ATTEMPTED),
            Wrong((lambda z, beta=1.0: z * s(-beta * z), swish_two), "swish: e^{βz}"),
            Wrong((lambda z, beta=1.0: z * s(z), swish_two), "swish: β is not used"),
            Wrong((lambda z, beta=1.0: s(beta * z), swish_two), "swish: this is s(βz)"),
            Wrong((lambda z, beta=1.0: beta * z * s(beta * z), swish_two), "not in front of z"),
            Wrong((lambda z, beta=1.0: beta * z * s(z), swish_two), "not in front of it"),
            Wrong((lambda z, beta=1.0: z / (1 + np.exp(-beta * z)), swish_two), "it is unstable"),
            Wrong(
                (
                    activations.swish,
                    lambda z, beta=1.0: s(-beta * z) + beta * z * s(-beta * z) * s(beta * z),
                ),
                "swish_derivative: e^{βz}",
            ),
            Wrong((activations.swish, lambda z, beta=1.0: s(beta * z)), "the term βz·s(1 - s)"),
            Wrong(
                (
                    activations.swish,
                    lambda z, beta=1.0: s(beta * z) + z * s(beta * z) * s(-beta * z),
                ),
                "the factor β of the second term",
            ),
            Wrong(
                (
                    activations.swish,
                    lambda z, beta=1.0: s(beta * z) + beta * s(beta * z) * s(-beta * z),
                ),
                "the factor z of the second term",
            ),
            Wrong(
                (activations.swish, lambda z, beta=1.0: beta * z * s(beta * z) * s(-beta * z)),
                "the first term s(βz)",
            ),
            Wrong(
                (activations.swish, lambda z, beta=1.0: s(beta * z) + beta * z * s(beta * z)),
                "the factor 1 - s",
            ),
            Wrong(
                (
                    activations.swish,
                    lambda z, beta=1.0: (
                        s(beta * z) + beta * (z * s(beta * z)) * s(beta * z) * s(-beta * z)
                    ),
                ),
                "Swish's value f where z is meant",
            ),
            Wrong(
                (activations.swish, lambda z, beta=1.0: activations.swish_derivative(z)),
                "swish_derivative: β is not used",
            ),
            Wrong((activations.swish, activations.swish), "swish itself"),
            Wrong((activations.swish, swish_printed), "overflow: at z = -1000"),
        ],
    ),
    Case(
        check.leaky_relu,
        (stub,),
        right=[
            (lambda z, c=0.01: np.where(z > 0, 1.0, c),),
            (lambda z, c=0.01: c + (1 - c) * (z >= 0),),
            (lambda z, c=0.01: np.where(z > 0, np.float32(1), np.float32(c)),),
        ],
        wrong=[
            Wrong((no_return,), "returned nothing", State.MALFORMED),
            Wrong((lambda z, c=0.01: np.where(z > 0, z, c * z),), "LeakyReLU itself"),
            Wrong((lambda z, c=0.01: np.where(z > 0, 1.0, 0.0),), "this is 0, ReLU's slope"),
            Wrong((lambda z, c=0.01: np.where(z > 0, 1, c * z),), "this is c·z"),
            Wrong((lambda z, c=0.01: np.where(z > 0, 1, -c),), "this is -c"),
            Wrong((lambda z, c=0.01: np.where(z > 0, c, 1),), "swapped"),
            Wrong((lambda z, c=0.01: np.where(z > 0, 1, 0.01),), "Use the argument c"),
            Wrong((lambda z, c=0.01: np.where(z > 0, 1, np.where(z < 0, c, 0.5)),), "at the kink"),
            Wrong((changes_input,), "in place"),
        ],
    ),
    Case(
        check.mish,
        (stub, stub),
        right=[
            (lambda z: z * np.tanh(softplus(z)), mish_slope(lambda t: 1 - t**2)),
            (mish_rational, mish_slope_rational),
            (in_float32(activations.mish), in_float32(activations.mish_derivative)),
        ],
        wrong=[
            Wrong((no_return, stub), "returned nothing", State.MALFORMED),
            Wrong((lambda z: np.tanh(softplus(z)), stub), "mish: this is tanh(ln"),
            Wrong((lambda z: z * softplus(z), stub), "tanh is missing"),
            Wrong((lambda z: z * np.tanh(1 + np.exp(z)), stub), "the logarithm is missing"),
            Wrong((lambda z: z * np.tanh(z), stub), "softplus is missing"),
            Wrong((lambda z: z * np.tanh(softplus(-z)), stub), "e^-z where e^z"),
            Wrong((lambda z: z * np.tanh(np.exp(z)), stub), "np.logaddexp(0, z)"),
            Wrong(
                (lambda z: z * np.tanh(np.log(1 + np.exp(z))), mish_slope(lambda t: 1 - t**2)),
                "it is unstable",
            ),
            Wrong((activations.mish, mish_slope(lambda t: 1 - t)), "1 - t where 1 - t²"),
            Wrong((activations.mish, lambda z: np.tanh(softplus(z))), "only the first term"),
            Wrong(
                (activations.mish, mish_slope(lambda t: 1 - t**2, np.ones_like)),
                "the inner slope s(z)",
            ),
            Wrong(
                (activations.mish, lambda z: mish_slope(lambda t: (1 - t**2) / z)(z)),
                "the factor z of the second",
            ),
            Wrong(
                (activations.mish, lambda z: z * (1 - np.tanh(softplus(z)) ** 2) * s(z)),
                "the first term tanh(ζ)",
            ),
            Wrong(
                (activations.mish, mish_slope(lambda t: 1 - t**2, lambda z: s(z) * s(-z))),
                "softplus has the slope s(z)",
            ),
            Wrong(
                (
                    activations.mish,
                    lambda z: np.tanh(softplus(z)) + z * (1 - np.tanh(z) ** 2) * s(z),
                ),
                "1 - tanh²(z) where",
            ),
            Wrong((activations.mish, activations.mish), "mish itself"),
            Wrong(
                (
                    activations.mish,
                    mish_slope(lambda t: 1 - t**2, lambda z: np.exp(z) / (1 + np.exp(z))),
                ),
                "overflow: at z = 1000",
            ),
        ],
    ),
    Case(
        check.plot_unit,
        (stub,),
        right=[(plot_with(),), (plot_and_text,), (plot_with(linestyle=":"),)],
        wrong=[
            Wrong((plot_no_return,), "returned nothing", State.MALFORMED),
            Wrong((plot_elsewhere,), "use ax.plot, not plt.plot"),
            Wrong((plot_with(swap=True),), "horizontal axis: ax.plot(z, value)"),
            Wrong((plot_with(slope=False),), "f'(z) against z; 1 line"),
            Wrong((plot_with(value=False),), "no line shows f(z)"),
            Wrong((plot_twice_the_value,), "f'(z) against z; 2 line"),
            Wrong((plot_with(back=False),), "return ax", State.MALFORMED),
            Wrong((plot_with(label=False),), "has no label; give"),
            Wrong((plot_with(legend=False),), "call ax.legend()"),
            Wrong((plot_with(xlabel=False),), "ax.set_xlabel"),
            Wrong((plot_with(linestyle="-"),), "the same style"),
        ],
    ),
    Case(
        check.gradient_factors,
        (stub,),
        right=[
            (lambda slopes: np.cumprod(slopes[::-1])[::-1],),
            (factors_by_loop,),
            (lambda slopes: torch.as_tensor(slopes).flip(0).cumprod(0).flip(0),),
            (lambda slopes: np.array([np.prod(slopes[k:]) for k in range(len(slopes))]),),
        ],
        wrong=[
            Wrong((no_return,), "returned nothing", State.MALFORMED),
            Wrong((np.cumprod,), "from the first layer on"),
            Wrong((lambda slopes: np.cumprod(slopes[::-1]),), "wrong order"),
            Wrong((lambda slopes: np.cumprod(slopes)[::-1],), "but not before multiplying"),
            Wrong((lambda slopes: np.cumsum(slopes[::-1])[::-1],), "slopes multiply"),
            Wrong(
                (lambda slopes: np.array([np.prod(slopes[k + 1 :]) for k in range(len(slopes))]),),
                "own slope is missing",
            ),
            Wrong((lambda slopes: np.log(np.cumprod(slopes[::-1])[::-1]),), "logarithms"),
            Wrong((np.prod,), "one number a layer", State.MALFORMED),
            Wrong((lambda slopes: slopes,), "the last slope alone"),
        ],
    ),
]
