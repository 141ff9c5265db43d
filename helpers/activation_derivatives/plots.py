"""Figures of notebook 02: the units, their slopes, and what slopes do to a gradient in depth.

Each writes its alternative text from its data, as the figure's label.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullLocator
from numpy.typing import NDArray

from helpers import activations
from helpers.palette import BLUE, INK, ORANGE, SHADE
from helpers.plotting import label_lines, unit_style, with_alt

PRE_ACTIVATION, VALUE, SLOPE = "pre-activation $z$", r"$f(z)$", r"$f\,'(z)$"
Curves = Mapping[Any, NDArray]  # by a unit's name (or its β), numbers of shape (n,)
Runs = Mapping[str, NDArray]  # by a unit's name, positive numbers of shape (seeds, n)


def _told(x: NDArray, curves: Curves) -> str:
    """Say of each unit's curve where it begins and ends, and how far it goes beyond that."""
    told, x = [], np.ravel(x)
    for name, given in curves.items():
        y = np.ravel(given)
        first, last, low, high = (f"{v:.2g}" for v in (y[0], y[-1], y.min(), y.max()))
        beyond = "" if {low, high} <= {first, last} else f", between {low} and {high}"
        ends = f"{first} at {x[0]:.3g} and {last} at {x[-1]:.3g}"
        told.append(f"{activations.get(name).label} {ends}{beyond}")
    return "; ".join(told) + "."


def with_gaps(slope: NDArray) -> NDArray:
    """Return the slopes with a gap, a nan, at each jump."""
    broken = np.array(slope, dtype=float)
    broken[np.abs(np.diff(broken, prepend=broken[0])) > 0.3] = np.nan
    return broken


def unit_curves(x: NDArray, curves: Curves, ax: Axes | None = None, **properties: Any) -> Axes:
    """Draw one curve a unit over x, shape (n,), labelled at its right end; a jump is a gap.

    Other properties are title, names and scales of the axes; without them, slopes over z. A value
    that is not positive raises a ValueError where the vertical axis is logarithmic.
    """
    ax, log = ax or plt.subplots()[1], properties.get("yscale") == "log"
    for name, y in curves.items():
        if log and not np.greater(y, 0).all():
            raise ValueError(f"curve {name!r} has values <= 0, which a log axis would hide")
        ax.plot(x, y if log else with_gaps(y), **unit_style(name))
    names = {"xlabel": PRE_ACTIVATION, "ylabel": f"slope {SLOPE}", "xlim": (np.min(x), np.max(x))}
    ax.set(**{**names, **properties})
    if log:
        low, high = np.log10(ax.get_ylim())  # for at most nine ticks, all one step apart
        step = next(step for step in (1, 2, 3, 5, 10, 20, 50, 100) if (high - low) / step <= 8)
        ax.set_yticks(10.0 ** np.arange(np.ceil(low / step) * step, high, step))
        ax.yaxis.set_minor_locator(NullLocator())
    label_lines(ax)
    return ax


def panels(x: NDArray, groups: Mapping[str, Curves], **properties: Any) -> Figure:
    """Draw `unit_curves` of two groups side by side, each under its title, on one scale."""
    figure, axes = plt.subplots(1, 2, figsize=(8.6, 3.4), sharey=True)
    for ax, (title, curves) in zip(axes, groups.items(), strict=True):
        unit_curves(x, curves, ax, title=title, **properties)
    axes[1].set_ylabel("")
    told = (f"{title.replace('$', '')}: {_told(x, curves)}" for title, curves in groups.items())
    return with_alt(figure, " ".join(told))


def _two_axes(z: NDArray, *titles: str) -> tuple[Figure, Axes, Axes]:
    """Return a figure and its axes for values and for slopes over z."""
    figure, (left, right) = plt.subplots(1, 2, figsize=(8, 3))
    for ax, title, name in zip((left, right), titles, (VALUE, SLOPE), strict=True):
        ax.set(title=title, xlabel=PRE_ACTIVATION, ylabel=name, xlim=(z[0], z[-1]))
    return figure, left, right


def value_and_slope(name: str, z: NDArray, at: Sequence[float]) -> Figure:
    """Draw a unit over z, shape (n,), with tangents at the points `at`, and its derivative."""
    unit, style = activations.get(name), unit_style(name)
    figure, left, right = _two_axes(z, f"{unit.label}: value, and tangents", "the tangents' slopes")
    left.plot(z, unit.value(z), **style)
    right.plot(z, with_gaps(unit.derivative(z)), **style)
    right.margins(y=0.16)
    for x in at:
        height, slope = float(unit.value(x)), float(unit.derivative(x))
        ends = np.array([-0.13, 0.13]) * (z[-1] - z[0]) / np.hypot(1, slope)
        left.plot(x + ends, height + slope * ends, color=INK, linewidth=1.2)
        for ax, mark in ((left, height), (right, slope)):
            ax.plot(x, mark, "o", color=INK, markersize=4)
        behind, ahead = unit.derivative([x - 0.1, x + 0.1])
        above = slope >= 0
        side = above * int(np.sign(round(behind - ahead, 3)))  # where the curve does not rise
        offset, ha = (6 * side, 8 if above else -16), ("right", "center", "left")[side + 1]
        right.annotate(f"{slope:.3g}", (x, slope), offset, textcoords="offset points", ha=ha)
    slopes = ", ".join(f"{float(unit.derivative(x)):.3g} at z = {x:g}" for x in at)
    whole = _told(z, {name: unit.value(z)})
    return with_alt(figure, f"Value, tangents and slope. {whole} Its slope is {slopes}.")


def four_units(draw: Callable, z: NDArray, units: Mapping[str, Sequence[Callable]]) -> Figure:
    """Return the figure of 2(e): `draw` called on four axes, for each unit and its derivative."""
    figure = Figure(figsize=(8, 5.6))  # not pyplot's: an unanswered `draw` leaves none behind
    told = []
    for ax, (name, (value, slope)) in zip(figure.subplots(2, 2).flat, units.items(), strict=True):
        draw(ax, z, value(z), slope(z), name)
        ax.set_ylim(-1.3, 2.4)
        told.append(f"{name}, slope from {np.min(slope(z)):.2g} to {np.max(slope(z)):.2g}")
    return with_alt(figure, f"Four panels with a unit and its slope each: {'; '.join(told)}.")


def step_errors(steps: NDArray, errors: Mapping[str, NDArray]) -> Axes:
    """Draw errors of two difference quotients, by name, against the step h; shapes (n,), no 0."""
    ax = plt.subplots()[1]
    looks = (("--", (8, -3), "left"), ("-", (0, -14), "center"))
    for (name, error), (style, offset, ha) in zip(errors.items(), looks, strict=True):
        ax.plot(steps, error, style, marker="o", markersize=3.5, label=name)
        place = steps[error.argmin()], error.min()
        ax.annotate(f"{error.min():.0e}", place, offset, textcoords="offset points", ha=ha)
    ax.set(xscale="log", yscale="log", xlabel="step $h$", ylabel="error of the slope")
    ax.margins(y=0.12)
    label_lines(ax)
    told = "; ".join(
        f"{name} {y.min():.0e} at h = {steps[y.argmin()]:.0e} ({y[0]:.0e} at {steps[0]:.0e})"
        for name, y in errors.items()
    )
    return with_alt(
        ax, f"Errors of difference quotients by step h, log axes; the smallest: {told}."
    )


def lost_digits(z: NDArray, groups: Mapping[str, Curves], floor: float) -> Figure:
    """Draw relative errors of slopes, by title and unit, on log axes, none below `floor`."""
    lifted = {
        title: {name: np.maximum(error, floor) for name, error in errors.items()}
        for title, errors in groups.items()
    }
    figure = panels(z, lifted, yscale="log", ylabel="relative error", ylim=(floor / 3, 30))
    for ax in figure.axes:
        ax.hlines([floor, 1], *ax.get_xlim(), color=SHADE, linewidth=0.8, linestyle=":")
    return with_alt(figure, f"Relative errors of slopes against z, log axis. {figure.get_label()}")


def beta_family(z: NDArray, values: Curves, slopes: Curves) -> Figure:
    """Draw Swish and its slope for up to four β, darker with larger β; both are given by β."""
    figure, *axes = _two_axes(z, "Swish", "its slope")
    colors = np.outer(np.linspace(1, 0.55, 4), to_rgb(unit_style("swish")["color"]))
    for ax, curves in zip(axes, (values, slopes), strict=True):
        ax.set_prop_cycle(
            color=colors, linestyle=("-", "--", "-.", ":"), linewidth=np.linspace(2.6, 1.2, 4)
        )
        for beta, y in curves.items():
            ax.plot(z, y, label=f"β = {beta:g}")
        label_lines(ax)
    told = "; ".join(
        "β = {:g}, {:.2g} and {:.2g} ({:.2g} to {:.2g})".format(
            beta, *np.interp([-1, 1], z, np.ravel(y)), np.min(y), np.max(y)
        )
        for beta, y in slopes.items()
    )
    return with_alt(
        figure, f"Swish and its slope for several β. Slope at z = -1 and 1 (range): {told}."
    )


def typical_slopes(spreads: NDArray, slopes: Curves) -> Axes:
    """Draw the units' typical slopes against the standard deviation of their inputs."""
    ax = unit_curves(spreads, slopes, xscale="log", ylim=(0, 1.05), ylabel="typical (rms) slope")
    ax.set_xlabel(r"standard deviation $\gamma$ of the pre-activations")
    return with_alt(ax, f"Root mean square slope against γ: {_told(spreads, slopes)}")


def gradient_by_layer(predicted: Curves, measured: Runs) -> Axes:
    """Draw predicted gradient sizes as lines, measured ones as medians with bars to all seeds.

    Layers go from the last to the first, as a gradient does; so names stand where the lines part.
    """
    layers = np.arange(1, next(iter(measured.values())).shape[1] + 1)
    falling = {name: np.flip(sizes) for name, sizes in predicted.items()}
    names: dict[str, Any] = {
        "title": "lines: product of slopes, dots: backpropagation",
        "xlabel": "hidden layer, from the last to the first",
        "ylabel": "gradient relative to the last layer",
    }
    ax = unit_curves(layers[::-1], falling, yscale="log", xlim=(layers[-1] + 0.5, 0.5), **names)
    for name, sizes in measured.items():
        middle = np.median(sizes, axis=0)
        spread = middle - sizes.min(axis=0), sizes.max(axis=0) - middle
        color = unit_style(name)["color"]
        ax.errorbar(layers, middle, spread, fmt="o", color=color, markersize=3.5, elinewidth=1)
    told = "; ".join(
        f"{activations.get(name).label} {np.ravel(predicted[name])[0]:.1e} and "
        f"{np.median(g[:, 0]):.1e} ({g[:, 0].min():.1e} to {g[:, 0].max():.1e})"
        for name, g in measured.items()
    )
    return with_alt(
        ax,
        "Gradient by layer, log axis, as the product of slopes predicts it and as measured "
        f"(median, and range over seeds). At layer 1: {told}.",
    )


def balance(scales: NDArray, ratio: NDArray) -> float:
    """Return the scale where a ratio over ascending scales last rises through 1, on log axes."""
    if ratio[-1] < 1:
        return float("nan")
    below = np.flatnonzero(ratio < 1)[-1]
    ends = slice(below, below + 2)
    return float(np.exp(np.interp(0, np.log(ratio[ends]), np.log(scales[ends]))))


def gradient_by_scale(scales: NDArray, ratios: Runs, marks: Mapping[str, float]) -> Axes:
    """Draw the first layer's gradient over the last's by the weights' scale: median and range."""
    medians = {name: np.median(ratio, axis=0) for name, ratio in ratios.items()}
    ax = unit_curves(scales, medians, yscale="log", ylabel="gradient, first over last layer")
    ax.set_xlabel("weight scale $c$ (standard deviation of a weight: $c/\\sqrt{n_\\mathrm{in}}$)")
    for name, ratio in ratios.items():
        color = unit_style(name)["color"]
        ax.fill_between(scales, ratio.min(axis=0), ratio.max(axis=0), color=color, alpha=0.2, lw=0)
    ax.axhline(1, color=INK, linewidth=0.8)
    ax.set_xscale("log", base=2)
    ax.xaxis.set_major_formatter("{x:g}")
    top: dict[str, Any] = {"transform": ax.get_xaxis_transform(), "ha": "right", "va": "top"}
    for name, scale in marks.items():
        ax.axvline(scale, color=INK, linewidth=0.8, linestyle=":")
        ax.text(0.97 * scale, 0.98, name, rotation=90, **top)
    ones = ", ".join(
        f"{activations.get(name).label} at c = {balance(np.asarray(scales), median):.2g}"
        for name, median in medians.items()
    )
    return with_alt(
        ax,
        f"Gradient of the first layer over the last's against the weight scale c, log axes. The "
        f"medians rise through 1: {ones}.",
    )


def subnormal_times(spreads: NDArray, shares: NDArray, kept: NDArray, flushed: NDArray) -> Axes:
    """Draw a product's times in ms by the spread of z, subnormals kept and flushed; shapes (n,).

    The title says whether this processor minds subnormal numbers, of which `shares` are there.
    """
    ax, slowdown = plt.subplots()[1], np.max(np.divide(kept, flushed))
    ax.plot(spreads, kept, "-o", color=ORANGE, label="kept")
    ax.plot(spreads, flushed, "--o", color=BLUE, label="flushed to 0")
    said = f"Subnormals make this product up to {slowdown:.0f} times slower on this processor"
    if slowdown < 2:
        said = "This processor does not mind subnormals: nothing to be seen here"
    ax.set(yscale="log", xlabel=r"spread $\gamma$ of the pre-activations", ylabel="time in ms")
    ax.set_title(said, fontsize="medium")
    ticks = {"major_locator": LogLocator(subs=(1, 2, 5)), "minor_locator": NullLocator()}
    ax.yaxis.set(**ticks, major_formatter="{x:g}")
    label_lines(ax)
    return with_alt(
        ax,
        f"{said}. Up to {np.max(shares):.1%} of the slopes are subnormal; kept, the product takes "
        f"{np.min(kept):.2g} to {np.max(kept):.2g} ms, flushed at most {np.max(flushed):.2g}.",
    )
