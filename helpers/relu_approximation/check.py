"""The exercises of notebook 01. Nets are judged by their sup error, never by their weights."""

from collections.abc import Callable
from functools import partial
from itertools import pairwise
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from numpy.random import Generator
from numpy.typing import NDArray

from helpers import drawn
from helpers.differences import as_array, by_name, describe, malformed, wrong
from helpers.judge import Checklist, Given, Kind, each, named, plain
from helpers.relu_approximation import nets
from helpers.relu_approximation.nets import ReluNet, equal_pieces, hinges, sup_error

checklist = Checklist("1 · Approximating x² with a ReLU net")
progress = checklist.progress


def _numbers(call: Callable, answer: Callable, given: Given) -> Any:
    """Observe one number or several, each in as many brackets as the student likes."""
    value = call(answer, *given.args)
    several = isinstance(value, (tuple, list)) and len(value) > 1
    numbers = [np.squeeze(as_array(part))[()] for part in (value if several else [value])]
    return tuple(numbers) if several else numbers[0]


_exercise = partial(checklist.exercise, observe=_numbers, near=(1e-5, 1e-5))


def _hinge(rng: Generator, low: tuple, high: tuple, tolerance: float) -> Given:
    place, slope, rest = rng.uniform(low, high).tolist()
    return named(place=place, slope=slope, residual=rest * tolerance, tolerance=tolerance)


def _root(factor: float = 2, x2: float = 2, m: float = -1, rest: float = 1) -> Callable:
    """Return (p, m, r, ε) ↦ x2·p + m·m + factor·√(rest·r + ε), right for the default factors."""
    return lambda place, slope, residual, tolerance=0.04: (
        x2 * place + m * slope + factor * np.sqrt(rest * residual + tolerance)
    )


HINGES = (  # p, m and r(p)/ε lie between these; ε
    ((0.1, 0.1, 0.2), (0.5, 0.6, 0.9), 0.03),  # inside the band
    ((0.1, 0.1, -0.9), (0.5, 0.6, -0.2), 0.05),  # below the parabola
    ((0.05, 1.4, 0.2), (0.2, 2.0, 0.8), 0.04),  # too steep already
    ((0.8, -1.0, 1.0), (1.0, -0.2, 30), 0.02),  # flat, far right
    ((0.3, 0.1, -1.0), (0.9, 0.4, -1.0), 0.0625),  # on the edge
)
steepest_slope = _exercise(
    "1.1 The steepest hinge",
    _root(),
    {
        "any": each(_hinge, *HINGES),
        "one place": each(_hinge, *[((0.3, 0.2, 0.2), (0.3, 0.5, 0.2), 0.05)] * 2),
        "the first": lambda rng: named(place=0.0, slope=0.0, residual=0.0, tolerance=0.04),
        "the default": lambda rng: named(place=0.4, slope=0.6, residual=rng.uniform(0.004, 0.036)),
    },
    {
        "This is the net's slope after the hinge, m + k; give the hinge's own, k.": _root(m=0),
        "This is h; the hinge's own slope is k = h − m + 2p.": _root(m=0, x2=0),
        "The root counts twice: h²/4 = r(p) + ε gives h = 2√(r(p) + ε).": _root(1),
        "r(p) is missing under the root: it is r(p) + ε.": _root(rest=0),
        "Under the root the sign of r(p) is wrong: it is r(p) + ε.": _root(rest=-1),
        "This is the smaller of the two roots; the larger one is asked for.": _root(-2),
        "The parabola x² has the slope 2p at p; that term is missing.": _root(x2=0),
        "The slope m that the net already has is added; take it away.": _root(m=1),
        "This has ε = 0.04 whatever `tolerance` is.": lambda p, m, r, eps=0: _root()(p, m, r),
    },
    hint="With this k, the lowest value of t² − (m + k − 2p) t + r(p) is not −ε.",
)


def _measured(call: Callable, answer: Callable, given: Given) -> dict:
    """Observe the size of the student's net, its sup error, and its values along [0, 1]."""
    parts = by_name(call(answer, *given.args), "W1", "b1", "W2", "b2")
    try:
        net = ReluNet(*map(as_array, parts.values()))
    except ValueError as error:
        malformed(str(error))
    return {"units": net.units, "error": sup_error(net).value, "values": net(X)}


def _within(seen: dict, given: Given) -> None:
    """Refuse more units than were given, or an error above the bound for so many."""
    error, values = seen["error"], seen["values"]
    if seen["units"] > max(given.args, default=np.inf):
        one_more = "\nnp.arange(0, 1, h) can round to an entry too many; h * np.arange(N) does not."
        said = f"for {given}: the net has {seen['units']} units"
        malformed(said + one_more * (seen["units"] == given.args[0] + 1))
    bound = 1 / (8 * given.args[0] ** 2) if given.args else 0.04
    if not error <= bound * (1 + 1e-5) + 3e-7:  # the margin is what float32 costs
        i = np.abs(X**2 - values).argmax()
        wrong(
            f"for {given}: expected a sup error of at most {bound:.6g}, received {error:.6g}\n"
            f"at x = {X[i]:g} it gives {values[i]:.4g}, and x² = {X[i] ** 2:.4g}"
        )


def _of(w: NDArray, b: NDArray, c: NDArray) -> Callable:
    return lambda: (w[:, None], b, c[None], np.zeros(1))


X = np.linspace(0, 1, 501)
P, K, ONES = np.array([0, 0.2, 0.6]), np.array([0.2, 0.6, 0.8]), np.ones(3)
square_net = _exercise(
    "1.2 The net's parameters",
    _of(K, -K * P, ONES),
    lambda rng: Given((), said="the net"),
    {
        "b1 has the wrong signs: a hinge at p has the bias −wp.": _of(K, K * P, ONES),
        "W1 holds the slopes k, so the biases are −kp, not −p.": _of(K, -P, ONES),
        "W1 is all ones, so the biases are −p, not −kp.": _of(ONES, -K * P, K),
        "All biases are zero, so all hinges sit at x = 0.": _of(K, 0 * P, ONES),
        "The slopes stand in W1 and in W2, and multiply.": _of(K, -K * P, K),
        "A hinge adds the change of the slope.": _of(ONES, -P, np.cumsum(K)),
        "The third hinge is missing.": _of(ONES[:2], -P[:2], K[:2]),
    },
    observe=_measured,
    verify=_within,
    forbidden=((nets, "best_net"), (nets, "equal_pieces"), (nets, "hinges")),
)


def _both_signs(rng: Generator, units: int, low: float = -0.6, high: float = 1.6) -> ReluNet:
    """Return a net that meets x² at 0 and 1, with slopes of both signs and bends in [low, high]."""
    w = rng.uniform(0.3, 3, units) * rng.permutation(np.resize([1, -1], units))
    v = rng.uniform(0.3, 1.5, units) * rng.permutation(np.resize([1, -1], units))
    w, b = np.append(w, 1), np.append(-w * rng.uniform(low, high, units), 1)
    at_ends = np.maximum(np.outer([0, 1], w) + b, 0)
    v = np.append(v, 1 - np.diff(at_ends[:, :-1] @ v))  # a last unit without a bend in sight
    return ReluNet(w[:, None], b, v[None], -at_ends[0] @ v)


def _nets(rng: Generator) -> list[Given]:
    u = rng.uniform
    low, high = u(0.05, 0.15), u(0.7, 0.9)
    tooth = u(0.2, 0.8) + 1e-5 * np.array([-1, 0, 1]) * u(0.5, 1)  # narrower than any grid
    steep = 0.5 / (tooth[1] - tooth[0])
    made = [
        hinges([u(0.05, 0.2)], [1], 0.05),
        hinges(np.sort(u(0, 1, 3)), u(0.1, 1, 3), -0.03),
        hinges([u(0.3, 0.6)], [0.2], 0.9),  # too high everywhere
        *(_both_signs(rng, units) for units in (2, 3, 5, 8)),
        hinges([0, low, 0.9], [low, 0.9, 1 - low]),  # a wide piece in the middle
        _both_signs(rng, 3, -3, -0.5),  # no bend inside
        hinges([-0.5, high], [high, 1], -high / 2),  # worst in the first piece
        hinges([-0.5, 0.5, 3], [0.3, 1.2, 40], -0.2),  # bends outside
        hinges([0.25, 0.25, 0.75], u(0.2, 1, 3), -0.1),  # the same bend twice
        ReluNet([[0], [2]], [0.5, -0.9], [[0.3, u(0.5, 1)]], 0.05),  # a unit without a bend
        ReluNet([[0], [1]], [0, -0.4], [[1, u(1, 2)]], 0),  # a unit of zeros
        hinges([0, 0.5, *tooth], [0.5, 1, steep, -2 * steep, steep], -1 / 32),
    ]
    told = "a net with w = {}, b1 = {},\nc = {}, b2 = {}"
    return [Given(tuple(g), said=told.format(*(describe(p.ravel()) for p in g))) for g in made]


def _among(*places: str, size: Callable = np.abs) -> Callable:
    """Return the answer that looks at x² − ŷ(x) in these places alone."""

    def answer(W1: NDArray, b1: NDArray, W2: NDArray, b2: NDArray) -> float:
        net = ReluNet(W1, b1, W2, b2)
        ends = np.concatenate([[0], net.breakpoints, [1]])
        vertices = np.diff(net(ends)) / np.diff(ends) / 2
        on = (vertices > ends[:-1]) & (vertices < ends[1:])
        lines = net(ends[:-1]) + 2 * vertices * (vertices - ends[:-1])
        at_ends, tops, bends = ends**2 - net(ends), vertices**2 - lines, -b1 / W1[:, 0]
        left_over = {
            "ends": at_ends,
            "breakpoints": at_ends[1:-1],
            "vertices": tops[on],
            "off their piece": tops[~on],
            "everywhere": vertices**2 - net(vertices),
            "outside": bends**2 - net(bends),
        }
        found = np.concatenate([left_over[place] for place in places])
        return max(size(found[np.isfinite(found)]), default=0)

    return answer


def _exact(*parameters: NDArray) -> float:
    return sup_error(ReluNet(*parameters)).value


exact_error = _exercise(
    "1.3 The exact sup error",
    _exact,
    _nets,
    {
        "The vertices are missing: x² minus a line is a parabola.": _among("ends"),
        "Only vertices are looked at; 0, 1 and the breakpoints count, too.": _among("vertices"),
        "The output bias b2 is missing.": lambda W1, b1, W2, b2: _exact(W1, b1, W2, 0 * b2),
        "The ends of the interval, 0 and 1, are missing.": _among("breakpoints", "vertices"),
        "This is the largest x² − ŷ(x), without |·|.": _among("ends", "vertices", size=np.positive),
        "This is the largest ŷ(x) − x², without |·|.": _among("ends", "vertices", size=np.negative),
        "Breakpoints outside [0, 1] do not count.": _among("ends", "vertices", "outside"),
        "A vertex counts on its piece only.": _among("ends", "vertices", "off their piece"),
        "A vertex counts only where it lies on its own piece.": _among("ends", "everywhere"),
    },
    near=(2e-8, 2e-8),
    forbidden=((nets, "sup_error"),),
    hint="Candidates: 0, 1, breakpoints between them, and each piece's vertex if it lies on it.\n"
    "(The largest value on a grid is close to it, but too small.)",
)


def _layers(rng: Generator, *sizes: int) -> Given:
    """Return a linear net of these layer sizes, its slope below 0 where their number is odd."""
    weights = [rng.normal(size=(n, m)).round(2) for m, n in pairwise(sizes)]
    sign = np.sign(np.linalg.multi_dot([np.eye(1), *weights[::-1]]))
    weights[-1] *= sign * (-1) ** len(sizes)
    biases = [rng.normal(size=n).round(2) for n in sizes[1:]]
    return Given((weights, biases), said=f"a net of layer sizes {sizes}")


def _line(change: Callable = lambda m, c, bs: (m, c)) -> Callable:
    """Return (weights, biases) ↦ slope m and offset q, changed."""

    def answer(weights: list, biases: list) -> tuple:
        out = np.array([[0.0, 1.0]])  # the outputs at x = 0 and x = 1 tell the line
        for W, b in zip(weights, biases, strict=True):
            out = W @ out + b[:, None]
        return change(out[0, 1] - out[0, 0], out[0, 0], biases)

    return answer


LAYERS = (1, 3, 1), (1, 4, 4, 4, 1), (1, 3, 5, 2, 4, 1), (1, 1), (1, 1, 1, 1), (1, *[2] * 8, 1)
collapse = _exercise(
    "1.4 Collapse a deep linear net",
    _line(),
    each(_layers, *LAYERS),
    {
        "Return the slope m first, then the offset q.": _line(lambda m, c, bs: (c, m)),
        "The offset is missing: the biases add up to one.": _line(lambda m, c, bs: (m, 0)),
        "Only the last bias is counted.": _line(lambda m, c, bs: (m, bs[-1][0])),
        "The last layer's bias is missing.": _line(lambda m, c, bs: (m, c - bs[-1][0])),
        "Biases pass through later layers.": _line(lambda m, c, bs: (m, np.concatenate(bs).sum())),
        "This slope is the output at x = 1.": _line(lambda m, c, bs: (m + c, c)),
    },
    hint="Value 1 is the slope m, value 2 the offset q. At x = 0 the net gives q.\n"
    "A bias has the shape (n,), so an offset in NumPy starts as np.zeros(1), not (1, 1).",
)


def _interval(rng: Generator, low: float, high: float, width: float) -> Given:
    a = rng.uniform(low, high)
    return named(a=a, b=a + rng.uniform(width / 2, width))


def _chord(offset: float = -1 / 8, error: float = 1 / 8, ab: float = -1) -> Callable:
    """Return (a, b) ↦ slope, offset and error; offset and error in parts of (b − a)²."""
    return lambda a, b: (a + b, ab * a * b + offset * (b - a) ** 2, error * (b - a) ** 2)


INTERVALS = ((0.2, 1, 2), (2, 3, 0.5), (-0.9, -0.6, 3), (-4, -3, 2))
best_line = _exercise(
    "1.5 The best line",
    _chord(),
    {
        "any": each(_interval, *INTERVALS),
        "whole numbers": each(lambda rng, a, b: named(a=a, b=b), (0, 1), (1, 3), (-2, 2)),
    },
    {
        "This is the chord, which errs by (b − a)²/4 in the middle.": _chord(0, 1 / 4),
        "This is least squares, which errs by (b − a)²/6 at the ends.": _chord(-1 / 6, 1 / 6),
        "This is the tangent, which errs by (b − a)²/4 at the ends.": _chord(-1 / 4, 1 / 4),
        "The error is that of the chord, before it was lowered.": _chord(error=1 / 4),
        "The chord is raised; it lies above the parabola already.": _chord(1 / 8),
        "This is the best line for [0, 1]; use a and b.": lambda a, b: (1, -1 / 8, 1 / 8),
        "The chord's offset −ab is missing.": _chord(ab=0),
        "The chord's offset is −ab, with a minus.": _chord(ab=1),
    },
    hint="Value 1 is the slope, value 2 the offset, value 3 the sup error.",
)


def _pieces(
    offset: float = -1 / 8, first: int = 1, start: int = 0, each: Callable = np.asarray
) -> Callable:
    """Return N ↦ hinges from start/N on, the first one's slope first/N, and offset/N²."""
    return lambda n: tuple(
        hinges((np.arange(n) + start) / n, each([first] + [2] * (n - 1)) / n, offset / n**2)
    )


pieces_net = _exercise(
    "1.7 N equal pieces",
    lambda units: tuple(equal_pieces(units)),
    {  # 1/49 is rounded so that np.arange(0, 1, 1/49) has an entry too many
        "any": lambda rng: [named(units=n) for n in rng.permutation([3, 4, 5, 6]).tolist()],
        "few, many": lambda rng: [named(units=n) for n in (1, 2, int(rng.integers(9, 40)), 49)],
    },
    {
        "The chords are not lowered: b2 is 0.": _pieces(0),
        "The chords are lowered by all of their error; half is enough.": _pieces(-1 / 4),
        "The chords are raised; they lie above the parabola already.": _pieces(1 / 8),
        "These are the chords' slopes; a hinge adds a change of slope.": _pieces(each=np.cumsum),
        "The first hinge is too steep: the first chord's slope is h.": _pieces(first=2),
        "The first hinge sits at h, so the net is flat before it.": _pieces(start=1),
    },
    observe=_measured,
    verify=_within,
    forbidden=((nets, "best_net"), (nets, "equal_pieces")),
)


def _look_at_plot(ax: Axes, given: Given) -> None:
    wanted = np.stack(given.args, axis=1)
    found = drawn.through(ax, wanted)
    swapped = "err" in ax.get_xlabel().lower() and "err" not in ax.get_ylabel().lower()
    logarithms = drawn.through(ax, np.log10(wanted)) or drawn.through(ax, np.log(wanted))
    drawn.demand(
        (drawn.curves(ax), "nothing is to be seen on the axes `ax` that the function was given"),
        (not drawn.through(ax, wanted[:, ::-1]), "the axes are exchanged: units go to the right"),
        (not logarithms, "logarithms are drawn; draw the numbers, and make the axes logarithmic"),
        (found, f"for {given}: no visible line goes through these points"),
        (ax.get_xscale() == "log", f"the horizontal axis is {ax.get_xscale()}, not logarithmic"),
        (ax.get_yscale() == "log", f"the vertical axis is {ax.get_yscale()}, not logarithmic"),
        (ax.get_xlabel().strip(), "the horizontal axis has no label"),
        (ax.get_ylabel().strip(), "the vertical axis has no label"),
        (not swapped, "the labels are exchanged: units go to the right, errors up"),
        (any(curve.joined for curve in found), "the points are not joined by a line"),
        (any(curve.marked for curve in found), "the line has no markers to show the nets measured"),
    )


def _errors(rng: Generator, *units: int, kind: Callable = np.array) -> Given:
    errors = rng.permutation(rng.uniform(0.3, 1, len(units)) / np.square(units))
    return named(units=kind(units), errors=kind(errors))


plot_errors = _exercise(
    "1.8 Plot the error",
    lambda *args: args[0],
    lambda rng: [_errors(rng, 1, 2, 4, 8, 16), _errors(rng, 1, 3, 9, kind=list)],
    observe=drawn.on_new_axes,
    verify=_look_at_plot,
)


def _teeth(
    weight: Callable = lambda j, m: 4.0**-j,
    of_x: int = 1,
    more: int = 0,
    late: bool = False,
    again: bool = True,
) -> Callable:
    """Return (x, m) ↦ of_x·x − Σ weight(j, m)·Tⱼ(x), a sum of m + `more` teeth.

    Folded too `late`, its teeth begin with x; not folded `again`, every one is the first.
    """

    def answer(x: NDArray, layers: int) -> NDArray:
        tooth, total = x, of_x * x
        for j in range(1, layers + more + 1):
            folded = 1 - np.abs(1 - 2 * (tooth if again else x))
            total = total - weight(j, layers) * (tooth if late else folded)
            tooth = folded
        return total

    return answer


def _folded(points: Callable[[Generator], Any], *layers: int) -> Kind:
    return lambda rng: [named(note=f"layers = {m}", x=points(rng), layers=m) for m in layers]


sawtooth = _exercise(
    "1.9 The sawtooth",
    _teeth(),
    {
        "a few": _folded(lambda rng: rng.uniform(0, 1, 7), 3, 1, 2),
        "the ends": _folded(lambda rng: np.array([0.0, 0.5, 1.0]), 2, 3),
        "two axes": _folded(lambda rng: rng.uniform(0, 1, (3, 4)), 2, 4),
        "many layers": _folded(lambda rng: rng.uniform(0, 1, 9), 6),
        "a number": _folded(lambda rng: rng.uniform(0.1, 0.9), 2, 3),
    },
    {
        "The tooth is divided by 2ʲ; the arches shrink by 4.": _teeth(lambda j, m: 2.0**-j),
        "The first tooth is subtracted whole: j starts at 1.": _teeth(lambda j, m: 4.0 ** (1 - j)),
        "Only the first tooth is subtracted, not all.": _teeth(lambda j, m: (j == 1) / 4),
        "The first share uses x itself: fold first, then subtract.": _teeth(late=True),
        "Every share uses T(x); T_j is the tooth of T_(j−1).": _teeth(again=False),
        "The teeth are added; subtract them from x.": _teeth(lambda j, m: -(4.0**-j)),
        "This is the sawtooth; ŷ is x minus all the teeth.": _teeth(lambda j, m: -(j == m), 0),
        "The x in front is missing: ŷ is x minus the teeth.": _teeth(of_x=0),
        "One folding too few.": _teeth(more=-1),
        "One folding too many.": _teeth(more=1),
        "This is x² itself; ŷ is the broken line near it.": lambda x, m: np.square(x),
    },
    observe=plain,
    elementwise=True,
    forbidden=((nets, "sawtooth_net"),),
    hint="ŷ should meet the parabola at the multiples of 2^−J and be straight between them.",
)
