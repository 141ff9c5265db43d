"""Right and wrong answers to the exercises of notebook 01."""

import numpy as np
import torch

from helpers.judge import State
from helpers.relu_approximation import check
from helpers.relu_approximation.nets import best_net, equal_pieces, hinges, sup_error
from tests.cases import Case, Wrong, stub


def nothing(*args):
    args[0] if args else None


# 1.1 The steepest hinge


def by_roots(beta, slope, residual, tolerance=0.04):
    roots = np.roots([1, 0, -4 * (residual + tolerance)])  # of c² = 4 (r + ε)
    return [float(roots.max() + 2 * beta - slope)]


def in_float32(beta, slope, residual, tolerance=0.04):
    rest = torch.tensor(residual + tolerance, dtype=torch.float32)
    return 2 * beta - slope + 2 * rest.sqrt()


STEEPEST = Case(
    check=check.steepest_slope,
    stub=(stub,),
    right=[
        (lambda b, m, r, e=0.04: 2 * b - m + 2 * np.sqrt(r + e),),
        (by_roots,),
        (in_float32,),
    ],
    wrong=[
        Wrong((lambda b, m, r, e: 2 * b + 2 * (r + e) ** 0.5,), "new slope of the net"),
        Wrong((lambda b, m, r, e: 2 * b - m + (r + e) ** 0.5,), "there only once"),
        Wrong((lambda b, m, r, e: 2 * b - m + 2 * e**0.5,), "left over at β is forgotten"),
        Wrong((lambda b, m, r, e: 2 * b - m + 2 * (e - r) ** 0.5,), "sign of r(β) is wrong"),
        Wrong((lambda b, m, r, e: 2 * b - m - 2 * (r + e) ** 0.5,), "smaller of the two roots"),
        Wrong((lambda b, m, r, e: 2 * (r + e) ** 0.5 - m,), "that term is forgotten"),
        Wrong((lambda b, m, r, e: 2 * b + m + 2 * (r + e) ** 0.5,), "it must be taken away"),
        Wrong((lambda b, m, r, e: b - m + 2 * (r + e) ** 0.5,), "counts twice"),
        Wrong((lambda b, m, r, e: 0.2,), "the lowest value of t²"),
        Wrong((nothing,), "is a `return` missing", State.MALFORMED),
        Wrong((lambda b, m, r, e: "0.4",), "expected numbers", State.MALFORMED),
        Wrong((lambda b, m, r, e: (0.2, 0.4),), "expected one number", State.MALFORMED),
        Wrong((lambda b, m, r, e: 1 / 0,), "ZeroDivisionError", State.RAISED),
    ],
)


# 1.2 The net's parameters

W1 = np.array([[0.2], [0.6], [0.8]])
B1 = np.array([0, -0.12, -0.48])
W2 = np.ones((1, 3))
BETA, ALPHA = np.array([0, 0.2, 0.6]), np.array([0.2, 0.6, 0.8])


def tensors():
    return tuple(torch.tensor(part, dtype=torch.float32) for part in equal_pieces(2))


SQUARE = Case(
    check=check.square_net,
    stub=(stub,),
    right=[
        (lambda: (W1, B1, W2, np.zeros(1)),),
        (lambda: [W1.tolist(), B1[:, None].tolist(), W2.tolist(), 0],),
        (lambda: best_net(2),),
        (tensors,),
        (lambda: best_net(5),),
        (lambda: tuple(hinges([0, 0.2, 0.6], [0.2, 0.6, 0.8])),),
    ],
    wrong=[
        Wrong((lambda: (W1, -B1, W2, 0),), "biases have the wrong sign"),
        Wrong((lambda: (W1, -BETA, W2, 0),), "with w = α the bias is −αβ"),
        Wrong((lambda: (W1, 0 * B1, W2, 0),), "all hinges sit at x = 0"),
        Wrong((lambda: (W1, B1, W1.T, 0),), "as steep as their product"),
        Wrong((lambda: tuple(hinges(BETA, np.cumsum(ALPHA))),), "slopes of the pieces"),
        Wrong((lambda: (W2.T, B1, W1.T, 0),), "W1 is all ones"),
        Wrong((lambda: (W1[:2], B1[:2], W2[:, :2], 0),), "third hinge is missing"),
        Wrong((lambda: tuple(best_net(1)),), "received 0.0555556"),
        Wrong((lambda: (W1.T, B1, W2, 0),), "W1: expected shape (3, 1)", State.MALFORMED),
        Wrong((lambda: (W1, B1, W2.T, 0),), "W2: expected shape (1, 3)", State.MALFORMED),
        Wrong((lambda: (W1, B1, W2),), "received 3", State.MALFORMED),
        Wrong((lambda: (W1, B1, W2, np.zeros(3)),), "b2 of shape (1,)", State.MALFORMED),
        Wrong((lambda: (W1, [], W2, 0),), "has no units", State.MALFORMED),
        Wrong((lambda: (W1, B1, W2, np.nan),), "must be a finite number"),
        Wrong((lambda: 0.04,), "received 0.04", State.MALFORMED),
        Wrong((lambda: None,), "is a `return` missing", State.MALFORMED),
    ],
)


# 1.3 The exact sup error


def parts(W1, b1, W2, b2):
    net = check.ReluNet(W1, b1, W2, b2)
    bends = net.breakpoints
    ends = np.concatenate([[0], bends, [1]])
    slopes = np.diff(net(ends)) / np.diff(ends)
    on_piece = (slopes / 2 > ends[:-1]) & (slopes / 2 < ends[1:])
    return net, bends, slopes / 2, on_piece


def size(net, *points):
    x = np.concatenate(points)
    return np.abs(x**2 - net(x)).max() if len(x) else 0


def by_pieces(W1, b1, W2, b2):
    """Return the error piece by piece, with the slope from the units that are on."""
    w, v = np.ravel(W1), np.ravel(W2)
    ends = sorted({0.0, 1.0} | {-b / u for u, b in zip(w, b1, strict=True) if u and 0 < -b / u < 1})
    worst = 0.0
    for p, q in zip(ends[:-1], ends[1:], strict=True):
        on = w * (p + q) / 2 + b1 > 0
        m, c = float(v[on] @ w[on]), float(v[on] @ b1[on] + b2[0])
        for x in {p, q, min(max(m / 2, p), q)}:
            worst = max(worst, abs(x * x - m * x - c))
    return worst


def reference(W1, b1, W2, b2):
    return np.array([sup_error(check.ReluNet(W1, b1, W2, b2)).value])


def no_vertices(*given):
    net, bends, _, _ = parts(*given)
    return size(net, bends, [0, 1])


def only_vertices(*given):
    net, _, vertices, on_piece = parts(*given)
    return size(net, vertices[on_piece])


def no_ends(*given):
    net, bends, vertices, on_piece = parts(*given)
    return size(net, bends, vertices[on_piece])


def signed(*given):
    net, bends, vertices, on_piece = parts(*given)
    x = np.concatenate([bends, [0, 1], vertices[on_piece]])
    return (x**2 - net(x)).max()


def signed_other_way(*given):
    net, bends, vertices, on_piece = parts(*given)
    x = np.concatenate([bends, [0, 1], vertices[on_piece]])
    return (net(x) - x**2).max()


def beyond_interval(W1, b1, W2, b2):
    net, _, vertices, on_piece = parts(W1, b1, W2, b2)
    w = W1[:, 0]
    return size(net, -b1[w != 0] / w[w != 0], [0, 1], vertices[on_piece])


def off_piece(*given):
    net, bends, vertices, _ = parts(*given)
    ends = np.concatenate([[0], bends, [1]])
    line = net(ends[:-1]) + 2 * vertices * (vertices - ends[:-1])
    return max(size(net, ends), np.abs(vertices**2 - line).max())


def grid(points):
    def answer(*given):
        return size(parts(*given)[0], np.linspace(0, 1, points))

    return answer


def divides_by_zero(W1, b1, W2, b2):
    with np.errstate(all="ignore"):
        bends = -b1 / W1[:, 0]
    net = check.ReluNet(W1, b1, W2, b2)
    if not np.isfinite(bends).all():
        return np.nan
    return sup_error(net).value


def changes_input(W1, b1, W2, b2):
    b1 /= -W1[:, 0]
    return 1.0


EXACT = Case(
    check=check.exact_error,
    stub=(stub,),
    right=[(by_pieces,), (reference,), (lambda *given: torch.tensor(by_pieces(*given)),)],
    wrong=[
        Wrong((no_vertices,), "vertices are missing"),
        Wrong((only_vertices,), "Only vertices"),
        Wrong((no_ends,), "two ends of the interval"),
        Wrong((signed,), "this is the largest x² − g(x)"),
        Wrong((signed_other_way,), "This is the largest g(x) − x²"),
        Wrong((beyond_interval,), "Breakpoints outside [0, 1]"),
        Wrong((off_piece,), "only on its own piece"),
        Wrong((grid(1001),), "A grid misses"),
        Wrong((grid(200_001),), "v = [-200000"),
        Wrong((divides_by_zero,), "has no breakpoint: dividing"),
        Wrong((changes_input,), "changed its input in place"),
        Wrong((lambda *given: 0.04,), "received 0.04"),
        Wrong((lambda *given: (0.04, 0.4),), "expected one number", State.MALFORMED),
        Wrong((nothing,), "is a `return` missing", State.MALFORMED),
    ],
)


# 1.4 Collapse a deep linear net


def forwards(weights, biases):
    A, B = np.ones((1, 1)), np.zeros(1)
    for W, b in zip(weights, biases, strict=True):
        A, B = W @ A, W @ B + b
    return A, B


def backwards(weights, biases):
    row, offset = torch.ones(1, 1, dtype=torch.float64), 0.0
    for W, b in zip(weights[::-1], biases[::-1], strict=True):
        offset = offset + (row @ torch.as_tensor(b)).item()
        row = row @ torch.as_tensor(W)
    return [row.item(), offset]


def two_points(weights, biases):
    at = []
    for x in (0, 1):
        a = np.array([x], dtype=np.float32)
        for W, b in zip(weights, biases, strict=True):
            a = W.astype(np.float32) @ a + b.astype(np.float32)
        at.append(a[0])
    return np.array([at[1] - at[0], at[0]])


def line(weights, biases):
    A, B = forwards(weights, biases)
    return A.item(), B.item()


def wrong_order(weights, biases):
    A = np.ones((1, 1))
    for W in weights:
        A = A @ W.T @ W
    return A.item(), 0.0


COLLAPSE = Case(
    check=check.collapse,
    stub=(stub,),
    right=[(forwards,), (backwards,), (two_points,)],
    wrong=[
        Wrong((lambda w, b: line(w, b)[::-1],), "the slope first"),
        Wrong((lambda w, b: (line(w, b)[0], 0),), "The offset is missing"),
        Wrong((lambda w, b: (line(w, b)[0], b[-1][0]),), "Only the last bias"),
        Wrong((lambda w, b: (line(w, b)[0], line(w, b)[1] - b[-1][0]),), "own bias is forgotten"),
        Wrong((lambda w, b: (line(w, b)[0], sum(v.sum() for v in b)),), "without passing through"),
        Wrong((lambda w, b: (sum(line(w, b)), line(w, b)[1]),), "output at x = 1"),
        Wrong((lambda w, b: (sum(W.sum() for W in w), line(w, b)[1]),), "layers multiply"),
        Wrong((lambda w, b: (1.0, 0.0),), "Index 0 is the slope"),
        Wrong((wrong_order,), "ValueError", State.RAISED),
        Wrong((lambda w, b: line(w, b)[0],), "expected α and β", State.MALFORMED),
        Wrong((lambda w, b: (*line(w, b), 1),), "received 3", State.MALFORMED),
        Wrong((nothing,), "is a `return` missing", State.MALFORMED),
    ],
)


# 1.5 The best line


def by_chord(a, b):
    half = (b - a) ** 2 / 8
    return a + b, -a * b - half, half


def by_middle(a, b):
    c, h = np.float32((a + b) / 2), np.float32(b - a)
    return np.array([2 * c, -(c**2) + h**2 / 8, h**2 / 8])


BEST_LINE = Case(
    check=check.best_line,
    stub=(stub,),
    right=[(by_chord,), (by_middle,), (lambda a, b: [torch.tensor(v) for v in by_chord(a, b)],)],
    wrong=[
        Wrong((lambda a, b: (a + b, -a * b, (b - a) ** 2 / 4),), "This is the chord"),
        Wrong(
            (lambda a, b: (a + b, -a * b - (b - a) ** 2 / 6, (b - a) ** 2 / 6),), "least squares"
        ),
        Wrong((lambda a, b: (a + b, -((a + b) ** 2) / 4, (b - a) ** 2 / 4),), "the tangent"),
        Wrong((lambda a, b: (*by_chord(a, b)[:2], (b - a) ** 2 / 4),), "The line is right"),
        Wrong((lambda a, b: (a + b, -a * b + (b - a) ** 2 / 8, (b - a) ** 2 / 8),), "is raised"),
        Wrong((lambda a, b: (1, -1 / 8, 1 / 8),), "best line for [0, 1]"),
        Wrong((lambda a, b: (a + b, -((b - a) ** 2) / 8, (b - a) ** 2 / 8),), "offset −ab"),
        Wrong((lambda a, b: (a + b, -a * b - 0.01, 0.01),), "indices 0, 1 and 2"),
        Wrong((lambda a, b: by_chord(a, b)[:2],), "received 2", State.MALFORMED),
        Wrong((nothing,), "is a `return` missing", State.MALFORMED),
    ],
)


# 1.7 N equal pieces


def pieces(change):
    def answer(units):
        h = 1 / units
        slopes = np.full(units, 2 * h)
        slopes[0] = h
        return tuple(change(h * np.arange(units), slopes, h))

    return answer


def looking_left(units):
    net = equal_pieces(units)
    x = np.arange(units, 0, -1) / units  # mirrored: hinges that are on to the left of 1, …
    slopes = np.full(units, 2 / units)
    slopes[0] = -(2 - 1 / units)
    return -np.ones((units, 1)), x, slopes[None], net(1.0)


PIECES = Case(
    check=check.pieces_net,
    stub=(stub,),
    right=[
        (pieces(lambda x, a, h: hinges(x, a, -(h**2) / 8)),),
        (lambda n: best_net(n),),
        (lambda n: tuple(torch.tensor(part) for part in equal_pieces(n)),),
        (looking_left,),
    ],
    wrong=[
        Wrong((pieces(lambda x, a, h: hinges(x, a)),), "The chords are not lowered"),
        Wrong((pieces(lambda x, a, h: hinges(x, a, -(h**2) / 4)),), "by their whole error"),
        Wrong((pieces(lambda x, a, h: hinges(x, a, h**2 / 8)),), "The chords are raised"),
        Wrong(
            (pieces(lambda x, a, h: hinges(x, np.cumsum(a), -(h**2) / 8)),), "slopes of the chords"
        ),
        Wrong((pieces(lambda x, a, h: hinges(x, 0 * a + 2 * h, -(h**2) / 8)),), "as steep as"),
        Wrong((pieces(lambda x, a, h: hinges(x + h, a, -(h**2) / 8)),), "first hinge sits at h"),
        Wrong((pieces(lambda x, a, h: hinges(x, a, -1 / 8)),), "that of one piece"),
        Wrong((lambda n: best_net(n + 1),), "the net has 3 units", State.MALFORMED),
        Wrong((lambda n: best_net(1),), "received 0.0555556"),
        Wrong(
            (lambda n: [part.T for part in equal_pieces(n)],), "it is transposed", State.MALFORMED
        ),
        Wrong((nothing,), "is a `return` missing", State.MALFORMED),
    ],
)


# 1.8 Plot the error


def drawn(draw, x="N", y="error", back=True):
    def answer(ax, units, errors):
        draw(ax, np.asarray(units), np.asarray(errors))
        ax.set(xlabel=x, ylabel=y)
        return ax if back else None

    return answer


def scales_set(ax, units, errors):
    ax.plot(units, errors, "s--", label="measured")
    ax.plot(units, 1 / np.asarray(units) ** 2, label="a law")
    ax.set_xscale("log", base=2)
    ax.set_yscale("log")


PLOT = Case(
    check=check.plot_errors,
    stub=(stub,),
    right=[
        (drawn(lambda ax, n, e: ax.loglog(n, e, marker="o")),),
        (drawn(scales_set),),
        (drawn(lambda ax, n, e: ax.loglog(n.tolist(), torch.tensor(e), "x:")),),
    ],
    wrong=[
        Wrong((drawn(lambda ax, n, e: ax.plot(n, e, "o-")),), "horizontal axis is linear"),
        Wrong((drawn(lambda ax, n, e: ax.semilogx(n, e, "o-")),), "vertical axis is linear"),
        Wrong((drawn(lambda ax, n, e: ax.loglog(e, n, "o-")),), "the axes are exchanged"),
        Wrong(
            (drawn(lambda ax, n, e: ax.plot(np.log10(n), np.log10(e), "o-")),),
            "logarithms are drawn",
        ),
        Wrong(
            (drawn(lambda ax, n, e: ax.loglog(n, e, "o-"), x=""),), "horizontal axis has no label"
        ),
        Wrong(
            (drawn(lambda ax, n, e: ax.loglog(n, e, "o-"), y=" "),), "vertical axis has no label"
        ),
        Wrong((drawn(lambda ax, n, e: ax.loglog(n, e)),), "no markers"),
        Wrong((drawn(lambda ax, n, e: None),), "nothing is drawn"),
        Wrong((drawn(lambda ax, n, e: ax.loglog(n, e / 2, "o-")),), "expected a line through"),
        Wrong(
            (drawn(lambda ax, n, e: ax.loglog(n, e, "o-"), back=False),),
            "is a `return` missing",
            State.MALFORMED,
        ),
        Wrong((lambda ax, n, e: ax.loglog(n, e, "o-"),), "axes to be returned", State.MALFORMED),
        Wrong((lambda ax, n, e: ax.nonsense(n),), "AttributeError", State.RAISED),
    ],
)


# 1.9 The sawtooth


def folded(x, layers, size=lambda s: 4.0**s, fold=True, start=None, first=1):
    t, total = np.asarray(x, dtype=float), np.asarray(x if start is None else start, dtype=float)
    for s in range(1, layers + 1):
        u = t if fold or s == 1 else np.asarray(x)
        t = 2 * np.maximum(u, 0) - 4 * np.maximum(u - 0.5, 0)
        total = total - t / size(s)
    return total


def interpolated(x, layers):
    knots = np.arange(2**layers + 1) / 2**layers
    return np.interp(x, knots, knots**2)


def with_tensors(x, layers):
    t = total = torch.as_tensor(x, dtype=torch.float32)
    for s in range(1, layers + 1):
        t = 2 * torch.relu(t) - 4 * torch.relu(t - 0.5)
        total = total - t / 4**s
    return total


def only_scalars(x, layers):
    t = x
    return t if t < 0.5 else 1 - t


def no_scalars(x, layers):
    return folded(x, layers) if np.ndim(x) else np.zeros(2)


def in_place(x, layers):
    if np.ndim(x):
        x *= 2
    return x


SAWTOOTH = Case(
    check=check.sawtooth,
    stub=(stub,),
    right=[(folded,), (interpolated,), (with_tensors,)],
    wrong=[
        Wrong((lambda x, m: folded(x, m, lambda s: 2.0**s),), "divided by 2ˢ"),
        Wrong((lambda x, m: folded(x, m, lambda s: 4.0 ** (s - 1)),), "subtracted whole"),
        Wrong((lambda x, m: folded(x, m, fold=False),), "never folded again"),
        Wrong((lambda x, m: 2 * np.asarray(x) - folded(x, m),), "The teeth are added"),
        Wrong((lambda x, m: 4**m * (folded(x, m - 1) - folded(x, m)),), "the sawtooth itself"),
        Wrong((lambda x, m: folded(x, m) - x,), "x in front is missing"),
        Wrong((lambda x, m: folded(x, m - 1),), "One folding too few"),
        Wrong((lambda x, m: folded(x, m + 1),), "One folding too many"),
        Wrong((lambda x, m: np.asarray(x) ** 2,), "straight between them"),
        Wrong((only_scalars,), "truth value", State.RAISED),
        Wrong((no_scalars,), "received shape (2,)", State.MALFORMED),
        Wrong((in_place,), "changed its input in place"),
        Wrong((nothing,), "is a `return` missing", State.MALFORMED),
    ],
)

CASES = [STEEPEST, SQUARE, EXACT, COLLAPSE, BEST_LINE, PIECES, PLOT, SAWTOOTH]
