"""Right and wrong answers to the exercises of notebook 01, as students write them."""

SUP = """
def exact_error(W1, b1, W2, b2):
    w, c = np.ravel(W1), np.ravel(W2)
    def g(x):
        return float(np.maximum(w * x + b1, 0) @ c + b2[0])
    ends = sorted({0.0, 1.0, *(-b / a for a, b in zip(w, b1) if a != 0 and 0 < -b / a < 1)})
    best = max(abs(p * p - g(p)) for p in ends)
    for p, q in zip(ends, ends[1:]):
        m = (g(q) - g(p)) / (q - p)
        if p < m / 2 < q:
            best = max(best, abs(m * m / 4 - g(m / 2)))
    return best
"""
GRID = """
def exact_error(W1, b1, W2, b2):
    x = np.linspace(0, 1, {points})
    {more}
    g = np.maximum(x[:, None] * W1[:, 0] + b1, 0) @ W2[0] + b2
    return np.max(np.abs(x**2 - g))
"""
PIECES = """
def pieces_net(units):
    h = 1 / units
    places = {places}
    slopes = np.array([(2 * k + 1) * h for k in range(len(places))])
    W2 = np.diff(slopes, prepend=0)[None, :]
    return np.ones((len(places), 1)), -places, W2, np.array([-h * h / 8])
"""
SAW = """
def sawtooth(x, layers):
    t = f = np.asarray(x, float)
    for s in range(layers):
        t = np.where(t < 0.5, 2 * t, 2 - 2 * t)
        f = f - t / 4 ** (s + 1)
    return f
"""
PLOT = """
def plot_errors(ax, units, errors):
    ax.plot(units, errors, 'o-')
    ax.set_xscale('log')
    ax.set_yscale('log')
    ax.set_xlabel('N')
    ax.set_ylabel('error')
    return ax
"""
NET = """
def square_net():
    w, b, v, c = {}
    return w, b, v, c
"""
ASSIGNMENT = "[[0.2], [0.6], [0.8]], [0, -0.12, -0.48], [[1, 1, 1]], [0]"

RIGHT = {
    "steepest_slope": [
        "c = 2 * (residual + tolerance) ** 0.5\nreturn c + 2 * place - slope",
        "return np.roots([1, -2 * (2 * place - slope), (2 * place - slope) ** 2\n"
        "                 - 4 * (residual + tolerance)]).real.max()",
    ],
    "square_net": [
        NET.format(ASSIGNMENT),
        NET.format("[np.array(p, np.float32) for p in (" + ASSIGNMENT + ")]"),
        "def square_net():\n    a, c = nn.Linear(1, 2), nn.Linear(2, 1)\n"
        "    with torch.no_grad():\n"
        "        a.weight[:] = 1; a.bias[:] = torch.tensor([-0.2, -0.6])\n"
        "        c.weight[:] = 0.8; c.bias[:] = 0.02\n"
        "    return a.weight, a.bias, c.weight, c.bias".replace("nn.", "torch.nn."),
    ],
    "exact_error": [
        SUP,
        GRID.format(points=3, more="").split("    x =")[0]
        + """
    w, b = W1[:, 0], b1
    g = lambda x: np.maximum(np.outer(x, w) + b, 0) @ W2[0] + b2[0]
    keep = np.abs(w) > 0
    p = -b[keep] / w[keep]
    p = np.unique(np.r_[0, p[(p > 0) & (p < 1)], 1])
    m = (g(p[1:]) - g(p[:-1])) / (p[1:] - p[:-1]) / 2
    m = m[(m > p[:-1]) & (m < p[1:])]
    x = np.r_[p, m]
    return np.array([abs(x * x - g(x)).max()])
""",
    ],
    "collapse": [
        "def net(x):\n    a = np.array([x])\n    for W, b in zip(weights, biases):\n"
        "        a = W @ a + b\n    return a[0]\nreturn net(1.0) - net(0.0), net(0.0)",
        "A = np.linalg.multi_dot(weights[::-1]) if len(weights) > 1 else weights[0]\n"
        "B = biases[0]\nfor W, b in zip(weights[1:], biases[1:]):\n    B = W @ B + b\nreturn A, B",
    ],
    "best_line": [
        "m = a + b\nmid = m / 2\ngap = m * mid - a * b - mid**2\n"
        "return [m, -a * b - gap / 2, gap / 2]",
        "e = (b - a) ** 2 / 8\nreturn np.array([a + b, a * a - e - (a + b) * a, e])",
    ],
    "pieces_net": [
        PIECES.format(places="h * np.arange(units)"),
        PIECES.format(places="np.linspace(0, 1, units, endpoint=False)"),
        "h = 2 / (2 * units + 1)\n"
        "return (np.ones((units, 1), np.float32), np.float32(-h * (np.arange(units) + 0.5)),\n"
        "        np.full((1, units), 2 * h, np.float32), np.float32([h * h / 8]))",
    ],
    "plot_errors": [
        PLOT,
        "ax.plot(units, errors)\nax.scatter(units, errors)\n"
        "ax.set(xscale='log', yscale='log', xlabel='units',\n       ylabel='sup error')\nreturn ax",
    ],
    "sawtooth": [
        SAW,
        "k = 2**layers\nlo = np.floor(np.asarray(x) * k) / k\n"
        "return (2 * lo + 1 / k) * (x - lo) + lo**2",
    ],
}  # fmt: skip

WRONG = {
    "steepest_slope": [
        ("return 2 * place - slope + 2 * np.sqrt(tolerance - residual)", "the sign of r(p)"),
        ("return np.clip(2 * place - slope + 2 * np.sqrt(residual + tolerance), 0, 1)", ""),
        ("return abs(2 * place - slope + 2 * np.sqrt(residual + tolerance))", ""),
        ("t = np.linspace(1e-6, 1 - place, 100001)\n"
         "return ((t**2 + residual + tolerance) / t).min() + 2 * place - slope", ""),
        ("def steepest_slope(place, slope, residual, tolerance=0.05):\n"
         "    return 2 * place - slope + 2 * np.sqrt(residual + tolerance)", ""),
    ],
    "square_net": [
        (NET.format(ASSIGNMENT.replace("-0.48", "-0.6")), "expected a sup error of at most 0.04"),
        (NET.format("[[0.2, 0.6, 0.8]], [0, -0.12, -0.48], [[1, 1, 1]], [0]"), "so W1 needs"),
        (NET.format(ASSIGNMENT.replace("-0.48", "np.nan")), "finite"),
        ("return tuple(best_net(2))", "it uses"),
        ("return best_net(2)", "it uses"),
    ],
    "exact_error": [
        (GRID.format(points=1001, more=""), "largest value on a grid"),
        (GRID.format(points=1001, more="w = W1[:, 0]; p = -b1[w != 0] / w[w != 0]; "
                     "x = np.append(x, p[(p > 0) & (p < 1)])"), "for a net with"),
        (SUP.replace("for p, q in zip(ends, ends[1:])", "for p, q in zip(ends[1:], ends[2:])"), ""),
        ("return sup_error(ReluNet(W1, b1, W2, b2)).value", "it uses"),
    ],
    "collapse": [
        ("A, B = np.ones((1, 1)), np.zeros((1, 1))\nfor W, b in zip(weights, biases):\n"
         "    A, B = W @ A, W @ B + b\nreturn A, B", "np.zeros(1)"),
        ("A, B = np.ones((1, 1)), np.zeros(1)\nfor W, b in zip(weights, biases):\n"
         "    A, B = W @ A, W @ B + b\nreturn float(np.linalg.norm(A)), B.item()", "expected -"),
        ("A = weights[1] @ weights[0]\nreturn A, weights[1] @ biases[0] + biases[1]", ""),
        ("for W, b in zip(weights, biases):\n    b += 1\nreturn 1, 2", "changed its input"),
    ],
    "best_line": [
        ("return a + b, -a * b - (b - a) / 8, (b - a) / 8", "expected"),
        ("e = (b - abs(a)) ** 2 / 8\nreturn a + b, -a*b - e, e", ""),
    ],
    "pieces_net": [
        (PIECES.format(places="np.arange(0, 1, 1 / units)"), "np.arange(0, 1, h) can round"),
        ("return tuple(best_net(units))", "it uses"),
        ("return tuple(equal_pieces(units))", "it uses"),
    ],
    "plot_errors": [
        ("ax.loglog(units, errors, marker='o')\nax.set(xlabel='N', ylabel='error')\n"
         "ax.set_axis_off()\nreturn ax", "off"),
        (PLOT.replace("'o-'", "'-'"), "no markers"),
        (PLOT.replace("'o-'", "'o'"), "not joined"),
        (PLOT.replace("    ax.set_yscale('log')\n", ""), "vertical axis is linear"),
        (PLOT.replace("    ax.set_xlabel('N')\n", ""), "horizontal axis has no label"),
        (PLOT.replace("units, errors, ", "np.log10(units), np.log10(errors), "), ""),
        (PLOT.replace("units, errors, ", "errors, units, "), "exchanged"),
        (PLOT.replace("units, errors, ", "units, np.sort(errors)[::-1], "), ""),
        (PLOT.replace("return ax", "return ax.lines"), "axes to be returned"),
        (PLOT.replace("'o-'", "'o-', color='w'"), "nothing is to be seen"),
    ],
    "sawtooth": [
        ("t = f = x\nfor s in range(1, layers + 1):\n    f, t = f - t / 4**s, 1 - abs(2 * t - 1)\n"
         "return f", "fold first"),
        (SAW.replace("np.asarray(x, float)", "np.ravel(x)"), "shape"),
        (SAW.replace("2 - 2 * t)", "2 - 2 * t)[()] if s else 2 * t"), ""),
        ("return sawtooth_net(layers)(x) + 4.0**-layers / 8", "it uses"),
    ],
}  # fmt: skip
