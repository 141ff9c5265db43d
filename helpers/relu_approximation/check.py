"""The exercises of notebook 01. Nets are judged by their sup error, never by their weights."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from itertools import pairwise
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from numpy.random import Generator
from numpy.typing import NDArray

from helpers import drawn
from helpers.differences import as_array, describe, malformed, wrong
from helpers.judge import Checklist, Given, Kind, Task
from helpers.relu_approximation import nets
from helpers.relu_approximation.nets import ReluNet, equal_pieces, hinges, sup_error

checklist = Checklist("1 · Approximating x² with a ReLU net")
progress = checklist.progress

X = np.linspace(0, 1, 501)


def _numbers(count: int) -> Callable[[Callable, Callable, Given], Any]:
    """Return the observation of an answer that is one number or several, however wrapped."""

    def observe(call: Callable, answer: Callable, given: Given) -> Any:
        value = call(answer, *given.args)
        parts = [value] if count == 1 else value
        if not isinstance(parts, (tuple, list, np.ndarray)) or len(parts) != count:
            malformed(f"for {given}: expected {count} numbers, received {describe(value)}")
        arrays = [as_array(part) for part in parts]
        for array in arrays:
            if array.size != 1:
                malformed(f"for {given}: expected a number, received shape {array.shape}")
        return tuple(array.reshape(()) for array in arrays)

    return observe


# --- 1.1 -----------------------------------------------------------------------------------------


def _hinge(low: Sequence[float], high: Sequence[float], *tolerance: float) -> Kind:
    """Return a kind of β, m and r(β) between the given ones; r counts in tolerances."""
    eps = tolerance[0] if tolerance else 0.04

    def kind(rng: Generator) -> Given:
        beta, slope, rest = (float(x) for x in rng.uniform(low, high))
        args = (beta, slope, rest * eps, *tolerance)
        words = ["β = {:.6g}, slope = {:.6g}, residual = {:.6g}", "tolerance = {:g}"]
        return Given(args, said=", ".join(words[: len(tolerance) + 1]).format(*args))

    return kind


def _steepest(beta: float, slope: float, residual: float, tolerance: float = 0.04) -> float:
    """Return the steepest slope by bisection on the lowest point of what is left over."""
    low, high = 2 * beta - slope, 2 * beta - slope + 10
    for _ in range(80):
        alpha = (low + high) / 2
        t = max((slope + alpha - 2 * beta) / 2, 0)
        dips = (beta + t) ** 2 - (beta**2 - residual) - (slope + alpha) * t < -tolerance
        low, high = (low, alpha) if dips else (alpha, high)
    return low


def _with_root(
    factor: float = 2, x2: float = 2, m: float = -1, rest: float = 1
) -> Callable[..., float]:
    """Return (β, m, r, ε) ↦ x2·β + m·m + factor·√(rest·r + ε), right for the default factors."""
    return lambda beta, slope, residual, tolerance=0.04: (
        x2 * beta + m * slope + factor * np.sqrt(max(rest * residual + tolerance, 0))
    )


steepest_slope = checklist.exercise(
    "1.1 The steepest hinge",
    Task(
        _steepest,
        {
            "inside the band": _hinge((0.1, 0.1, 0.2), (0.5, 0.6, 0.9), 0.03),
            "below the parabola": _hinge((0.1, 0.1, -0.9), (0.5, 0.6, -0.2), 0.05),
            "the default": _hinge((0.2, 0.2, 0.1), (0.6, 0.8, 0.9)),
            "the first": lambda rng: (0.0, 0.0, 0.0, 0.04),
            "too steep already": _hinge((0.05, 1.4, 0.2), (0.2, 2.0, 0.8), 0.04),
            "flat, far right": _hinge((0.8, -1.0, 1.0), (1.0, -0.2, 30), 0.02),
            "on the edge": _hinge((0.3, 0.1, -1.0), (0.9, 0.4, -1.0), 0.0625),
        },
        {
            "This is the new slope of the net, m + α; the hinge's own slope α is asked for.": (
                _with_root(m=0)
            ),
            "The root is there only once: c²/4 = r(β) + ε gives c = 2√(r(β) + ε).": _with_root(1),
            "What is left over at β is forgotten: under the root stands r(β) + ε.": (
                _with_root(rest=0)
            ),
            "Under the root the sign of r(β) is wrong: it is r(β) + ε.": _with_root(rest=-1),
            "This is the smaller of the two roots; the larger one is asked for.": _with_root(-2),
            "The parabola x² has the slope 2β at β; that term is forgotten.": _with_root(x2=0),
            "The slope m that the net already has is added; it must be taken away.": (
                _with_root(m=1)
            ),
            "β counts twice here: the slope of x² at β is 2β.": _with_root(x2=1),
            "The tolerance is an argument; this has 0.04 whatever it is.": (
                lambda beta, slope, residual, tolerance=0.04: _steepest(beta, slope, residual)
            ),
        },
        observe=_numbers(1),
        rtol=1e-5,
        atol=2e-6,
        hint="With this α, the lowest value of t² − (m + α − 2β) t + r(β) is not −ε.",
    ),
)


# --- 1.2 and 1.7: any net that keeps the bound ---------------------------------------------------


def _network(value: Any) -> ReluNet:
    """Return the student's (W1, b1, W2, b2) as a net, or say what does not fit."""
    if not isinstance(value, (tuple, list)) or len(value) != 4:
        malformed(f"expected four things, W1, b1, W2 and b2; received {describe(value)}")
    W1, b1, W2, b2 = (as_array(part).astype(np.float64) for part in value)
    units = b1.size
    if units == 0:
        malformed("the net has no units; b1 is empty")
    for name, array, shape in (("W1", W1, (units, 1)), ("W2", W2, (1, units))):
        if array.shape != shape:
            hint = "it is transposed" if array.shape == shape[::-1] else f"b1 holds {units} biases"
            malformed(f"{name}: expected shape {shape}, received {array.shape}; {hint}")
    if b1.shape not in ((units,), (units, 1)) or b2.size != 1:
        malformed(
            f"expected b1 of shape ({units},) and b2 of shape (1,); "
            f"received {b1.shape} and {b2.shape}"
        )
    for name, array in (("W1", W1), ("b1", b1), ("W2", W2), ("b2", b2)):
        if not np.isfinite(array).all():
            wrong(f"{name} holds {describe(array)}; every entry must be a finite number")
    return ReluNet(W1, b1.ravel(), W2, b2.reshape(1))


def _measured(call: Callable, answer: Callable, given: Given) -> dict:
    """Return the size of the net, its sup error and where, and its values along [0, 1]."""
    net = _network(call(answer, *given.args))
    error = sup_error(net)
    x = error.points[0]
    return {
        "units": net.units,
        "error": error.value,
        "at": f"at x = {x:.4g}, where x² = {x * x:.4g} and the net gives {net(x):.4g}",
        "values": net(X),
    }


def _keeps(bound: Callable[[int], float], most: bool) -> Callable[[dict, Given], None]:
    def verify(seen: dict, given: Given) -> None:
        n = given.args[0] if given.args else 0
        if most and seen["units"] > n:
            malformed(f"for {given}: the net has {seen['units']} units")
        # The margin is what parameters in float32 cost.
        if not seen["error"] <= bound(n) * (1 + 1e-5) + 3e-7:
            wrong(
                f"for {given}: expected a sup error of at most {bound(n):.6g}, "
                f"received {seen['error']:.6g}\n{seen['at']}"
            )

    return verify


def _always(net: ReluNet) -> Callable[[], tuple]:
    return lambda: tuple(net)


BETA, ALPHA = np.array([0.0, 0.2, 0.6]), np.array([0.2, 0.6, 0.8])  # the assignment's net
ONES = np.ones((1, 3))
square_net = checklist.exercise(
    "1.2 The net's parameters",
    Task(
        _always(hinges(BETA, ALPHA)),
        {"once": lambda rng: Given((), said="the net")},
        {
            "The biases have the wrong sign: a hinge at β needs the bias −wβ.": _always(
                ReluNet(ALPHA[:, None], ALPHA * BETA, ONES, 0)
            ),
            "The biases are −β, but W1 holds the slopes: with w = α the bias is −αβ.": _always(
                ReluNet(ALPHA[:, None], -BETA, ONES, 0)
            ),
            "All biases are zero, so all hinges sit at x = 0.": _always(
                ReluNet(ALPHA[:, None], 0 * BETA, ONES, 0)
            ),
            "The slopes stand in W1 and in W2, so each hinge is as steep as their product.": (
                _always(hinges(BETA, ALPHA**2))
            ),
            "These are the slopes of the pieces; a hinge adds the change of the slope.": (
                _always(hinges(BETA, np.cumsum(ALPHA)))
            ),
            "The biases are −αβ, but W1 is all ones: with w = 1 the bias is −β.": (
                _always(hinges(ALPHA * BETA, ALPHA))
            ),
            "The third hinge is missing.": _always(hinges(BETA[:2], ALPHA[:2])),
        },
        observe=_measured,
        verify=_keeps(lambda _: 0.04, most=False),
        forbidden=((nets, "best_net"), (nets, "equal_pieces"), (nets, "hinges")),
    ),
)


def _pieces(
    change: Callable[[NDArray, NDArray, float], tuple[NDArray, NDArray, float]],
) -> Callable[[int], tuple]:
    """Return units ↦ a net like the right one, with breakpoints, slopes and offset changed."""

    def build(units: int) -> tuple:
        right, h = equal_pieces(units), 1 / units
        return tuple(hinges(*change(-right.b1, right.W2[0], h)))

    return build


pieces_net = checklist.exercise(
    "1.7 N equal pieces",
    Task(
        lambda units: tuple(equal_pieces(units)),
        {
            "some units": lambda rng: _units(rng.choice([3, 4, 5, 6, 7], 2, replace=False)),
            "one and two": lambda rng: _units([1, 2]),
            "many": lambda rng: _units([10, rng.integers(20, 40)]),
            "where 1/N is rounded": lambda rng: _units([49]),
        },
        {
            "The chords are not lowered: b2 is 0.": _pieces(lambda b, a, h: (b, a, 0)),
            "The chords are lowered by their whole error; half of it is enough.": (
                _pieces(lambda b, a, h: (b, a, -(h**2) / 4))
            ),
            "The chords are raised; they lie above the parabola and must be lowered.": (
                _pieces(lambda b, a, h: (b, a, h**2 / 8))
            ),
            "These are the slopes of the chords; a hinge adds the change of the slope.": (
                _pieces(lambda b, a, h: (b, np.cumsum(a), -(h**2) / 8))
            ),
            "The first hinge is as steep as the others; the first chord's slope is h.": (
                _pieces(lambda b, a, h: (b, 0 * a + 2 * h, -(h**2) / 8))
            ),
            "The first hinge sits at h, so the net is flat on the first piece.": (
                _pieces(lambda b, a, h: (b + h, a, -(h**2) / 8))
            ),
            "The offset is that of one piece, −1/8; with h = 1/N it is −h²/8.": (
                _pieces(lambda b, a, h: (b, a, -1 / 8))
            ),
        },
        observe=_measured,
        verify=_keeps(lambda n: 1 / (8 * n**2), most=True),
        forbidden=((nets, "best_net"), (nets, "equal_pieces")),
    ),
)


def _units(counts: Sequence[int] | NDArray) -> list[Given]:
    return [Given((int(n),), said=f"units = {n}") for n in counts]


# --- 1.3 -----------------------------------------------------------------------------------------


def _net(make: Callable[[Generator], ReluNet]) -> Kind:
    def kind(rng: Generator) -> Given:
        net = make(rng)
        w, b, v, offset = (describe(part.ravel()) for part in net)
        return Given(tuple(net), said=f"a net with w = {w}, b = {b},\nv = {v}, b2 = {offset}")

    return kind


def _any_net(rng: Generator, units: int = 5, low: float = -0.6, high: float = 1.6) -> ReluNet:
    """Return a net of both signs that meets x² at 0 and 1, with bends from `low` to `high`."""
    w = rng.uniform(0.3, 3, units) * rng.permutation(np.resize([1, -1], units))
    v = rng.uniform(0.3, 1.5, units) * rng.permutation(np.resize([1, -1], units))
    w, b = np.append(w, 1), np.append(-w * rng.uniform(low, high, units), 1)
    rise = float(np.diff(np.maximum(np.outer([0, 1], w) + b, 0)[:, :-1] @ v)[0])
    v = np.append(v, 1 - rise)  # a last unit without a bend in sight
    return ReluNet(w[:, None], b, v[None], -np.maximum(b, 0) @ v)


def _spike(rng: Generator) -> ReluNet:
    """Return a net that stays near x² but for one tooth, narrower than any grid."""
    beta = rng.uniform(0.2, 0.8) + 1e-5 * np.array([-1, 0, 1]) * rng.uniform(0.5, 1)
    steep = 0.5 / (beta[1] - beta[0])
    return hinges([0, 0.5, *beta], [0.5, 1, steep, -2 * steep, steep], -1 / 32)


def _candidates(net: ReluNet) -> tuple[NDArray, NDArray, NDArray]:
    """Return the pieces' ends, all their vertices, and those that lie on their own piece."""
    ends = np.concatenate([[0], net.breakpoints, [1]])
    vertices = np.diff(net(ends)) / np.diff(ends) / 2
    return ends, vertices, vertices[(vertices > ends[:-1]) & (vertices < ends[1:])]


def _largest(
    points: Callable[[ReluNet], NDArray], size: Callable[[NDArray], NDArray] = np.abs
) -> Callable[..., float]:
    """Return the answer that looks at these points alone."""

    def answer(W1: NDArray, b1: NDArray, W2: NDArray, b2: NDArray) -> float:
        net = ReluNet(W1, b1, W2, b2)
        x = points(net)
        return float(size(x**2 - net(x)).max()) if len(x) else 0.0

    return answer


def _all(net: ReluNet) -> NDArray:
    ends, _, inside = _candidates(net)
    return np.concatenate([ends, inside])


def _off_piece(W1: NDArray, b1: NDArray, W2: NDArray, b2: NDArray) -> float:
    """Return the largest |x² − line| at ends and vertices, each on its line wherever it lies."""
    net = ReluNet(W1, b1, W2, b2)
    ends, vertices, _ = _candidates(net)
    values = net(ends[:-1]) + 2 * vertices * (vertices - ends[:-1])
    return float(max(np.abs(vertices**2 - values).max(), np.abs(ends**2 - net(ends)).max()))


exact_error = checklist.exercise(
    "1.3 The exact sup error",
    Task(
        lambda W1, b1, W2, b2: sup_error(ReluNet(W1, b1, W2, b2)).value,
        {
            "one unit": _net(lambda rng: hinges([rng.uniform(0.05, 0.2)], [1.0], 0.05)),
            "a few hinges": _net(
                lambda rng: hinges(np.sort(rng.uniform(0, 1, 3)), rng.uniform(0.1, 1, 3), -0.03)
            ),
            "too low, too high": _net(lambda rng: hinges([rng.uniform(0.3, 0.6)], [0.2], 0.9)),
            "both signs": lambda rng: [_net(partial(_any_net, units=n))(rng) for n in (2, 3, 5, 8)],
            "a wide piece in the middle": _net(
                lambda rng: hinges([0, u := rng.uniform(0.05, 0.15), 0.9], [u, 0.9, 1 - u], 0.0)
            ),
            "none inside": _net(lambda rng: _any_net(rng, 3, -3, -0.5)),
            "worst in the first piece": _net(
                lambda rng: hinges([-0.5, u := rng.uniform(0.7, 0.9)], [u, 1.0], -u / 2)
            ),
            "bends outside": _net(lambda rng: hinges([-0.5, 0.5, 3.0], [0.3, 1.2, 40], -0.2)),
            "the same bend twice": _net(
                lambda rng: hinges([0.25, 0.25, 0.75], rng.uniform(0.2, 1, 3), -0.1)
            ),
            "a unit without a bend": _net(
                lambda rng: ReluNet([[0.0], [2.0]], [0.5, -0.9], [[0.3, rng.uniform(0.5, 1)]], 0.05)
            ),
            "a unit of zeros": _net(
                lambda rng: ReluNet([[0.0], [1.0]], [0.0, -0.4], [[1.0, rng.uniform(1, 2)]], 0.0)
            ),
            "a tooth": _net(_spike),
        },
        {
            "The vertices are missing: between two breakpoints the difference is a parabola.": (
                _largest(lambda net: _candidates(net)[0])
            ),
            "Only vertices are looked at; 0, 1 and the breakpoints are candidates too.": (
                _largest(lambda net: _candidates(net)[2])
            ),
            "The two ends of the interval, 0 and 1, are missing among the candidates.": (
                _largest(lambda net: np.concatenate([net.breakpoints, _candidates(net)[2]]))
            ),
            "The size is meant, |x² − g(x)|: this is the largest x² − g(x).": (
                _largest(_all, lambda difference: difference)
            ),
            "The size is meant, |x² − g(x)|: this is the largest g(x) − x².": (
                _largest(_all, lambda difference: -difference)
            ),
            "The vertices of the first and the last piece are missing, next to 0 and 1.": (
                _largest(lambda net: np.concatenate([_candidates(net)[0], _inner(net)]))
            ),
            "Breakpoints outside [0, 1] are among the candidates; only the interval counts.": (
                _largest(lambda net: np.concatenate([_all(net), _everywhere(net)]))
            ),
            "A vertex counts only on its own piece: elsewhere the net follows another line.": (
                _off_piece
            ),
        },
        observe=_numbers(1),
        rtol=2e-8,
        atol=2e-8,
        forbidden=((nets, "sup_error"),),
        hint="Candidates are 0, 1, the breakpoints in between, and each piece's vertex where it "
        "lies on the piece.",
    ),
)


def _inner(net: ReluNet) -> NDArray:
    ends, vertices, _ = _candidates(net)
    on = (vertices > ends[:-1]) & (vertices < ends[1:])
    return vertices[1:-1][on[1:-1]]


def _everywhere(net: ReluNet) -> NDArray:
    moving = net.W1[:, 0] != 0
    return -net.b1[moving] / net.W1[moving, 0]


# --- 1.4 and 1.5 ---------------------------------------------------------------------------------


def _layers(*sizes: int) -> Kind:
    def kind(rng: Generator) -> Given:
        weights = [rng.normal(size=(n, m)).round(2) for m, n in pairwise(sizes)]
        biases = [rng.normal(size=n).round(2) for n in sizes[1:]]
        return Given((weights, biases), said=f"a net of layer sizes {sizes}")

    return kind


def _line(weights: Sequence[NDArray], biases: Sequence[NDArray]) -> tuple[float, float]:
    """Return slope and offset of the line from its values at 0 and at 1."""
    zero, one = (_forward(x, weights, biases) for x in (0.0, 1.0))
    return one - zero, zero


def _forward(x: float, weights: Sequence[NDArray], biases: Sequence[NDArray]) -> float:
    a = np.array([x])
    for W, b in zip(weights, biases, strict=True):
        a = W @ a + b
    return float(a[0])


def _instead(offset: Callable[[list, list], float]) -> Callable[[list, list], tuple]:
    """Return the answer with the right slope and another offset."""
    return lambda weights, biases: (_line(weights, biases)[0], offset(weights, biases))


collapse = checklist.exercise(
    "1.4 Collapse a deep linear net",
    Task(
        _line,
        {
            "two layers": _layers(1, 3, 1),
            "three layers": _layers(1, 4, 4, 1),
            "five layers": _layers(1, 3, 5, 2, 4, 1),
            "one layer": _layers(1, 1),
            "one unit a layer": _layers(1, 1, 1, 1),
        },
        {
            "The order is β, α here; return the slope first, then the offset.": (
                lambda weights, biases: _line(weights, biases)[::-1]
            ),
            "The offset is missing: the biases add up to one.": _instead(lambda Ws, bs: 0.0),
            "Only the last bias is counted; earlier ones pass through the layers after them.": (
                _instead(lambda Ws, bs: float(bs[-1][0]))
            ),
            "The last layer's own bias is forgotten.": (
                _instead(lambda Ws, bs: _line(Ws, bs)[1] - float(bs[-1][0]))
            ),
            "Each bias is added without passing through the layers after it.": (
                _instead(lambda Ws, bs: float(sum(b.sum() for b in bs)))
            ),
            "This slope is the net's output at x = 1; take the offset away from it.": (
                lambda weights, biases: (sum(_line(weights, biases)), _line(weights, biases)[1])
            ),
            "The weights of the layers are summed up; layers multiply.": (
                lambda weights, biases: (sum(W.sum() for W in weights), _line(weights, biases)[1])
            ),
        },
        observe=_numbers(2),
        rtol=1e-5,
        atol=1e-5,
        hint="Index 0 is the slope α, index 1 the offset β. At x = 0 the net gives β.",
    ),
)


def _best_line(a: float, b: float) -> tuple[float, float, float]:
    """Return the line that errs by −E, E, −E at the ends and the middle (Chebyshev)."""
    t = np.array([a, (a + b) / 2, b])
    matrix = np.stack([t, np.ones(3), [1, -1, 1]], axis=1)
    slope, offset, error = np.linalg.solve(matrix, t**2)
    return float(slope), float(offset), float(error)


def _interval(low: float, high: float, width: float) -> Kind:
    def kind(rng: Generator) -> Given:
        a = round(rng.uniform(low, high), 3)
        b = a + round(rng.uniform(width / 2, width), 3)
        return Given((a, b), said=f"a = {a:g}, b = {b:g}")

    return kind


def _tried(offset: float, error: float, chord: float = -1) -> Callable[..., tuple]:
    """Return (a, b) ↦ the chord's slope, its offset and an error, both in parts of (b − a)²."""
    return lambda a, b: (a + b, chord * a * b + offset * (b - a) ** 2, error * (b - a) ** 2)


best_line = checklist.exercise(
    "1.5 The best line",
    Task(
        _best_line,
        {
            "right of 0": _interval(0.2, 1, 2),
            "narrow": _interval(2, 3, 0.5),
            "across 0": _interval(-0.9, -0.6, 3),
            "left of 0": _interval(-4, -3, 2),
            "the assignment's": lambda rng: Given((0.0, 1.0), said="a = 0, b = 1"),
            "whole numbers": lambda rng: Given((1, 3), said="a = 1, b = 3"),
        },
        {
            "This is the chord: it errs by (b − a)²/4 in the middle and is never too low.": (
                _tried(0, 1 / 4)
            ),
            "This is the line of least squares, which errs by (b − a)²/6 at both ends.": (
                _tried(-1 / 6, 1 / 6)
            ),
            "This is the tangent in the middle, which errs by (b − a)²/4 at both ends.": (
                _tried(-1 / 4, 1 / 4)
            ),
            "The line is right; the error is that of the chord, before it was lowered.": (
                _tried(-1 / 8, 1 / 4)
            ),
            "The chord is raised; it lies above the parabola already and must be lowered.": (
                _tried(1 / 8, 1 / 8)
            ),
            "This is the best line for [0, 1]; use a and b.": lambda a, b: (1.0, -1 / 8, 1 / 8),
            "The chord's offset −ab is forgotten.": _tried(-1 / 8, 1 / 8, chord=0),
            "The chord's offset is −ab, with a minus.": _tried(-1 / 8, 1 / 8, chord=1),
        },
        observe=_numbers(3),
        rtol=1e-5,
        atol=1e-5,
        hint="Value 1 is the slope, value 2 the offset, value 3 the sup error.",
    ),
)


# --- 1.8, by what a reader sees ------------------------------------------------------------------


def _look_at_plot(observation: tuple[Axes, Any], given: Given) -> None:
    ax, returned = observation
    if returned is not ax:
        malformed(f"expected the axes to be returned, received {describe(returned)}")
    wanted = np.stack([np.asarray(part, dtype=float) for part in given.args], axis=1)
    found = drawn.through(ax, wanted)
    if not drawn.curves(ax):
        wrong("nothing is to be seen on the axes `ax` that the function was given")
    if drawn.through(ax, wanted[:, ::-1]):
        wrong("the axes are exchanged: units belong on the horizontal, errors on the vertical axis")
    if drawn.through(ax, np.log10(wanted)) or drawn.through(ax, np.log(wanted)):
        wrong("the logarithms are drawn; draw the numbers themselves and make the axes logarithmic")
    if not found:
        wrong(f"for {given}: no visible line goes through these points")
    for name, scale in (("horizontal", ax.get_xscale()), ("vertical", ax.get_yscale())):
        if scale != "log":
            wrong(f"the {name} axis is {scale}; make it logarithmic")
    for name, label in (("horizontal", ax.get_xlabel()), ("vertical", ax.get_ylabel())):
        if not label.strip():
            wrong(f"the {name} axis has no label")
    if not any(curve.joined for curve in found):
        wrong("the points are not joined; draw a line with markers")
    if not any(curve.marked for curve in found):
        wrong("the line has no markers; without them nobody sees which nets were measured")


def _errors(units: Sequence[int], as_list: bool) -> Kind:
    def kind(rng: Generator) -> Given:
        errors = np.sort(rng.uniform(0.3, 1, len(units)))[::-1] / np.array(units) ** 2
        args = (list(units), errors.tolist()) if as_list else (np.array(units), errors)
        return Given(args, said=f"units = {list(units)} and errors = {describe(errors)}")

    return kind


plot_errors = checklist.exercise(
    "1.8 Plot the error",
    Task(
        lambda *args: args[0],
        {
            "arrays": _errors((1, 2, 4, 8), as_list=False),
            "lists": _errors((1, 3, 9), as_list=True),
            "many": _errors((1, 2, 3, 5, 8, 13, 21), as_list=False),
        },
        observe=drawn.on_new_axes,
        verify=_look_at_plot,
    ),
)


# --- 1.9 -----------------------------------------------------------------------------------------


def _broken_line(x: NDArray, layers: int) -> NDArray:
    knots = np.linspace(0, 1, 2**layers + 1)
    return np.interp(x, knots, knots**2)


def _teeth(
    x: NDArray, layers: int, size: Callable[[int], float] = lambda s: 4.0**s, first: int = 1
) -> NDArray:
    """Return the sum of the sawteeth `first` to `layers`, each divided by its size."""
    total, tooth = np.zeros_like(x), np.asarray(x, dtype=float)
    for s in range(1, layers + 1):
        tooth = 1 - np.abs(1 - 2 * tooth)
        total = total + tooth / size(s) * (s >= first)
    return total


def _folded(points: Callable[[Generator], Any], *layers: int) -> Kind:
    def kind(rng: Generator) -> list:
        return [
            Given((x, m), said=f"layers = {m} and x = {describe(x)}", note=f"layers = {m}")
            for x, m in [(points(rng), m) for m in layers]
        ]

    return kind


SAWTEETH: Mapping[str, Callable[..., NDArray]] = {
    "The sawtooth is divided by 2ˢ; the arches shrink by 4 each time.": (
        lambda x, layers: x - _teeth(x, layers, lambda s: 2.0**s)
    ),
    "The first tooth is subtracted whole: s starts at 1, not at 0.": (
        lambda x, layers: x - _teeth(x, layers, lambda s: 4.0 ** (s - 1))
    ),
    "The tooth is never folded again: t₂ is t(t₁), not t(x).": (
        lambda x, layers: x - _teeth(x, 1, lambda _: 1) * sum(4.0**-s for s in range(1, layers + 1))
    ),
    "The teeth are added; they must be subtracted from x.": (
        lambda x, layers: x + _teeth(x, layers)
    ),
    "This is the sawtooth itself; f is x minus all the teeth.": (
        lambda x, layers: _teeth(x, layers, lambda _: 1, layers)
    ),
    "Only the last tooth is subtracted; f is x minus all of them.": (
        lambda x, layers: x - _teeth(x, layers, first=layers)
    ),
    "The x in front is missing: f is x minus the teeth.": lambda x, layers: -_teeth(x, layers),
    "One folding too few.": lambda x, layers: x - _teeth(x, layers - 1),
    "One folding too many.": lambda x, layers: x - _teeth(x, layers + 1),
    "This is x² itself; f is the broken line near it.": lambda x, layers: np.square(x),
}
sawtooth = checklist.exercise(
    "1.9 The sawtooth",
    Task(
        _broken_line,
        {
            "a few": _folded(lambda rng: rng.uniform(0, 1, 7), 3, 1, 2),
            "the ends": _folded(lambda rng: np.array([0.0, 0.5, 1.0]), 2, 3),
            "two axes": _folded(lambda rng: rng.uniform(0, 1, (3, 4)), 2, 4),
            "many layers": _folded(lambda rng: rng.uniform(0, 1, 9), 6),
            "a number": _folded(lambda rng: float(rng.uniform(0.1, 0.9)), 2, 3),
        },
        SAWTEETH,
        rtol=1e-6,
        atol=1e-6,
        elementwise=True,
        forbidden=((nets, "sawtooth_net"),),
        hint="f should meet the parabola at the multiples of 2⁻ᵐ and be straight between them.",
    ),
)
