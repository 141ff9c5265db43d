"""Right and wrong answers to the exercises of notebook 02, as students write them."""

RIGHT = {
    "central_difference": [
        "up, down = f(z + h), f(z - h)\nreturn (up - down) / h / 2",
        "out = np.empty_like(z)\nfor i in np.ndindex(z.shape):\n"
        "    out[i] = (f(z[i] + h) - f(z[i] - h)) / (2 * h)\nreturn out",
    ],
    "relu": [
        "return (z > 0).astype(float)",
        "relu_derivative = lambda z: np.heaviside(z, 1.0)",
        "out = np.zeros(z.shape, dtype=int)\nout[z >= 0] = 1\nreturn out",
        "relu_derivative = np.vectorize(lambda x: 1.0 if x > 0 else 0.0)",
    ],
    "sigmoid": [
        "return 0.5 * (1 + np.tanh(0.5 * z))",
        "out = np.empty_like(z)\nout[z >= 0] = 1 / (1 + np.exp(-z[z >= 0]))\n"
        "e = np.exp(z[z < 0])\nout[z < 0] = e / (1 + e)\nreturn out",
        "return torch.sigmoid(torch.from_numpy(z)).numpy()",
        "return np.exp(-np.logaddexp(0, -z))",
    ],
    "sigmoid_derivative": [
        "e = np.exp(-np.abs(z))\nreturn e / (1 + e) ** 2",
        "return sigmoid(z) * sigmoid(-z)",
        "return (1 - np.tanh(z / 2) ** 2) / 4",
    ],
    "tanh": [
        "t = np.tanh(z)\nreturn (1 - t) * (1 + t)",
        "return 4 * sigmoid_derivative(2 * z)",
        "e = np.exp(-2 * np.abs(z))\nreturn 4 * e / (1 + e) ** 2",
    ],
    "swish": [
        "def swish_derivative(z, beta=1.0):\n    s = sigmoid(beta * z)\n    f = z * s\n"
        "    return beta * f + s * (1 - beta * f)",
        "def swish(x, b=1.0):\n    return x * np.exp(-np.logaddexp(0, -b * x))\n"
        "def swish_derivative(x, b=1.0):\n"
        "    return sigmoid(b * x) * (1 + b * x * sigmoid(-b * x))",
    ],
    "leaky_relu": [
        "return (z > 0) + alpha * (z <= 0)",
        "out = np.ones_like(z)\nout[z < 0] = alpha\nreturn out",
    ],
    "mish": [
        "def mish(z):\n    return z * np.tanh(np.maximum(z, 0) + np.log1p(np.exp(-np.abs(z))))",
        "def mish_derivative(z):\n    sp = np.logaddexp(0, z)\n"
        "    sech2 = (2 * np.exp(-sp) / (1 + np.exp(-2 * sp))) ** 2\n"
        "    return np.tanh(sp) + z * sech2 * sigmoid(z)",
    ],
    "plot_unit": [
        "k = int(0.8 * (len(z) - 1))\n"
        "for y, style, text in ((value, '-', 'f'), (slope, '--', \"f'\")):\n"
        "    ax.plot(z, y, style)\n"
        "    ax.annotate(text, (z[k], y[k]), (4, 6), textcoords='offset points')\n"
        "ax.set(xlabel='z', title=name)\nreturn ax",
        "ax.plot(z, value, color='k', label='unit')\n"
        "ax.plot(z, slope, color='k', linestyle=(0, (3, 1)), label='derivative')\n"
        "ax.set(xlabel='z', title=f'{name} and its slope')\nax.figure.legend()\nreturn ax",
        "ax.plot(z, value, 'k-')\nax.plot(z, slope, 'k--')\nax.text(z[-1], value[-1], 'f')\n"
        "ax.text(z[-1], slope[-1], \"f'\")\nax.set(xlabel='z', title=name)\nreturn ax",
        "ax.plot(z, value, label=f\"the unit's value f(z), {name}'s curve\")\n"
        "ax.plot(z, slope, '--', label='df, its rate of change')\nax.legend()\n"
        "ax.set(xlabel='z', title=name)\nreturn ax",
        "from matplotlib.patches import Patch\n"
        "ax.plot(z, value, 'C0-')\nax.plot(z, slope, 'C1--')\n"
        "ax.legend(handles=[Patch(color='C0', label='f'), Patch(color='C1', label='slope')])\n"
        "ax.set(xlabel='z', title=name)\nreturn ax",
        "ax.scatter(z, value, facecolors='none', edgecolors='C0', label='f')\n"
        "ax.errorbar(z, slope, linestyle='--', label='slope')\nax.legend()\n"
        "ax.set(xlabel='z', title=name)\nreturn ax",
        "ax.fill_between(z, value, alpha=0.2, label='area')\nax.plot(z, value, 'k-')\n"
        "ax.plot(z, slope, 'k--')\nax.text(z[-1], value[-1], 'f')\n"
        "ax.text(z[-1], slope[-1], \"f'\")\n"
        "ax.legend()\nax.set(xlabel='z', title=name)\nreturn ax",
        "from helpers.plotting import label_lines\ndef plot_unit(ax, z, value, slope, name):\n"
        "    for y, style, label in ((value, 'k-', 'f'), (slope, 'k--', 'slope')):\n"
        "        ax.plot(z, y, style, label=label)\n"
        "    label_lines(ax)\n    ax.set(xlabel='z', title=name)\n    return ax",
        "a, = ax.plot(z, value)\nb, = ax.plot(z, slope, '.-')\n"
        "ax.axhline(0, lw=0.5, color='gray')\nax.legend([a, b], ['$f$', \"$f'$\"])\n"
        "ax.set_xlabel('input')\nax.set_title(name, loc='left')\nreturn ax",
        "for y, style, text in ((value, '-', 'f(z)'), (slope, ':', \"f'(z)\")):\n"
        "    line, = ax.plot(z, y, style)\n"
        "    ax.annotate(text, (z[-1], y[-1]), color=line.get_color())\nax.set_xlabel('z')\n"
        "ax.set_title(name)\nreturn ax",
    ],
    "gradient_factors": [
        "out, product = np.zeros(len(slopes)), 1.0\nfor k in reversed(range(len(slopes))):\n"
        "    product *= slopes[k]\n    out[k] = product\nreturn out",
        "return [np.prod(slopes[k:]) for k in range(len(slopes))]",
        "return np.flip(np.multiply.accumulate(np.flip(slopes)))",
    ],
}  # fmt: skip

PLOT = (
    "def plot_unit(ax, z, value, slope, name):\n"
    "    ax.plot(z, value, label='f')\n"
    "    ax.plot(z, slope, '--', label='slope')\n"
    "    ax.set(title=name, xlabel='z')\n"
    "    ax.legend()\n"
    "    return ax"
)


def _plot(*changes):
    """Return the plot's source with each of the given parts put in the place of another."""
    source = PLOT
    for old, new in changes:
        assert old in source
        source = source.replace(old, new)
    return source


WRONG = {
    "central_difference": [
        ("return np.clip((f(z + h) - f(z - h)) / (2 * h), -10, 10)", "received "),
        # a five-point stencil is no central difference, nor one of the named mistakes
        ("return (f(z-2*h) - 8*f(z-h) + 8*f(z+h) - f(z+2*h)) / (12*h)",
         "not the derivative itself"),
        ("def central_difference(f, z, h=1e-3):\n    return (f(z+h) - f(z-h)) / (2*h)", ""),
        ("z += h\nup = f(z)\nz -= 2 * h\nreturn (up - f(z)) / (2 * h)", "changed its input"),
    ],
    "relu": [
        ("relu_derivative = lambda z: z > 0", "True and False"),
        ("return 1.0 if z > 0 else 0.0", "ValueError"),
        ("return np.where(z > 1e-4, 1.0, 0.0)", "for input"),
        ("return np.array([1.0 * (x > 0) for x in z])", ""),
        ("z[z > 0] = 1\nz[z <= 0] = 0\nreturn z", "changed"),
        ("relu_derivative = activations.relu_derivative", "it uses activations.relu_derivative"),
    ],
    "sigmoid": [
        ("return 1 / (1 + np.exp(-z))", "overflow on the way"),
        ("def sigmoid(z):\n    with np.errstate(over='ignore'):\n"
         "        return 1 / (1 + np.exp(-z))", "overflow on the way"),
        ("return np.where(z >= 0, 1 / (1 + np.exp(-z)), np.exp(z) / (1 + np.exp(z)))",
         "np.where computes both"),
        ("return 1 / (1 + np.exp(-np.clip(z, -20, 20)))", "for input"),
        ("s = np.exp(np.minimum(z, 0)) / (1 + np.exp(-np.abs(z)))\n"
         "return s * (1 + 2e-5 * (z.dtype == np.float32))", "in float32: expected"),
        ("return activations.sigmoid(z)", "it uses activations.sigmoid"),
        ("return 0.5 * (1 + np.tanh(0.5 * z.astype(np.float32)))", "for input"),
        ("t = 0.5 * (1 + np.tanh(0.5 * z))\n"
         "return np.where(z > 15, 1.0, np.where(z < -15, 0.0, t))", "for input"),
    ],
    "sigmoid_derivative": [
        ("s = sigmoid(z)\nreturn np.where(z == 0, 0, s * (1 - s))", "for input 0: expected 0.25"),
        ("s = sigmoid(z)\nr = s * (1 - s)\nreturn r.round(3) if z.dtype == np.float32 else r",
         "in float32"),
        ("return (sigmoid(z + 1e-5) - sigmoid(z - 1e-5)) / 2e-5", "in float32"),
    ],
    "tanh": [
        ("return 1 / np.cosh(z) ** 2", "overflow on the way"),
        ("if np.min(np.abs(z)) > 20:\n    return np.zeros_like(z)\nreturn 1 / np.cosh(z) ** 2",
         "overflow on the way"),
        ("return np.tanh(z) * (1 / np.tanh(z) - np.tanh(z))", ""),
    ],
    "swish": [
        ("def swish(z, beta=1.0):\n    return z / (1 + np.exp(-beta * z))", "overflow"),
        ("def swish(z, beta=1.5):\n    return z * sigmoid(beta * z)", ""),
        ("def swish_derivative(z, beta=1.0):\n    t = sigmoid(abs(beta) * z)\n"
         "    return t + abs(beta) * z * t * (1 - t)", "-0.7"),
        ("def swish_derivative(z, beta=1.0):\n    t = sigmoid(beta * z)\n    f = z * t\n"
         "    return f / z + beta * z * t * (1 - t)", ""),
        ("swish = activations.swish", "it uses activations.swish"),
    ],
    "leaky_relu": [
        ("leaky_relu_derivative = lambda z, c=0.01: np.where(z > 0, 1.0, c).round(2)", "0.213"),
        ("leaky_relu_derivative = lambda z, c=0.01: 1.0 if np.all(z > 0) else np.where(z > 0, "
         "1.0, c)", "expected shape"),
        ("def leaky_relu_derivative(z, alpha=0.1):\n    return np.where(z > 0, 1.0, alpha)", ""),
        ("return np.maximum(np.sign(z), alpha)", ""),
        ("return np.where(z > 0, 1.0, abs(alpha))", "argument -0.4: expected -0.4, received 0.4"),
        ("return [1.0 if x > 0 else alpha for x in z]", ""),
    ],
    "mish": [
        ("def mish(z):\n    return z * np.tanh(np.log(1 + np.exp(z)))", "overflow"),
        ("def mish_derivative(z):\n    t = np.tanh(np.logaddexp(0, z))\n"
         "    return np.where(z < -8, 0, t + z * (1 - t**2) * sigmoid(z))", "for input -"),
        ("def mish_derivative(z):\n    t = np.tanh(np.logaddexp(0, z))\n"
         "    return mish(z) / z + z * (1 - t**2) * sigmoid(z)", "for input 0"),
        ("from helpers.activations import mish", "it uses activations.mish"),
    ],
    "plot_unit": [
        ("ax.plot(z, value, label='f')\nax.plot(z, slope, '--', label='slope')\n"
         "ax.set_xlim(0, z.max())\nax.set(xlabel='z', title=name)\nax.legend()\nreturn ax",
         "no visible line"),
        (_plot(("ax.plot(z, slope", "ax.plot(z, value")), "no visible line shows f'(z)"),
        (_plot(("label='f'", "label='f', color='white'")), "no visible line shows f(z)"),
        (_plot(("label='f'", "label='f', alpha=0")), "no visible line shows f(z)"),
        (_plot(("title=name, ", ""), ("    return", "    ax.figure.suptitle(name); return")),
         "title"),
        (_plot(("    ax.legend()\n", "")), "call ax.legend()"),
        (_plot(("'--', ", "")), "same line style"),
        (_plot(("    return ax", "    return 1")), "return ax"),
        (_plot(("label='f'", "label='slope of f'"), ("label='slope'", "label='f'")), "exchanged"),
        (_plot((", xlabel='z'", "")), "horizontal axis"),
        (_plot(("title=name", "title='unit'")), "title"),
        (_plot(("ax.legend()", "ax.legend(); ax.set_xlim(50, 60)")), "no visible line"),
        (_plot(("plot(z, value", "plot(value, z"), ("plot(z, slope", "plot(slope, z")),
         "z belongs on the horizontal"),
        ("import matplotlib.pyplot as plt\n" + _plot(("ax.", "plt.gca()."), ("return ax",
         "return plt.gca()")), "nothing"),
    ],
    "gradient_factors": [
        ("p = np.cumprod(slopes[::-1])[::-1]\nreturn np.where(p < 1e-12, 0, p)", ""),
        ("return np.prod(slopes) / np.cumprod(slopes) * slopes", ""),
        ("return np.exp(np.cumsum(np.log(slopes[::-1]))[::-1])", ""),
        ("return np.cumprod(slopes[:0:-1])[::-1]", "shape"),
    ],
}  # fmt: skip
