"""The figures of notebook 01: nets against x², what they leave over, and how errors shrink.

Functions receive nets or numbers and return the Axes they drew on, or the Figure where it has
several. The ReLU net looks like the ReLU unit throughout, x² is the broad grey line, and the band
that the assignment allows is shaded.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, MultipleLocator, NullLocator, StrMethodFormatter
from numpy.typing import ArrayLike, NDArray

from helpers.palette import BLACK, GREY, LIGHT, OCHRE, ORANGE, PALE_OCHRE
from helpers.plotting import axes_or_new, label_lines, text_color, unit_style
from helpers.relu_approximation.nets import ReluNet, SupError

NET: dict[str, Any] = {**unit_style("relu"), "label": "_net"}
TARGET: dict[str, Any] = {"color": LIGHT, "linewidth": 5, "solid_capstyle": "round", "label": "_x²"}
BAND: dict[str, Any] = {"color": PALE_OCHRE, "alpha": 0.75, "linewidth": 0, "zorder": 0.5}
DOT: dict[str, Any] = {"marker": "o", "linestyle": "none"}
REACHED: dict[str, Any] = {**DOT, "color": ORANGE, "markersize": 7, "zorder": 5}
BEND: dict[str, Any] = {**DOT, "mfc": "white", "markersize": 6, "zorder": 4}
LINES = ("-", "--", "-.", ":", (0, (6, 1.5, 1, 1.5, 1, 1.5)))


def sample(net: ReluNet, points: int = 401) -> NDArray:
    """Return points of [0, 1] at which to draw the net, its breakpoints among them."""
    return np.union1d(np.linspace(0, 1, points), net.breakpoints)


def bends(net: ReluNet) -> NDArray:
    """Return where a unit switches on inside (0, 1), and 0 where one starts there."""
    starts = np.any((net.b1 == 0) & (net.W1[:, 0] > 0))
    return np.union1d(net.breakpoints, [0] if starts else [])


def units_and_sum(net: ReluNet) -> Figure:
    """Draw each unit's share of the output, and their sum; every unit bends inside (0, 1)."""
    figure, (parts, total) = plt.subplots(1, 2, figsize=(8.6, 3.3))
    x = sample(net)
    shares = np.maximum(x[:, None] * net.W1[:, 0] + net.b1, 0) * net.W2[0]
    for i, share in enumerate(shares.T):
        parts.plot(x, share, color=f"C{i}", linestyle=LINES[i], label=f"unit {i + 1}")
        bend = -net.b1[i] / net.W1[i, 0]
        parts.plot(bend, 0, color=f"C{i}", **BEND)
        total.axvline(bend, color=f"C{i}", linestyle=LINES[i], linewidth=1)
        total.plot(bend, net(bend), color=f"C{i}", **BEND)
    label_lines(parts)
    total.plot(x, net(x), **NET, zorder=3)
    parts.set(title="what each unit adds", xlabel="x", ylabel=r"$v_i\,\max(w_i x + b_i,\, 0)$")
    total.set(title="their sum, a broken line", xlabel="x", ylabel="g(x)")
    return figure


def fit(
    net: ReluNet, tolerance: float = 0.04, before: ReluNet | None = None, ax: Axes | None = None
) -> Axes:
    """Draw the net over x² and the band x² ± tolerance, with its breakpoints.

    The net of the step before, if given, is dashed where the new one leaves it.
    """
    ax = axes_or_new(ax)
    x = sample(net)
    ax.fill_between(x, x**2 - tolerance, x**2 + tolerance, **BAND)
    ax.plot(x, x**2, **TARGET)
    if before is not None:
        ax.plot(x, before(x), color=GREY, linestyle="--", linewidth=1.2, label="_before")
    ax.plot(x, net(x), **NET)
    knots = bends(net)
    ax.plot(knots, net(knots), color=NET["color"], **BEND, label="_bends")
    ax.set(xlim=(-0.03, 1.03), ylim=(-0.09, 1.09), xlabel="x", ylabel="y")
    return ax


def residual(
    net: ReluNet,
    tolerance: float = 0.04,
    error: SupError | None = None,
    limit: float | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Draw what the net leaves over, x² − g(x), in the band ± tolerance.

    Args:
        net: the net to draw.
        tolerance: half the height of the band.
        error: its sup error, whose points are then marked.
        limit: half the height of the axes, by default what the curve needs.
        ax: axes to draw on.
    """
    ax = axes_or_new(ax)
    x, knots = sample(net), bends(net)
    rest = x**2 - net(x)
    ax.axhspan(-tolerance, tolerance, **BAND)
    ax.axhline(0, color=TARGET["color"], linewidth=1.2)
    ax.plot(x, rest, **NET)
    ax.plot(knots, knots**2 - net(knots), color=NET["color"], **BEND, label="_bends")
    if error is not None:
        ax.plot(error.points, error.points**2 - net(error.points), **REACHED, label="_reached")
    limit = limit or 1.2 * max(np.abs(rest).max(), tolerance)
    ax.set(xlim=(-0.03, 1.03), ylim=(-limit, limit), xlabel="x", ylabel="x² − g(x)")
    return ax


def step(
    net: ReluNet, before: ReluNet | None = None, bend: float | None = None, tolerance: float = 0.04
) -> Figure:
    """Draw one step of the greedy construction: the net, and what it leaves over.

    Args:
        net: the net after this step.
        before: the net before it, drawn dashed.
        bend: where the next hinge will be, marked in both pictures.
        tolerance: half the height of the band.
    """
    figure, (left, right) = plt.subplots(1, 2, figsize=(8.6, 3.2))
    fit(net, tolerance, before, ax=left)
    residual(net, tolerance, limit=0.105, ax=right)
    left.set_title("x² (grey), the net, dashed: before" if before else "x² (grey) and the net")
    right.set_title("what is left over")
    right.yaxis.set_major_locator(MultipleLocator(0.04))
    right.text(0.01, tolerance, f"±{tolerance:g}", color=text_color(OCHRE), va="bottom")
    if bend is not None:
        for ax, height in ((left, bend**2), (right, bend**2 - net(bend))):
            ax.axvline(bend, color=GREY, linestyle=":", linewidth=1.2)
            ax.plot(bend, height, "o", color=GREY, markersize=4, zorder=5, label="_next")
        right.text(bend + 0.02, -0.1, f"next hinge: β = {bend:g}", color=GREY, va="bottom")
    return figure


def residuals(nets: Mapping[str, ReluNet], errors: Mapping[str, SupError]) -> Figure:
    """Draw side by side what each net leaves over, with the points where its error is reached."""
    figure, axes = plt.subplots(1, len(nets), figsize=(9.2, 3.1), sharey=True)
    for ax, (name, net) in zip(axes, nets.items(), strict=True):
        residual(net, error=errors[name], limit=0.068, ax=ax)
        ax.set_title(f"{name}: 1/{1 / errors[name].value:.0f}")
        ax.label_outer()
    return figure


def candidates(net: ReluNet, error: SupError, ends: ArrayLike, vertices: ArrayLike) -> Axes:
    """Draw the residual with the points among which its largest size must be.

    Args:
        net: the net to draw.
        error: its sup error, with the points where it is reached.
        ends: 0, 1 and the breakpoints: squares.
        vertices: the vertices of the parabolas: triangles.
    """
    ax = residual(net, error=error)
    plt.setp(ax.lines[-1], markersize=14)  # seen around the other markers
    look: dict[str, Any] = {"mfc": "white", "color": BLACK, "markersize": 5, "zorder": 6}
    for points, marker, label in ((ends, "s", "ends of pieces"), (vertices, "v", "vertices")):
        x = np.asarray(points)
        ax.plot(x, x**2 - net(x), marker, **look, label=label)
    ax.plot([], [], **{**REACHED, "markersize": 10}, label="sup error reached")
    ax.legend(
        loc="lower left",
        ncols=3,
        bbox_to_anchor=(0, 1),
        borderaxespad=0.2,
        columnspacing=1,
        handletextpad=0.3,
    )
    return ax


def curves(
    x: NDArray,
    named: Mapping[str, NDArray],
    marked: Callable[[NDArray], NDArray] | None = None,
    ax: Axes | None = None,
    **properties: Any,
) -> Axes:
    """Draw several functions of x, each with its name at its end.

    Args:
        x: where they were computed, sorted.
        named: by name, the values of each function, of x's shape.
        marked: tells for a function's values where to put a dot (a mask or indices).
        ax: axes to draw on.
        properties: title, names and limits of the axes.
    """
    ax = axes_or_new(ax)
    for i, (name, values) in enumerate(named.items()):
        ax.plot(x, values, color=f"C{i}", linestyle=LINES[i], label=name)
        if marked is not None:
            where = marked(values)
            ax.plot(x[where], values[where], "o", color=f"C{i}", markersize=6, label="_marked")
    ax.set(**{"xlabel": "x", "ylabel": "x² − g(x)", **properties})
    label_lines(ax, pad=9)
    return ax


def panels(x: NDArray, groups: Mapping[str, Mapping[str, NDArray]], ylabel: str) -> Figure:
    """Draw groups of functions of x side by side, each under its title."""
    figure, axes = plt.subplots(1, len(groups), figsize=(8.6, 3.2))
    for ax, (title, named) in zip(axes, groups.items(), strict=True):
        curves(x, named, ax=ax, title=title, ylabel=ylabel)
    return figure


def largest(values: NDArray) -> NDArray:
    """Return a mask of the places where the size of the values is largest."""
    return np.isclose(np.abs(values), np.abs(values).max(), rtol=1e-9)


def lowest(values: NDArray) -> NDArray:
    """Return the index of the lowest value, in an array."""
    return np.atleast_1d(values.argmin())


def dips(x: NDArray, named: Mapping[str, NDArray], allowed: float = 0.08) -> Axes:
    """Draw h(x) = x² − αx for several α, with a strip of the height that h may vary by."""
    ax = curves(x, named, lowest, ylabel="h(x) = x² − αx")
    ax.axhspan(-allowed, 0, **BAND)
    words = f"height {allowed:g}: all that h may vary by"
    ax.text(0.5, -allowed / 2, words, ha="center", va="center")
    return ax


def one_unit(breakpoints: NDArray, errors: Mapping[str, NDArray], tolerance: float) -> Axes:
    """Draw the best sup error that one unit reaches against where it bends."""
    limits: dict[str, Any] = {"xlim": (-0.02, 1.02), "ylim": (0, 0.53)}
    ax = curves(
        breakpoints, errors, lowest, xlabel="breakpoint β", ylabel="smallest sup error", **limits
    )
    ax.axhspan(0, tolerance, **BAND)
    ax.text(0.985, tolerance / 2, f"allowed: {tolerance:g}", ha="right", va="center")
    return ax


def errors(
    named: Mapping[str, tuple[ArrayLike, ArrayLike]],
    xlabel: str,
    ticks: ArrayLike,
    tolerance: float | None = None,
) -> Axes:
    """Draw sup errors against the size of the net, both axes logarithmic.

    Args:
        named: by name, the sizes and the errors of a family of nets.
        xlabel: what the sizes are.
        ticks: the sizes at which to write numbers.
        tolerance: an error to mark by a horizontal line.
    """
    ax = axes_or_new(None)
    if tolerance is not None:
        place: dict[str, Any] = {"transform": ax.get_yaxis_transform(), "ha": "right"}
        ax.axhline(tolerance, color=OCHRE, linewidth=1)
        ax.text(0.99, 1.1 * tolerance, f"{tolerance:g}", color=text_color(OCHRE), **place)
    for i, (name, (sizes, values)) in enumerate(named.items()):
        look: dict[str, Any] = {"color": f"C{i}", "linestyle": LINES[i], "marker": "os"[i]}
        ax.loglog(sizes, values, **look, mfc="white", label=name)
    ax.set(xlabel=xlabel, ylabel="sup error")
    label_lines(ax)
    return _plain_numbers(ax, ticks)


def folding(x: NDArray, teeth: Sequence[NDArray], arches: Mapping[str, NDArray]) -> Figure:
    """Draw the tooth folded once, twice, …, and the arches that are left above x².

    Args:
        x: where they were computed, sorted.
        teeth: the folded teeth, drawn each below the one before.
        arches: by name, what is left; the highest first.
    """
    figure, (left, right) = plt.subplots(1, 2, figsize=(8.8, 3.5))
    base = -1.35 * np.arange(len(teeth))
    for i, (tooth, low) in enumerate(zip(teeth, base, strict=True)):
        left.plot(x, tooth + low, color=f"C{i}", label=f"_t{i + 1}")
        left.text(1.03, 0.5 + low, f"$t_{i + 1}$", color=text_color(f"C{i}"), va="center")
    left.set_yticks(np.sort([*base, *(base + 1)]), ["0", "1"] * len(teeth))
    left.set(xlabel="x", ylabel="height of the tooth")
    left.grid(False)
    for i, (name, arch) in enumerate(arches.items()):
        right.plot(x, arch, color=f"C{i}", linestyle=LINES[i], label=f"_{name}")
        top = arch.max()
        height = top + 0.006 if top > 0.03 else -0.018  # a low arch has its name below
        right.text(x[arch.argmax()], height, name, ha="center")
    right.set(xlabel="x", ylabel="distance above x²", ylim=(-0.03, 0.29))
    return figure


def trained(found: Mapping[int, NDArray], best: ArrayLike, polished: ArrayLike) -> Axes:
    """Draw the sup error of trained nets, one dot a seed, above the best for so many units.

    Args:
        found: by number of units, the sup error of each seed's net.
        best: the smallest sup error possible, in the order of `found`.
        polished: the sup error after training from the best net.
    """
    ax = axes_or_new(None)
    units = np.array(list(found))
    for n, errors in found.items():
        spread = n * 1.035 ** (np.arange(len(errors)) - (len(errors) - 1) / 2)
        ax.plot(spread, errors, "o", color="C1", markersize=5, mfc="none", label="_seeds")
    medians = [np.median(errors) for errors in found.values()]
    ax.loglog(units, medians, "C1--", label="trained from random\n(median; ○ seeds)")
    ax.loglog(units, polished, "C2-.", marker="s", label="trained from the best")
    ax.loglog(units, best, **{**NET, "label": "best possible"}, marker="^")
    label_lines(ax, pad=18)
    ax.set(xlabel="number of units N", ylabel="sup error")
    return _plain_numbers(ax, units)


def where_they_bend(rows: Mapping[str, ArrayLike], best: ArrayLike) -> Axes:
    """Draw one row of ticks a net: its breakpoints, above those of the best net.

    Args:
        rows: by name, the breakpoints in (0, 1) of a trained net.
        best: the breakpoints of the best net, drawn as the lowest row and as faint lines.
    """
    ax = axes_or_new(None)
    for x in np.ravel(best):
        ax.axvline(x, color=LIGHT, linewidth=1, zorder=0.5)
    everything = {"best": best, **{name: rows[name] for name in reversed(list(rows))}}
    for y, (name, points) in enumerate(everything.items()):
        color = NET["color"] if name == "best" else "C1"
        heights = np.full(np.size(points), y)
        ax.plot(points, heights, "|", color=color, markersize=16, markeredgewidth=2.2)
        ax.text(1.03, y, f"{np.size(points)}", color=text_color(color), va="center")
    ax.set_yticks(range(len(everything)), list(everything))
    ax.text(1.03, len(everything) - 0.35, "bends", va="center")
    ax.set(xlim=(0, 1), ylim=(-0.6, len(everything) - 0.4), xlabel="x")
    ax.grid(False)
    return ax


def _plain_numbers(ax: Axes, ticks: ArrayLike) -> Axes:
    """Put plain numbers at these places of a logarithmic x-axis."""
    ax.xaxis.set_major_locator(FixedLocator(np.ravel(ticks).tolist()))
    ax.xaxis.set_minor_locator(NullLocator())
    ax.xaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
    return ax
