"""The figures of notebook 01: nets against x², what they leave over, and how errors shrink.

Every function receives nets or numbers, draws on `ax` or on new axes, and returns the Axes. The
ReLU net has the ReLU unit's colour and line style throughout, x² is the broad grey line, and the
band that the assignment allows is shaded.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import FixedLocator, MultipleLocator, NullLocator, StrMethodFormatter
from numpy.typing import ArrayLike, NDArray

from helpers.plotting import axes_or_new, label_lines, text_color, unit_style
from helpers.relu_approximation.nets import ReluNet, SupError

NET: dict[str, Any] = {**unit_style("relu"), "label": "_net"}
TARGET: dict[str, Any] = {
    "color": "#b8b8b8",
    "linewidth": 5,
    "solid_capstyle": "round",
    "label": "_x²",
}
BAND: dict[str, Any] = {"color": "#f0e3c0", "alpha": 0.75, "linewidth": 0, "zorder": 0.5}
REACHED: dict[str, Any] = {
    "color": "#D55E00",
    "marker": "o",
    "markersize": 7,
    "linestyle": "none",
    "zorder": 5,
}
BEND: dict[str, Any] = {
    "marker": "o",
    "mfc": "white",
    "markersize": 6,
    "linestyle": "none",
    "zorder": 4,
}
LINES = ("-", "--", "-.", ":", (0, (6, 1.5, 1, 1.5, 1, 1.5)))


def sample(net: ReluNet, points: int = 401) -> NDArray:
    """Return points of [0, 1] at which to draw the net, its breakpoints among them."""
    return np.union1d(np.linspace(0, 1, points), net.breakpoints)


def bends(net: ReluNet) -> NDArray:
    """Return where a unit switches on inside (0, 1), and 0 where one starts there."""
    starts = np.any((net.b1 == 0) & (net.W1[:, 0] > 0))
    return np.union1d(net.breakpoints, [0] if starts else [])


def units_and_sum(net: ReluNet, x: NDArray, ax: Sequence[Axes]) -> Sequence[Axes]:
    """Draw on the first axes each unit's share of the output, on the second their sum.

    Args:
        net: a net whose breakpoints lie between the first and the last x.
        x: where to draw it, sorted.
        ax: two axes.
    """
    parts, total = ax
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
    return ax


def fit(
    net: ReluNet, tolerance: float = 0.04, before: ReluNet | None = None, ax: Axes | None = None
) -> Axes:
    """Draw the net over x² and the band x² ± tolerance, with its breakpoints.

    Args:
        net: the net to draw.
        tolerance: half the height of the band.
        before: the net of the step before, drawn dashed where the new one leaves it.
        ax: axes to draw on.
    """
    ax = axes_or_new(ax)
    x = np.linspace(0, 1, 401)
    ax.fill_between(x, x**2 - tolerance, x**2 + tolerance, **BAND)
    ax.plot(x, x**2, **TARGET)
    if before is not None:
        ax.plot(x, before(x), color="#555555", linestyle="--", linewidth=1.2, label="_before")
    x = sample(net)
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
    x = sample(net)
    rest = x**2 - net(x)
    ax.axhspan(-tolerance, tolerance, **BAND)
    ax.axhline(0, color=TARGET["color"], linewidth=1.2)
    ax.plot(x, rest, **NET)
    knots = bends(net)
    ax.plot(knots, knots**2 - net(knots), color=NET["color"], **BEND, label="_bends")
    if error is not None:
        ax.plot(error.points, error.points**2 - net(error.points), **REACHED, label="_reached")
    limit = limit or 1.2 * max(np.abs(rest).max(), tolerance)
    ax.set(xlim=(-0.03, 1.03), ylim=(-limit, limit), xlabel="x", ylabel="x² − g(x)")
    return ax


def step(
    net: ReluNet, before: ReluNet | None = None, bend: float | None = None, tolerance: float = 0.04
) -> NDArray:
    """Draw one step of the greedy construction on new axes: the net, and what it leaves over.

    Args:
        net: the net after this step.
        before: the net before it, drawn dashed.
        bend: where the next hinge will be, marked in both pictures.
        tolerance: half the height of the band.

    Returns:
        The two axes.
    """
    figure, axes = plt.subplots(1, 2, figsize=(8.6, 3.2))
    fit(net, tolerance, before, ax=axes[0])
    residual(net, tolerance, limit=0.105, ax=axes[1])
    axes[0].set_title("x² (grey), the net, dashed: before" if before else "x² (grey) and the net")
    axes[1].yaxis.set_major_locator(MultipleLocator(0.04))
    axes[1].set_title("what is left over")
    axes[1].text(0.01, tolerance, f"±{tolerance:g}", color="#8a6d1f", va="bottom")
    if bend is not None:
        for ax, height in zip(axes, (bend**2, bend**2 - net(bend)), strict=True):
            ax.axvline(bend, color="#555555", linestyle=":", linewidth=1.2)
            ax.plot(bend, height, "o", color="#555555", markersize=4, zorder=5, label="_next")
        axes[1].text(bend + 0.02, -0.1, f"next hinge: β = {bend:g}", color="#555555", va="bottom")
    return axes


def candidates(
    net: ReluNet, error: SupError, ends: ArrayLike, vertices: ArrayLike, ax: Axes | None = None
) -> Axes:
    """Draw the residual with the points among which its largest size must be.

    Args:
        net: the net to draw.
        error: its sup error, with the points where it is reached.
        ends: 0, 1 and the breakpoints: squares.
        vertices: the vertices of the parabolas: triangles.
        ax: axes to draw on.
    """
    ax = residual(net, error=error, ax=ax)
    plt.setp(ax.lines[-1], markersize=14)  # seen around the other markers
    for points, marker, label in ((ends, "s", "ends of pieces"), (vertices, "v", "vertices")):
        x = np.asarray(points)
        ax.plot(
            x,
            x**2 - net(x),
            marker,
            mfc="white",
            color="black",
            markersize=5,
            label=label,
            zorder=6,
        )
    ax.plot([], [], **{**REACHED, "markersize": 10}, label="sup error reached")
    ax.legend(loc="lower left", ncols=3, bbox_to_anchor=(0, 1), borderaxespad=0.2)
    return ax


def curves(
    x: NDArray,
    named: Mapping[str, NDArray],
    marked: Callable[[NDArray], NDArray] | None = None,
    ylabel: str = "x² − g(x)",
    ax: Axes | None = None,
) -> Axes:
    """Draw several functions of x, each with its name at its end.

    Args:
        x: where they were computed, sorted.
        named: by name, the values of each function, of x's shape.
        marked: tells for a function's values where to put a dot (a mask or indices).
        ylabel: what is drawn.
        ax: axes to draw on.
    """
    ax = axes_or_new(ax)
    for i, (name, values) in enumerate(named.items()):
        ax.plot(x, values, color=f"C{i}", linestyle=LINES[i], label=name)
        if marked is not None:
            where = marked(values)
            ax.plot(x[where], values[where], "o", color=f"C{i}", markersize=6, label="_marked")
    ax.set(xlabel="x", ylabel=ylabel)
    label_lines(ax, pad=9)
    return ax


def largest(values: NDArray) -> NDArray:
    """Return a mask of the places where the size of the values is largest."""
    return np.isclose(np.abs(values), np.abs(values).max(), rtol=1e-9)


def dips(
    x: NDArray, named: Mapping[str, NDArray], allowed: float = 0.08, ax: Axes | None = None
) -> Axes:
    """Draw h(x) = x² − αx for several α, with a strip of the height that h may vary by."""
    ax = curves(
        x, named, marked=lambda h: np.atleast_1d(h.argmin()), ylabel="h(x) = x² − αx", ax=ax
    )
    ax.axhspan(-allowed, 0, **BAND)
    ax.text(
        0.5, -allowed / 2, f"height {allowed:g}: all that h may vary by", ha="center", va="center"
    )
    return ax


def one_unit(
    breakpoints: NDArray, errors: Mapping[str, NDArray], tolerance: float, ax: Axes | None = None
) -> Axes:
    """Draw the best sup error that one unit reaches against where it bends."""
    ax = axes_or_new(ax)
    ax.axhspan(0, tolerance, **BAND)
    for i, (label, values) in enumerate(errors.items()):
        ax.plot(breakpoints, values, color=f"C{i}", linestyle=LINES[i], label=label)
        best = values.argmin()
        ax.plot(breakpoints[best], values[best], "o", color=f"C{i}", markersize=6)
    ax.text(0.985, tolerance / 2, f"allowed: {tolerance:g}", ha="right", va="center")
    ax.set(xlabel="breakpoint β", ylabel="smallest sup error", xlim=(-0.02, 1.02), ylim=(0, 0.53))
    label_lines(ax, pad=9)
    return ax


def errors(
    named: Mapping[str, tuple[ArrayLike, ArrayLike]],
    xlabel: str,
    ticks: ArrayLike,
    tolerance: float | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Draw sup errors against the size of the net, both axes logarithmic.

    Args:
        named: by name, the sizes and the errors of a family of nets.
        xlabel: what the sizes are.
        ticks: the sizes at which to write numbers.
        tolerance: an error to mark by a horizontal line.
        ax: axes to draw on.
    """
    ax = axes_or_new(ax)
    if tolerance is not None:
        ax.axhline(tolerance, color="#8a6d1f", linewidth=1)
        side = ax.get_yaxis_transform()
        ax.text(
            0.99, 1.1 * tolerance, f"{tolerance:g}", transform=side, color="#8a6d1f", ha="right"
        )
    for i, (name, (sizes, values)) in enumerate(named.items()):
        ax.loglog(
            sizes,
            values,
            color=f"C{i}",
            linestyle=LINES[i],
            marker="os"[i],
            mfc="white",
            label=name,
        )
    ax.set(xlabel=xlabel, ylabel="sup error")
    label_lines(ax)
    return _plain_numbers(ax, ticks)


def teeth(x: NDArray, curves: Sequence[NDArray], ax: Axes | None = None) -> Axes:
    """Draw the tooth folded once, twice, …, each below the one before."""
    ax = axes_or_new(ax)
    for i, curve in enumerate(curves):
        ax.plot(x, curve - 1.35 * i, color=f"C{i}", label=f"_t{i + 1}")
        ax.text(1.03, 0.5 - 1.35 * i, f"$t_{i + 1}$", color=text_color(f"C{i}"), va="center")
    base = -1.35 * np.arange(len(curves))
    ax.set_yticks(np.sort([*base, *(base + 1)]), ["0", "1"] * len(curves))
    ax.set(xlabel="x", ylabel="height of the tooth")
    ax.grid(False)
    return ax


def trained(
    found: Mapping[int, NDArray], best: ArrayLike, polished: ArrayLike, ax: Axes | None = None
) -> Axes:
    """Draw the sup error of trained nets, one dot a seed, above the best for so many units.

    Args:
        found: by number of units, the sup error of each seed's net.
        best: the smallest sup error possible, in the order of `found`.
        polished: the sup error after training from the best net.
        ax: axes to draw on.
    """
    ax = axes_or_new(ax)
    units = np.array(list(found))
    for n, errors in found.items():
        spread = n * 1.035 ** (np.arange(len(errors)) - (len(errors) - 1) / 2)
        ax.plot(spread, errors, "o", color="C1", markersize=5, mfc="none", label="_seeds")
    medians = [np.median(errors) for errors in found.values()]
    ax.loglog(
        units, medians, color="C1", linestyle="--", label="trained from random\n(median; ○ seeds)"
    )
    ax.loglog(
        units, polished, color="C2", linestyle="-.", marker="s", label="trained from the best"
    )
    ax.loglog(units, best, **{**NET, "label": "best possible"}, marker="^")
    label_lines(ax, pad=18)
    ax.set(xlabel="number of units N", ylabel="sup error")
    return _plain_numbers(ax, units)


def where_they_bend(rows: Mapping[str, ArrayLike], best: ArrayLike, ax: Axes | None = None) -> Axes:
    """Draw one row of ticks a net: its breakpoints, above those of the best net.

    Args:
        rows: by name, the breakpoints in (0, 1) of a trained net.
        best: the breakpoints of the best net, drawn as the lowest row and as faint lines.
        ax: axes to draw on.
    """
    ax = axes_or_new(ax)
    for x in np.ravel(best):
        ax.axvline(x, color="#d0d0d0", linewidth=1, zorder=0.5)
    everything = {**rows, "best": best}
    for y, (name, points) in enumerate(reversed(everything.items())):
        color = NET["color"] if name == "best" else "C1"
        points = np.ravel(points)
        ax.plot(
            points, np.full(points.shape, y), "|", color=color, markersize=16, markeredgewidth=2.2
        )
        ax.text(1.03, y, f"{points.size}", color=text_color(color), va="center")
    ax.set_yticks(range(len(everything)), list(reversed(everything)))
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
