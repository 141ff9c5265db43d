"""Figures of notebook 02: the units, their slopes, and what slopes do to a gradient in depth.

Functions receive computed numbers and return the Axes they drew on, or the Figure where it has
several. Units have the course's colours and line styles; curves are labelled where they end.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.ticker import NullLocator
from numpy.typing import ArrayLike, NDArray

from helpers import activations
from helpers.palette import INK, SHADE
from helpers.plotting import axes_or_new, label_lines, text_color, unit_style

PRE_ACTIVATION = "pre-activation $z$"
Curves = Mapping[str, ArrayLike]


def value_and_slope(name: str, z: NDArray, at: Sequence[float] = ()) -> Figure:
    """Draw a unit with short tangents on the left, and its derivative on the right.

    Args:
        name: the unit's name.
        z: inputs, ascending, shape (n,).
        at: inputs at which a tangent is drawn, and its slope marked on the right.
    """
    figure, (left, right) = plt.subplots(1, 2, figsize=(8, 3))
    unit, style = activations.get(name), unit_style(name)
    slope = unit.derivative(z)
    left.plot(z, unit.value(z), **style)
    right.plot(z, with_gaps(slope), **style)
    for point in at:
        height, steepness = float(unit.value(point)), float(unit.derivative(point))
        ends = np.array([-0.13, 0.13]) * (z[-1] - z[0]) / np.hypot(1, steepness)
        left.plot(point + ends, height + steepness * ends, color=INK, linewidth=1.2, zorder=3)
        for ax, mark in ((left, height), (right, steepness)):
            ax.plot(point, mark, "o", color=INK, markersize=4, zorder=4)
        ahead, behind = np.interp([point + 0.1, point - 0.1], z, slope)
        side = 0 if abs(ahead - behind) < 1e-3 else int(np.sign(behind - ahead))  # off the curve
        above = steepness >= 0
        right.annotate(
            f"{steepness:.3g}",
            (point, steepness),
            (6 * side, 6) if above else (0, -7),
            textcoords="offset points",
            ha=("right", "center", "left")[side + 1] if above else "center",
            va="bottom" if above else "top",
        )
    left.set(title=f"{unit.label}: value, and tangents", ylabel=r"$f(z)$")
    right.set(title="the tangents' slopes", ylabel=r"$f\,'(z)$")
    right.margins(y=0.16)
    for ax in (left, right):
        ax.set(xlabel=PRE_ACTIVATION, xlim=(z[0], z[-1]))
    return figure


def with_gaps(slope: ArrayLike) -> NDArray:
    """Return the slopes with a gap, a nan, at each jump."""
    broken = np.array(slope, dtype=float)
    broken[np.abs(np.diff(broken, prepend=broken[0])) > 0.3] = np.nan
    return broken


def unit_curves(
    x: ArrayLike,
    curves: Curves,
    ax: Axes | None = None,
    yscale: str = "linear",
    **properties: Any,
) -> Axes:
    """Draw one curve a unit, labelled at its right end; a jump is drawn as a gap.

    Args:
        x: what the curves are drawn over, shape (n,).
        curves: by a unit's name, values of shape (n,).
        ax: where to draw; a new figure without it.
        yscale: "linear" or "log"; on a log axis no value may be 0.
        properties: title, names and scales of the axes; without them, slopes over z.

    Raises:
        ValueError: a value is not positive and the axis is logarithmic.
    """
    ax = axes_or_new(ax)
    for name, y in curves.items():
        y = np.asarray(y, dtype=float)
        if yscale == "log" and not (y > 0).all():
            raise ValueError(f"curve {name!r} has values <= 0, which a log axis would hide")
        ax.plot(x, y if yscale == "log" else with_gaps(y), **unit_style(name))
    names = {"xlabel": PRE_ACTIVATION, "ylabel": r"slope $f\,'(z)$"}
    ax.set(**{**names, "yscale": yscale, "xlim": _ends(x), **properties})
    if yscale == "log":
        _decade_ticks(ax)
    label_lines(ax)
    return ax


def panels(x: ArrayLike, groups: Mapping[str, Curves], **properties: Any) -> Figure:
    """Draw `unit_curves` of two groups side by side, each under its title, on one scale."""
    figure, axes = plt.subplots(1, 2, figsize=(8.6, 3.4), sharey=True)
    for ax, (title, curves) in zip(axes, groups.items(), strict=True):
        unit_curves(x, curves, ax, title=title, **properties)
    axes[1].set_ylabel("")
    return figure


def four_units(
    draw: Callable[[Axes, NDArray, NDArray, NDArray, str], object],
    z: NDArray,
    units: Mapping[str, tuple[Callable[[NDArray], NDArray], Callable[[NDArray], NDArray]]],
) -> Figure:
    """Return the figure of 2(e): `draw` called on four axes, for each unit and its derivative."""
    figure = Figure(figsize=(8, 5.6))  # not pyplot's: an unanswered `draw` leaves none behind
    for ax, (name, (value, slope)) in zip(figure.subplots(2, 2).flat, units.items(), strict=True):
        draw(ax, z, value(z), slope(z), name)
        ax.set_ylim(-1.3, 2.4)
    return figure


def step_errors(steps: NDArray, errors: Mapping[str, NDArray]) -> Axes:
    """Draw the error of difference quotients against the step h, both on log axes.

    Args:
        steps: steps h, shape (n,).
        errors: by the quotient's name, absolute errors of shape (n,); none may be 0.
    """
    ax = axes_or_new(None)
    looks = (("--", (8, -3), "left"), ("-", (0, -14), "center"))
    for (name, error), (style, offset, ha) in zip(errors.items(), looks, strict=True):
        ax.plot(steps, error, style, marker="o", markersize=3.5, label=name)
        place = steps[error.argmin()], error.min()
        ax.annotate(f"{error.min():.0e}", place, offset, textcoords="offset points", ha=ha)
    ax.set(xscale="log", yscale="log", xlabel="step $h$", ylabel="error of the slope")
    ax.margins(y=0.12)
    label_lines(ax)
    return ax


def lost_digits(z: ArrayLike, groups: Mapping[str, Curves], floor: float) -> Figure:
    """Draw relative errors of slopes on log axes, those below `floor` at the floor.

    Args:
        z: inputs, shape (n,).
        groups: by title, by a unit's name, errors of shape (n,); 1 means that all is lost.
        floor: the arithmetic's own rounding error, drawn as a line; errors below are lifted to it.
    """
    lifted = {
        title: {name: np.maximum(error, floor) for name, error in errors.items()}
        for title, errors in groups.items()
    }
    names = {"ylabel": "relative error", "ylim": (floor / 3, 30)}
    figure = panels(z, lifted, yscale="log", **names)
    for ax in figure.axes:
        for height in (floor, 1):
            ax.axhline(height, color=SHADE, linewidth=0.8, linestyle=":")
    return figure


def beta_family(
    z: ArrayLike, values: Mapping[float, ArrayLike], slopes: Mapping[float, ArrayLike]
) -> Figure:
    """Draw Swish and its slope for up to five β, darker with larger β; both are given by β."""
    figure, axes = plt.subplots(1, 2, figsize=(8, 3))
    color = np.array(to_rgb(unit_style("swish")["color"]))
    styles = ("-", "--", "-.", ":", "-")
    for ax, curves in zip(axes, (values, slopes), strict=True):
        widths, shades = np.linspace(2.6, 1.2, len(curves)), np.linspace(1, 0.4, 5)
        for (beta, y), style, width, shade in zip(
            curves.items(), styles, widths, shades, strict=False
        ):
            ax.plot(z, y, linestyle=style, color=color * shade, lw=width, label=f"β = {beta:g}")
        ax.set(xlabel=PRE_ACTIVATION, xlim=_ends(z))
    axes[0].set(title="Swish", ylabel=r"$f(z)$")
    axes[1].set(title="its slope", ylabel=r"$f\,'(z)$")
    for ax in axes:
        label_lines(ax)
    return figure


def lowest_points(
    z: ArrayLike, values: Curves, slopes: Curves, lowest: Mapping[str, tuple[float, float]]
) -> Figure:
    """Draw units near zero with the lowest point of those that have one, and their slopes.

    Args:
        z: inputs, shape (n,).
        values: by a unit's name, f(z) of shape (n,).
        slopes: by a unit's name, f'(z) of shape (n,).
        lowest: by a unit's name, its lowest point (z, f(z)), of two units at most.
    """
    figure, (left, right) = plt.subplots(1, 2, figsize=(8.6, 3.3))
    unit_curves(z, values, left, title="a lowest point below zero", ylabel=r"$f(z)$")
    bottom = min(depth for _, depth in lowest.values())
    left.set_ylim(bottom=bottom - 0.2)
    for (name, (at, depth)), height in zip(lowest.items(), (0.12, bottom - 0.1), strict=False):
        color = unit_style(name)["color"]
        left.plot(at, depth, "o", color=color, markersize=5)
        left.annotate(
            f"{depth:.4f} at {at:.3f}",
            (at, depth),
            (at, height),
            ha="center",
            va="center",
            color=text_color(color),
            arrowprops={"arrowstyle": "-", "color": color, "linewidth": 0.8},
        )
    unit_curves(z, slopes, right, title="slopes without a jump")
    right.axhline(0, color=INK, linewidth=0.8)
    return figure


def typical_slopes(spreads: ArrayLike, slopes: Curves) -> Axes:
    """Draw the units' typical slopes against the standard deviation of their inputs."""
    return unit_curves(
        spreads,
        slopes,
        xlabel=r"standard deviation $\gamma$ of the pre-activations",
        ylabel="typical (rms) slope",
        xscale="log",
        ylim=(0, 1.05),
    )


def gradient_by_layer(predicted: Curves, measured: Mapping[str, NDArray]) -> Axes:
    """Draw predicted gradient sizes as lines, measured ones as points with their spread.

    Args:
        predicted: by a unit's name, sizes of shape (layers,), positive.
        measured: by a unit's name, sizes of shape (seeds, layers), positive; the point is the
            median and the bar reaches from the smallest to the largest seed.
    """
    layers = np.arange(1, next(iter(measured.values())).shape[1] + 1)
    ax = unit_curves(
        layers,
        predicted,
        yscale="log",
        title="lines: product of slopes, dots: backpropagation",
        xlabel="hidden layer (1 is next to the input)",
        ylabel="gradient relative to the last layer",
    )
    for name, sizes in measured.items():
        middle = np.median(sizes, axis=0)
        spread = np.abs(np.stack([sizes.min(axis=0), sizes.max(axis=0)]) - middle)
        color = unit_style(name)["color"]
        ax.errorbar(layers, middle, spread, fmt="o", color=color, markersize=3.5, elinewidth=1)
    return ax


def gradient_by_scale(
    scales: ArrayLike, ratios: Mapping[str, NDArray], marks: Mapping[str, float]
) -> Axes:
    """Draw how the first layer's gradient, relative to the last's, follows the weights' scale.

    Args:
        scales: weight scales, shape (n,).
        ratios: by a unit's name, ratios of shape (seeds, n), positive; the line is the median,
            the band reaches from the smallest to the largest seed.
        marks: by name, scales at which a vertical line stands.
    """
    ax = unit_curves(
        scales,
        {name: np.median(ratio, axis=0) for name, ratio in ratios.items()},
        yscale="log",
        xlabel="weight scale $g$ (weights have standard deviation $g/\\sqrt{n}$)",
        ylabel="gradient, first over last layer",
    )
    for name, ratio in ratios.items():
        color = unit_style(name)["color"]
        ax.fill_between(scales, ratio.min(axis=0), ratio.max(axis=0), color=color, alpha=0.2, lw=0)
    ax.axhline(1, color=INK, linewidth=0.8)
    ax.set_xscale("log", base=2)
    ax.xaxis.set_major_formatter(lambda scale, _: f"{scale:g}")
    place: dict[str, Any] = {"textcoords": "offset points", "ha": "right", "va": "top"}
    for name, scale in marks.items():
        ax.axvline(scale, color=INK, linewidth=0.8, linestyle=":")
        top = ax.get_xaxis_transform()
        ax.annotate(name, (scale, 1), (-3, -3), xycoords=top, rotation=90, **place)
    return ax


def _ends(x: ArrayLike) -> tuple[float, float]:
    return float(np.min(x)), float(np.max(x))


def _decade_ticks(ax: Axes) -> None:
    """Set at most nine ticks, at powers of ten whose exponents are multiples of one step."""
    low, high = np.log10(ax.get_ylim())
    step = next(step for step in (1, 2, 3, 5, 10, 20, 50) if (high - low) / step <= 8 or step == 50)
    exponents = np.arange(np.ceil(low / step), np.floor(high / step) + 1) * step
    ax.set_yticks(10.0**exponents)
    ax.yaxis.set_minor_locator(NullLocator())
