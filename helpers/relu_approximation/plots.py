"""The figures of notebook 01: nets against x², what they leave over, and how errors shrink.

Most write their own alternative text, from what they draw.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MultipleLocator
from numpy.typing import ArrayLike, NDArray

from helpers.palette import BLACK, GREY, INK, LIGHT, OCHRE, ORANGE, PALE_OCHRE
from helpers.plotting import label_lines, text_color, unit_style, with_alt
from helpers.relu_approximation.nets import ReluNet, SupError

Named = Mapping[str, NDArray]
TOLERANCE = 0.04
NET: dict[str, Any] = {**unit_style("relu"), "label": "_net"}
TARGET: dict[str, Any] = {"color": LIGHT, "linewidth": 5, "solid_capstyle": "round", "label": "_x²"}
BAND: dict[str, Any] = {"color": PALE_OCHRE, "alpha": 0.75, "linewidth": 0, "zorder": 0.5}
REACHED: dict[str, Any] = {"marker": "o", "ls": "none", "color": ORANGE, "ms": 7, "zorder": 5}
BEND: dict[str, Any] = {"marker": "o", "ls": "none", "mfc": "white", "ms": 6, "zorder": 4}
LINES = ("-", "--", "-.", ":", (0, (6, 1.5, 1, 1.5, 1, 1.5)))
LOOKS: list[dict] = [{"color": f"C{i}", "linestyle": line} for i, line in enumerate(LINES)]


def _listed(values: ArrayLike) -> str:
    return ", ".join(f"{value:.4g}" for value in np.round(np.ravel(values), 6) + 0.0)


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
    places = -net.b1 / net.W1[:, 0]
    for i, bend in enumerate(places):
        parts.plot(x, shares[:, i], **LOOKS[i], label=f"unit {i + 1}")
        parts.plot(bend, 0, color=f"C{i}", **BEND)
        total.axvline(bend, **LOOKS[i], linewidth=1)
        total.plot(bend, net(bend), color=f"C{i}", **BEND)
    label_lines(parts)
    total.plot(x, net(x), **{**NET, "color": INK}, zorder=3)
    parts.set(title="what each unit adds", xlabel="x", ylabel="a unit's share")
    total.set(title="their sum", xlabel="x", ylabel="ŷ(x)")
    left = "".join(f"; unit {i} looks to the left" for i in np.flatnonzero(net.W1 < 0) + 1)
    return with_alt(
        figure,
        f"Left: hinges that bend at {_listed(places)}{left}. Right: their sum, "
        f"a broken line that bends at {_listed(net.breakpoints)}.",
    )


def fit(net: ReluNet, ax: Axes, before: ReluNet | None = None) -> Axes:
    """Draw the net over x² and the band, and dashed the net of the step before."""
    x, knots = sample(net), bends(net)
    ax.fill_between(x, x**2 - TOLERANCE, x**2 + TOLERANCE, **BAND)
    ax.plot(x, x**2, **TARGET)
    if before is not None:
        ax.plot(x, before(x), color=GREY, linestyle="--", linewidth=1.2, label="_before")
    ax.plot(x, net(x), **NET)
    ax.plot(knots, net(knots), color=NET["color"], **BEND, label="_bends")
    ax.set(xlim=(-0.03, 1.03), ylim=(-0.09, 1.09), xlabel="x", ylabel="y, ŷ")
    return ax


def residual(net: ReluNet, ax: Axes, limit: float, error: SupError | None = None) -> Axes:
    """Draw x² − ŷ(x) over the band up to ± limit, and mark where the error is reached."""
    x, knots = sample(net), bends(net)
    ax.axhspan(-TOLERANCE, TOLERANCE, **BAND)
    ax.axhline(0, color=TARGET["color"], linewidth=1.2)
    ax.plot(x, x**2 - net(x), **NET)
    ax.plot(knots, knots**2 - net(knots), color=NET["color"], **BEND, label="_bends")
    if error is not None:
        ax.plot(error.points, error.points**2 - net(error.points), **REACHED, label="_reached")
    ax.set(xlim=(-0.03, 1.03), ylim=(-limit, limit), xlabel="x", ylabel="x² − ŷ(x)")
    return ax


def step(net: ReluNet, before: ReluNet | None = None, bend: float | None = None) -> Figure:
    """Draw a net of the greedy construction, the one before, and where it will bend next."""
    figure, (left, right) = plt.subplots(1, 2, figsize=(8.6, 3.2))
    title = "x² (grey), the net, dashed: before" if before else "x² (grey) and the net"
    fit(net, left, before).set_title(title)
    residual(net, right, 0.105).set_title("what is left over")
    right.yaxis.set_major_locator(MultipleLocator(0.04))
    right.text(0.01, TOLERANCE, f"±{TOLERANCE:g}", color=text_color(OCHRE), va="bottom")
    if bend is not None:
        for ax, height in ((left, bend**2), (right, bend**2 - net(bend))):
            ax.axvline(bend, color=GREY, linestyle=":", linewidth=1.2)
            ax.plot(bend, height, "o", color=GREY, markersize=4, zorder=5, label="_next")
        right.text(bend + 0.02, -0.1, f"next hinge: p = {bend:g}", color=GREY, va="bottom")
    ends = np.union1d(net.breakpoints, [0, 1])
    low = np.clip(np.diff(net(ends)) / np.diff(ends) / 2, ends[:-1], ends[1:])
    return with_alt(
        figure,
        f"Left: the net beside x². Right: what is left over, piece by piece lowest at "
        f"x = {_listed(low)}, where it is {_listed(low**2 - net(low))}; at x = 1 it is "
        f"{_listed(1 - net(1))}. The band is ±{TOLERANCE:g}.",
    )


def residuals(nets: Mapping[str, ReluNet], errors: Mapping[str, SupError]) -> Figure:
    """Draw side by side what each net leaves over, with the points where its error is reached."""
    figure, axes = plt.subplots(1, len(nets), figsize=(9.2, 3.1), sharey=True)
    for ax, (name, net) in zip(axes, nets.items(), strict=True):
        residual(net, ax, 0.068, errors[name])
        ax.set_title(f"{name}: 1/{1 / errors[name].value:.0f}")
        ax.label_outer()
    return with_alt(
        figure,
        f"What is left over, in the band of ±{TOLERANCE:g}. Largest size: "
        + "; ".join(f"{name}, {each.value:.4g} at x = {each.at}" for name, each in errors.items()),
    )


def candidates(net: ReluNet, error: SupError, ends: ArrayLike, vertices: ArrayLike) -> Axes:
    """Draw the residual with the ends of its pieces, its vertices, and where it is largest."""
    ax = residual(net, plt.subplots()[1], 0.048, error)
    plt.setp(ax.lines[-1], markersize=15, label="sup error reached")  # seen around the others
    look: dict[str, Any] = {"mfc": "white", "color": BLACK, "markersize": 7, "zorder": 6}
    for points, marker, label in ((ends, "s", "ends of pieces"), (vertices, "v", "vertices")):
        x = np.asarray(points)
        ax.plot(x, x**2 - net(x), marker, **look, label=label)
    left_over = sample(net) ** 2 - net(sample(net))
    ax.set_ylim(left_over.min() - 0.008, left_over.max() + 0.012)
    ax.legend(loc="lower left", ncols=3, bbox_to_anchor=(0, 1), borderaxespad=0.2, columnspacing=1)
    return with_alt(
        ax,
        f"What the net leaves over, its pieces' ends at {_listed(ends)}, vertices at "
        f"{_listed(vertices)}. The largest size, {error.value:.4g}, is reached at {error.at}.",
    )


def curves(
    x: NDArray, named: Named, marked: Callable | None = None, ax: Axes | None = None, **axes: Any
) -> Axes:
    """Draw functions of x, named at their ends; dots stand where `marked` of the values says."""
    ax = ax or plt.subplots()[1]
    told = []
    for look, (name, values) in zip(LOOKS, named.items(), strict=False):
        ax.plot(x, values, **look, label=name)
        if marked is not None:
            where = marked(values)
            ax.plot(x[where], values[where], "o", color=look["color"], label="_marked")
            told.append(f"{name}: {_listed(values[where])} at {_listed(x[where])}")
    ax.set(**{"xlabel": "x", "ylabel": "x² − ŷ(x)", **axes})
    label_lines(ax, pad=9)
    return with_alt(ax, f"{ax.get_ylabel()} against {ax.get_xlabel()}. {'; '.join(told)}.")


def panels(x: NDArray, groups: Mapping[str, Named], ylabel: str) -> Figure:
    """Draw groups of functions of x side by side, each under its title."""
    figure, axes = plt.subplots(1, len(groups), figsize=(8.6, 3.2))
    for ax, (title, named) in zip(axes, groups.items(), strict=True):
        curves(x, named, ax=ax, title=title, ylabel=ylabel)
    straight = [[np.ptp(np.diff(y)) < 1e-9 for y in named.values()] for named in groups.values()]
    return with_alt(
        figure,
        "; ".join(
            f"{title}: {sum(each)} straight lines of {len(each)} curves"
            for title, each in zip(groups, straight, strict=True)
        ),
    )


def largest(values: NDArray) -> NDArray:
    """Return a mask of the places where the size of the values is largest."""
    return np.isclose(np.abs(values), np.abs(values).max(), rtol=1e-9)


def dips(x: NDArray, named: Named) -> Axes:
    """Draw x² − mx for several slopes m, with a strip as deep as they may dip below 0."""
    ax = curves(x, named, np.argmin, ylabel="x² − mx")
    ax.axhspan(-2 * TOLERANCE, 0, **BAND)
    said = f"down from r(0): {2 * TOLERANCE:g}, all that is allowed"
    ax.text(0.5, -TOLERANCE, said, ha="center", va="center")
    return ax


def one_unit(breakpoints: NDArray, errors: Named, tolerance: float) -> Axes:
    """Draw the best sup error that one unit reaches against where it bends."""
    names: dict[str, Any] = {"xlabel": "breakpoint p", "ylabel": "smallest sup error"}
    ax = curves(breakpoints, errors, np.argmin, xlim=(-0.02, 1.02), ylim=(0, 0.53), **names)
    ax.axhspan(0, tolerance, **BAND)
    ax.text(0.985, tolerance / 2, f"allowed: {tolerance:g}", ha="right", va="center")
    return ax


def errors(
    named: Mapping[str, Sequence],
    xlabel: str,
    ticks: Sequence[int],
    tolerance: float | None = None,
    draw: Callable | None = None,
) -> Axes:
    """Draw by name the sizes and sup errors of families of nets; a line marks the tolerance.

    `draw(ax, sizes, errors)`, where given, draws the lines and names the axes in our stead.
    """
    ax = plt.subplots()[1]
    if tolerance is not None:
        place: dict[str, Any] = {"transform": ax.get_yaxis_transform(), "ha": "right"}
        ax.axhline(tolerance, color=OCHRE, linewidth=1)
        ax.text(0.99, 1.1 * tolerance, f"{tolerance:g}", color=text_color(OCHRE), **place)
    told = []
    for look, marker, (name, (sizes, values)) in zip(LOOKS, "os", named.items(), strict=False):
        first, *_, last = (f"{e:.3g} at {n}" for n, e in zip(sizes, values, strict=True))
        told.append(f"{name}: from {first} to {last}")
        if draw is None:
            ax.plot(sizes, values, **look, marker=marker, mfc="white", label=name)
        else:
            draw(ax, sizes, values)
            color = ax.lines[-1].get_color() if ax.lines else BLACK
            ax.plot(sizes[-1], values[-1], color=color, label=name)  # for the name alone
    ax.set(xlabel=ax.get_xlabel() or xlabel, ylabel=ax.get_ylabel() or "sup error")
    sentence = f"Sup error against {xlabel}, on log axes. {'; '.join(told)}."
    return with_alt(_log_log(ax, ticks), sentence)


def _log_log(ax: Axes, ticks: Sequence[int], pad: float = 6) -> Axes:
    """Make both axes logarithmic, with plain numbers at the ticks, and label the lines."""
    ax.set(xscale="log", yscale="log")
    label_lines(ax, pad=pad)
    ax.set_xticks(ticks, [str(tick) for tick in ticks])
    ax.set_xticks([], minor=True)
    return ax


def folding(x: NDArray, teeth: Sequence[NDArray], arches: Named) -> Figure:
    """Draw the folded teeth, each below the one before, and by name the arches left above x²."""
    figure, (left, right) = plt.subplots(1, 2, figsize=(8.8, 3.5))
    base = -1.35 * np.arange(len(teeth))
    for i, (tooth, low) in enumerate(zip(teeth, base, strict=True)):
        left.plot(x, tooth + low, color=f"C{i}", label=f"_T{i + 1}")
        left.text(1.03, 0.5 + low, f"$T_{i + 1}$", color=text_color(f"C{i}"), va="center")
    left.set_yticks(np.sort([*base, *(base + 1)]), ["0", "1"] * len(teeth))
    left.set(xlabel="x", ylabel="height of the tooth")
    left.grid(False)
    for look, (name, arch) in zip(LOOKS, arches.items(), strict=False):
        right.plot(x, arch, **look, label=f"_{name}")
        top = arch.max()
        height = top + 0.006 if top > 0.03 else -0.018  # a low arch has its name below
        right.text(x[arch.argmax()], height, name, ha="center")
    right.set(xlabel="x", ylabel="distance above x²", ylim=(-0.03, 0.29))
    tops = "; ".join(f"{name}: {arch.max():.4g}" for name, arch in arches.items())
    return with_alt(figure, f"Left: {len(teeth)} sawtooths, one below another. Right: tops {tops}.")


def trained(found: Mapping[int, NDArray], best: ArrayLike, polished: ArrayLike) -> Axes:
    """Draw by number of units all seeds' sup errors in order, the best, and the best net's trained.

    A strip a number of units: its errors from the smallest to the largest.
    """
    ax = plt.subplots()[1]
    units = list(found)
    for n, errors in found.items():
        spread = n * 2 ** np.linspace(-0.3, 0.3, len(errors))
        ax.plot(spread, np.sort(errors), "o", color="C1", markersize=3, mfc="none", label="_seeds")
    medians = [np.median(errors) for errors in found.values()]
    ax.plot(units, medians, "C1--", label="trained from random\n(median; ○ seeds in order)")
    ax.plot(units, polished, "C2-.", marker="s", label="trained from the best")
    ax.plot(units, best, **{**NET, "label": "best possible"}, marker="^")
    ax.set(xlabel="number of units N", ylabel="sup error")
    return with_alt(
        _log_log(ax, units, pad=18),
        f"Sup error for {_listed(units)} units, on log axes. Trained from random starts, median: "
        f"{_listed(medians)}; smallest: {_listed([min(each) for each in found.values()])}. Trained "
        f"from the best net: {_listed(polished)}; the best possible: {_listed(best)}.",
    )


def where_they_bend(rows: Mapping[str, ArrayLike], best: ArrayLike) -> Axes:
    """Draw a row of ticks a net, its breakpoints in (0, 1), above the best net's row and lines."""
    ax = plt.subplots()[1]
    ax.vlines(best, -0.6, len(rows) + 0.6, color=LIGHT, linewidth=1, zorder=0.5)
    everything = {"best": best, **{name: rows[name] for name in reversed(list(rows))}}
    told = []
    for y, (name, points) in enumerate(everything.items()):
        color = NET["color"] if name == "best" else "C1"
        ax.plot(points, np.full(np.shape(points), y), "|", color=color, markersize=16, mew=2.2)
        places = int((np.diff(np.sort(points), prepend=-1) > 0.005).sum())  # a tick is as wide
        said = f"{np.size(points)}" + f", in {places} places" * (places < np.size(points))
        ax.text(1.03, y, said, color=text_color(color), va="center")
        told.append(f"{name}: {said}")
    ax.set_yticks(range(len(everything)), list(everything))
    ax.text(1.03, len(rows) + 0.65, "bends", va="center")
    ax.set(xlim=(0, 1), ylim=(-0.6, len(rows) + 0.6), xlabel="x")
    ax.grid(False)
    return with_alt(ax, f"Bends inside (0, 1), a row a net. {'; '.join(told[::-1])}.")
