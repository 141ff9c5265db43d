"""The checks of notebook 01. Nets are judged by their exact sup error, never by their weights."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from itertools import pairwise

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from helpers.old_judge import Checklist, as_array, call, describe, expect_close, malformed, wrong
from helpers.relu_approximation.nets import ReluNet, best_net, equal_pieces, hinges, sup_error

checklist = Checklist("1 · Approximating x² with a ReLU net")
progress = checklist.progress

X = np.linspace(0, 1, 1001)
GREEDY = ([0.0, 0.2, 0.6], [0.2, 0.6, 0.8])  # breakpoints and slopes of the assignment's net


def number(value: object, given: str) -> float:
    """Return a number, however wrapped, as a float; end the check where it is not one number."""
    array = as_array(value, given)
    if array.size != 1:
        malformed(f"for {given}: expected one number, received shape {array.shape}")
    return float(array.reshape(()))


def several(value: object, count: int, names: str, given: str) -> list:
    """Return a tuple, list or array of `count` things as a list, or end the check."""
    try:
        parts = list(value)  # type: ignore[call-overload]
    except TypeError:
        malformed(f"for {given}: expected {names}, received {describe(value)}")
    if len(parts) != count:
        malformed(f"for {given}: expected {count} things, {names}; received {len(parts)}")
    return parts


def network(value: object, given: str) -> ReluNet:
    """Return the student's (W1, b1, W2, b2) as a net, or end the check by what does not fit."""
    parts = several(value, 4, "W1, b1, W2 and b2", given)
    W1, b1, W2, b2 = (as_array(part, given).astype(np.float64) for part in parts)
    units = b1.size
    if units == 0:
        malformed(f"for {given}: the net has no units; b1 is empty")
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


def expect_error(
    net: ReluNet, bound: float, given: str, mistakes: Mapping[str, ReluNet], says: str
) -> None:
    """End the check unless the net's exact sup error meets the bound.

    `mistakes` maps a sentence that names a mistake to the net one gets by making it.
    """
    error = sup_error(net)
    if error.value <= bound + 1e-9:
        return
    named = [name for name, other in mistakes.items() if np.allclose(net(X), other(X), atol=1e-7)]
    place = error.points[0]
    reason = (
        f"for {given}: expected a sup error of at most {says}, received {error.value:.6g}\n"
        f"at x = {place:.4g}, where x² = {place**2:.4g} and the net gives {net(place):.4g}"
    )
    wrong("\n".join([*named[:1], reason]))


@checklist.exercise("1.1 The steepest hinge")
def steepest_slope(answer: Callable) -> None:
    """Examine `steepest_slope(beta, slope, residual, tolerance)`."""
    cases = [(0.3, 0.25, 0.01, 0.02), (0.0, 0.0, 0.0, 0.04), (0.2, 0.2, 0.0, 0.04)]
    cases += [(0.6, 0.8, 0.0, 0.04), (0.5, 0.7, -0.01, 0.05)]
    for beta, m, rest, eps in cases:
        given = f"β = {beta}, slope = {m}, residual = {rest}, tolerance = {eps}"
        root = np.sqrt(rest + eps)
        expect_close(
            number(call(answer, beta, m, rest, eps), given),
            _steepest(beta, m, rest, eps),
            given,
            mistakes={
                "This is the new slope of the net, m + α; the hinge's own slope α is asked for.": (
                    2 * beta + 2 * root
                ),
                "The root is there only once: c²/4 = r(β) + ε gives c = 2√(r(β) + ε).": (
                    2 * beta - m + root
                ),
                "What is left over at β is forgotten: under the root stands r(β) + ε.": (
                    2 * beta - m + 2 * np.sqrt(eps)
                ),
                "Under the root the sign of r(β) is wrong: it is r(β) + ε.": (
                    2 * beta - m + 2 * np.sqrt(max(eps - rest, 0))
                ),
                "This is the smaller of the two roots; the larger one is asked for.": (
                    2 * beta - m - 2 * root
                ),
                "The parabola x² has the slope 2β at β; that term is forgotten.": 2 * root - m,
                "The slope m that the net already has is added; it must be taken away.": (
                    2 * beta + m + 2 * root
                ),
                "β counts twice here: the slope of x² at β is 2β.": beta - m + 2 * root,
            },
            hint="With this α, the lowest value of t² − (m + α − 2β) t + r(β) is not −ε.",
        )


def _steepest(beta: float, m: float, rest: float, eps: float) -> float:
    """Return the steepest slope by bisection on the lowest point of what is left over."""
    low, high = 2 * beta - m, 2 * beta - m + 10
    for _ in range(80):
        alpha = (low + high) / 2
        t = max((m + alpha - 2 * beta) / 2, 0)
        dips = (beta + t) ** 2 - (beta**2 - rest) - (m + alpha) * t < -eps
        low, high = (low, alpha) if dips else (alpha, high)
    return low


@checklist.exercise("1.2 The net's parameters")
def square_net(answer: Callable) -> None:
    """Examine `square_net()`: any net with sup error at most 0.04."""
    net = network(call(answer), "square_net()")
    beta, alpha = np.array(GREEDY[0]), np.array(GREEDY[1])
    ones = np.ones((1, 3))
    expect_error(
        net,
        0.04,
        "the net",
        {
            "The biases have the wrong sign: a hinge at β needs the bias −wβ.": ReluNet(
                alpha[:, None], alpha * beta, ones, 0
            ),
            "The biases are −β, but W1 holds the slopes: with w = α the bias is −αβ.": ReluNet(
                alpha[:, None], -beta, ones, 0
            ),
            "All biases are zero, so all hinges sit at x = 0.": ReluNet(
                alpha[:, None], 0 * beta, ones, 0
            ),
            "The slopes stand in W1 and in W2, so each hinge is as steep as their product.": (
                hinges(beta, alpha**2)
            ),
            "These are the slopes of the pieces; a hinge adds the change of the slope.": (
                hinges(beta, np.cumsum(alpha))
            ),
            "The biases are −αβ, but W1 is all ones: with w = 1 the bias is −β.": (
                hinges(alpha * beta, alpha)
            ),
            "The third hinge is missing.": hinges(beta[:2], alpha[:2]),
        },
        "0.04",
    )


def _test_nets() -> list[ReluNet]:
    """Return nets on which every shortcut to the sup error goes wrong somewhere."""
    rng = np.random.default_rng(3)
    nets = [hinges(*GREEDY)]
    for _ in range(4):  # slopes of both signs, breakpoints inside and outside, an output bias
        w = rng.normal(size=5)
        b = -w * rng.uniform(-0.6, 1.6, size=5)
        nets.append(ReluNet(w[:, None], b, rng.normal(size=(1, 5)), rng.normal(size=1)))
    nets.append(hinges([0.25, 0.25, 0.75], [1.0, 0.5, -3.0], -0.1))  # coinciding breakpoints
    nets.append(ReluNet([[0.0], [2.0]], [0.5, -0.9], [[0.3, 0.7]], 0.05))  # a unit without one
    spike = 0.3183099 + 1.234567e-5 * np.arange(3)  # narrow, and not on anybody's grid
    nets.append(hinges(spike, [-2e5, 4e5, -2e5], 0.0))
    return nets


def _pieces(net: ReluNet) -> tuple[NDArray, NDArray]:
    ends = np.concatenate([[0], net.breakpoints, [1]])
    return ends, np.diff(net(ends)) / np.diff(ends) / 2


def _at(net: ReluNet, points: NDArray) -> float:
    return float(np.abs(points**2 - net(points)).max()) if len(points) else 0.0


def _inside(net: ReluNet) -> NDArray:
    ends, vertices = _pieces(net)
    return vertices[(vertices > ends[:-1]) & (vertices < ends[1:])]


def _everywhere(net: ReluNet) -> NDArray:
    moving = net.W1[:, 0] != 0
    return np.concatenate([[0, 1], -net.b1[moving] / net.W1[moving, 0], _inside(net)])


def _signed(net: ReluNet) -> float:
    points = np.concatenate([_pieces(net)[0], _inside(net)])
    return float((points**2 - net(points)).max())


SHORTCUTS: dict[str, Callable[[ReluNet], float]] = {
    "The vertices are missing: between two breakpoints the difference is a parabola.": (
        lambda net: _at(net, _pieces(net)[0])
    ),
    "Only vertices are looked at; 0, 1 and the breakpoints are candidates too.": (
        lambda net: _at(net, _inside(net))
    ),
    "The two ends of the interval, 0 and 1, are missing among the candidates.": (
        lambda net: _at(net, np.concatenate([net.breakpoints, _inside(net)]))
    ),
    "The size is meant, |x² − g(x)|: this is the largest x² − g(x), without the absolute value.": (
        _signed
    ),
    "This is the largest g(x) − x², without the absolute value.": lambda net: float(
        (net(_all := np.concatenate([_pieces(net)[0], _inside(net)])) - _all**2).max()
    ),
    "Breakpoints outside [0, 1] are among the candidates; only the interval counts.": (
        lambda net: _at(net, _everywhere(net))
    ),
    "A vertex counts only on its own piece: elsewhere the net follows another line.": (
        lambda net: max(_at(net, _pieces(net)[0]), _off_piece(net))
    ),
}


def _off_piece(net: ReluNet) -> float:
    """Return the largest |x² − line| at the vertices, each on its own line wherever it lies."""
    ends, vertices = _pieces(net)
    values = net(ends[:-1]) + 2 * vertices * (vertices - ends[:-1])
    return float(np.abs(vertices**2 - values).max())


@checklist.exercise("1.3 The exact sup error")
def exact_error(answer: Callable) -> None:
    """Examine `exact_error(W1, b1, W2, b2)` on nets with every peculiarity."""
    nets = _test_nets()
    received = [number(call(answer, *net), f"net {i + 1}") for i, net in enumerate(nets)]
    expected = [sup_error(net).value for net in nets]
    right = np.isclose(received, expected, rtol=1e-6, atol=1e-6)  # float32 will do
    if right.all():
        return
    for sentence, shortcut in SHORTCUTS.items():
        if np.allclose(received[:6], [shortcut(net) for net in nets[:6]], rtol=1e-9, atol=1e-9):
            wrong(f"{sentence}\n{_difference(nets, received, expected, right)}")
    low = np.array(expected) - received
    if (low[~right] > 0).all() and (low[:-1] < 0.02).all():  # only the spike can be far off
        wrong(
            "A grid misses the worst point, so its answer is too small; use the candidates.\n"
            + _difference(nets, received, expected, right)
        )
    wrong(_difference(nets, received, expected, right))


def _difference(
    nets: Sequence[ReluNet], received: Sequence[float], expected: Sequence[float], right: NDArray
) -> str:
    i = int(np.argmin(right))
    W1, b1, W2, b2 = (describe(part.ravel()) for part in nets[i])
    lines = [
        f"for a net with w = {W1}, b = {b1},\nv = {W2}, b2 = {b2}:",
        f"expected {expected[i]:.10g}, received {received[i]:.10g}",
    ]
    if not np.isfinite(received[i]) and (nets[i].W1 == 0).any():
        lines.append("A unit with w = 0 has no breakpoint: dividing by w gives inf or nan.")
    return "\n".join(lines)


def _layers(seed: int, sizes: Sequence[int]) -> tuple[list[NDArray], list[NDArray]]:
    rng = np.random.default_rng(seed)
    weights = [rng.normal(size=(n, m)).round(2) for m, n in pairwise(sizes)]
    return weights, [rng.normal(size=n).round(2) for n in sizes[1:]]


@checklist.exercise("1.4 Collapse a deep linear net")
def collapse(answer: Callable) -> None:
    """Examine `collapse(weights, biases)` on nets of one to five layers."""
    for seed, sizes in enumerate([(1, 2, 1), (1, 4, 4, 1), (1, 3, 5, 2, 4, 1), (1, 1)]):
        weights, biases = _layers(seed, sizes)
        given = f"layer sizes {sizes}"
        parts = several(call(answer, weights, biases), 2, "α and β", given)
        received = [
            number(part, f"{name} for {given}") for name, part in zip("αβ", parts, strict=True)
        ]
        zero, one = (_forward(x, weights, biases) for x in (0.0, 1.0))
        slope = one - zero
        expect_close(
            np.array(received),
            np.array([slope, zero]),
            given,
            mistakes={
                "The order is β, α here; return the slope first, then the offset.": [zero, slope],
                "The offset is missing: the biases add up to one.": [slope, 0.0],
                "Only the last bias is counted; earlier ones pass through the layers after them.": (
                    [slope, float(biases[-1][0])]
                ),
                "The last layer's own bias is forgotten.": [slope, zero - float(biases[-1][0])],
                "Each bias is added without passing through the layers after it.": (
                    [slope, float(sum(b.sum() for b in biases))]
                ),
                "This slope is the net's output at x = 1; take the offset away from it.": [
                    one,
                    zero,
                ],
                "The weights of the layers are summed up; layers multiply.": (
                    [float(sum(W.sum() for W in weights)), zero]
                ),
            },
            hint="Index 0 is the slope α, index 1 the offset β. At x = 0 the net gives β.",
        )


def _forward(x: float, weights: Sequence[NDArray], biases: Sequence[NDArray]) -> float:
    a = np.array([x])
    for W, b in zip(weights, biases, strict=True):
        a = W @ a + b
    return float(a[0])


@checklist.exercise("1.5 The best line")
def best_line(answer: Callable) -> None:
    """Examine `best_line(a, b)` on several intervals."""
    for a, b in ((0.25, 1.0), (0.0, 1.0), (1.0, 3.0), (-1.0, 0.5)):
        given = f"a = {a}, b = {b}"
        h, m = b - a, a + b
        parts = several(call(answer, a, b), 3, "slope, offset and sup error", given)
        received = np.array([number(part, given) for part in parts])
        expect_close(
            received,
            np.array(_best_line(a, b)),
            given,
            mistakes={
                "This is the chord: it errs by (b − a)²/4 in the middle and is never too low.": (
                    [m, -a * b, h**2 / 4]
                ),
                "This is the line of least squares, which errs by (b − a)²/6 at both ends.": (
                    [m, -a * b - h**2 / 6, h**2 / 6]
                ),
                "This is the tangent in the middle, which errs by (b − a)²/4 at both ends.": (
                    [m, -(m**2) / 4, h**2 / 4]
                ),
                "The line is right; the error is that of the chord, before it was lowered.": (
                    [m, -a * b - h**2 / 8, h**2 / 4]
                ),
                "The chord is raised; it lies above the parabola already and must be lowered.": (
                    [m, -a * b + h**2 / 8, h**2 / 8]
                ),
                "This is the best line for [0, 1]; use a and b.": [1.0, -1 / 8, 1 / 8],
                "The chord's offset −ab is forgotten.": [m, -(h**2) / 8, h**2 / 8],
            },
            hint="The indices 0, 1 and 2 are slope, offset and sup error.",
        )


def _best_line(a: float, b: float) -> tuple[float, float, float]:
    """Return the line that errs by −E, E, −E at the ends and the middle (Chebyshev)."""
    t = np.array([a, (a + b) / 2, b])
    matrix = np.stack([t, np.ones(3), [1, -1, 1]], axis=1)
    slope, offset, error = np.linalg.solve(matrix, t**2)
    return float(slope), float(offset), float(error)


@checklist.exercise("1.7 N equal pieces")
def pieces_net(answer: Callable) -> None:
    """Examine `pieces_net(units)`: any net of so many units with sup error 1/(8N²)."""
    for n in (2, 3, 1, 5, 10):
        given = f"units = {n}"
        net = network(call(answer, n), given)
        if net.units > n:
            malformed(f"for {given}: the net has {net.units} units")
        right, h = equal_pieces(n), 1 / n
        beta, alpha = -right.b1, right.W2[0]
        # Where a mistake changes nothing for one unit, two units have shown it already.
        expect_error(
            net,
            1 / (8 * n**2),
            given,
            {
                "The chords are not lowered: b2 is 0.": hinges(beta, alpha),
                "The chords are lowered by their whole error; half of it is enough.": (
                    hinges(beta, alpha, -(h**2) / 4)
                ),
                "The chords are raised; they lie above the parabola and must be lowered.": (
                    hinges(beta, alpha, h**2 / 8)
                ),
                "These are the slopes of the chords; a hinge adds the change of the slope.": (
                    hinges(beta, np.cumsum(alpha), -(h**2) / 8)
                ),
                "The first hinge is as steep as the others; the first chord's slope is h.": (
                    hinges(beta, np.full(n, 2 * h), -(h**2) / 8)
                ),
                "The first hinge sits at h, so the net is flat on the first piece.": (
                    hinges(beta + h, alpha, -(h**2) / 8)
                ),
                "The offset is that of one piece, −1/8; with h = 1/N it is −h²/8.": (
                    hinges(beta, alpha, -1 / 8)
                ),
            },
            f"1/(8N²) = {1 / (8 * n**2):.6g}",
        )


@checklist.exercise("1.8 Plot the error")
def plot_errors(answer: Callable) -> None:
    """Examine `plot_errors(ax, units, errors)` by what it draws."""
    units = np.array([1, 2, 4, 8])
    errors = np.array([sup_error(best_net(n)).value for n in units])
    ax = Figure().add_subplot()
    returned = call(partial(answer, ax), units, errors)
    if not isinstance(returned, Axes):
        malformed(f"expected the axes to be returned, received {describe(returned)}")
    drawn = [np.asarray(line.get_xydata(), dtype=float) for line in ax.lines]
    drawn = [xy for xy in drawn if len(xy) > 1]
    if not drawn:
        wrong("nothing is drawn on the axes `ax` that the function was given")
    wanted = np.stack([units, errors], axis=1)

    def holds(points: NDArray) -> bool:
        return any(xy.shape == points.shape and np.allclose(xy, points) for xy in drawn)

    if holds(wanted[:, ::-1]):
        wrong("the axes are exchanged: units belong on the horizontal, errors on the vertical axis")
    if holds(np.log10(wanted)) or holds(np.log(wanted)):
        wrong("the logarithms are drawn; draw the numbers themselves and make the axes logarithmic")
    if not holds(wanted):
        wrong(f"expected a line through {describe(wanted[0])} … {describe(wanted[-1])}; "
              f"received {describe(drawn[0][0])} … {describe(drawn[0][-1])}")  # fmt: skip
    for name, scale in (("horizontal", ax.get_xscale()), ("vertical", ax.get_yscale())):
        if scale != "log":
            wrong(f"the {name} axis is {scale}; make it logarithmic")
    for name, label in (("horizontal", ax.get_xlabel()), ("vertical", ax.get_ylabel())):
        if not label.strip():
            wrong(f"the {name} axis has no label")
    if all(line.get_marker() in ("None", "none", "", " ", None) for line in ax.lines):
        wrong("the line has no markers; without them nobody sees which nets were measured")


@checklist.exercise("1.9 The sawtooth")
def sawtooth(answer: Callable) -> None:
    """Examine `sawtooth(x, layers)` against the broken line through the parabola's points."""
    x = np.linspace(0, 1, 41) ** 1.1
    for layers in (3, 1, 2, 6):
        given = f"layers = {layers} and x = {describe(x)}"
        received = as_array(call(answer, x, layers), given)
        knots = np.linspace(0, 1, 2**layers + 1)
        expected = np.interp(x, knots, knots**2)
        single = np.clip(np.minimum(2 * x, 2 - 2 * x), 0, 1)
        expect_close(
            received,
            expected,
            given,
            inputs=x,
            rtol=1e-5,
            atol=2e-6,
            mistakes={
                "The sawtooth is divided by 2ˢ; the arches shrink by 4 each time.": (
                    x - _teeth(x, layers, lambda s: 2.0**s)
                ),
                "The first tooth is subtracted whole: s starts at 1, not at 0.": (
                    x - _teeth(x, layers, lambda s: 4.0 ** (s - 1))
                ),
                "The tooth is never folded again: t₂ is t(t₁), not t(x).": (
                    x - sum(single / 4**s for s in range(1, layers + 1))
                ),
                "The teeth are added; they must be subtracted from x.": (
                    x + _teeth(x, layers, lambda s: 4.0**s)
                ),
                "This is the sawtooth itself; f is x minus all the teeth.": (
                    4.0**layers
                    * (
                        _teeth(x, layers, lambda s: 4.0**s)
                        - _teeth(x, layers - 1, lambda s: 4.0**s)
                    )
                ),
                "The x in front is missing: f is x minus the teeth.": (
                    -_teeth(x, layers, lambda s: 4.0**s)
                ),
                "One folding too few.": x - _teeth(x, layers - 1, lambda s: 4.0**s),
                "One folding too many.": x - _teeth(x, layers + 1, lambda s: 4.0**s),
            },
            hint="f should meet the parabola at the multiples of 2⁻ᵐ and be straight between them.",
        )
    half = number(call(answer, 0.5, 2), "layers = 2 and x = 0.5")
    expect_close(half, 0.25, "layers = 2 and x = 0.5, a single number", atol=2e-6)


def _teeth(x: NDArray, layers: int, size: Callable[[int], float]) -> NDArray:
    """Return the sum of the sawteeth 1 to `layers`, each divided by its size."""
    total, tooth = np.zeros_like(x), x
    for s in range(1, layers + 1):
        tooth = 1 - np.abs(1 - 2 * tooth)
        total = total + tooth / size(s)
    return total
