"""Figures of notebook 02: the units, their slopes, and what slopes do to a gradient in depth.

Every function receives computed numbers and an optional Axes, draws, labels, and returns the
Axes. Units have the course's colours and line styles; curves are labelled where they end.
"""

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.ticker import NullLocator
from numpy.typing import ArrayLike, NDArray

from helpers.plotting import axes_or_new, label_lines, text_color, unit_style

INK = "#333333"
PRE_ACTIVATION = "pre-activation $z$"
Curves = Mapping[str, ArrayLike]


def value_and_slope(
    z: NDArray,
    value: NDArray,
    slope: NDArray,
    name: str,
    at: Sequence[float] = (),
    axes: Sequence[Axes] | None = None,
) -> Sequence[Axes]:
    """Draw a unit with short tangents on the left, and its derivative on the right.

    Args:
        z: inputs, ascending, shape (n,).
        value: the unit's values at z, shape (n,).
        slope: its derivatives at z, shape (n,); a jump is drawn as a gap.
        name: the unit's name, for colour, line style and titles.
        at: inputs at which a tangent is drawn, and its slope marked on the right.
        axes: two Axes, or None for a new figure.

    Returns:
        The two Axes.
    """
    left, right = axes if axes is not None else plt.subplots(1, 2, figsize=(8, 3))[1]
    style = unit_style(name)
    left.plot(z, value, **style)
    right.plot(z, _with_gaps(slope), **style)
    for point in at:
        height, steepness = np.interp(point, z, value), np.interp(point, z, slope)
        reach = 0.13 * (z[-1] - z[0]) / np.hypot(1, steepness)
        ends = np.array([-reach, reach])
        left.plot(point + ends, height + steepness * ends, color=INK, linewidth=1.2, zorder=3)
        left.plot(point, height, "o", color=INK, markersize=4, zorder=4)
        right.plot(point, steepness, "o", color=INK, markersize=4, zorder=4)
        ahead, behind = np.interp([point + 0.1, point - 0.1], z, slope)
        side = 0 if abs(ahead - behind) < 1e-3 else int(np.sign(behind - ahead))  # off the curve
        right.annotate(
            f"{steepness:.3g}",
            (point, steepness),
            (6 * side, 6) if steepness >= 0 else (0, -7),
            textcoords="offset points",
            ha=("right", "center", "left")[side + 1] if steepness >= 0 else "center",
            va="bottom" if steepness >= 0 else "top",
        )
    left.set(title=f"{style['label']}: value, and tangents", ylabel=r"$f(z)$")
    right.set(title="the tangents' slopes", ylabel=r"$f\,'(z)$")
    right.margins(y=0.16)
    for ax in (left, right):
        ax.set(xlabel=PRE_ACTIVATION, xlim=(z[0], z[-1]))
    return left, right


def _ends(x: ArrayLike) -> tuple[float, float]:
    values = np.asarray(x, dtype=float)
    return float(values.min()), float(values.max())


def _with_gaps(slope: NDArray) -> NDArray:
    broken = np.array(slope, dtype=float)
    broken[1:][np.abs(np.diff(slope)) > 0.3] = np.nan
    return broken


def unit_curves(
    x: ArrayLike,
    curves: Curves,
    ax: Axes | None = None,
    xlabel: str = PRE_ACTIVATION,
    ylabel: str = r"slope $f\,'(z)$",
    yscale: str = "linear",
) -> Axes:
    """Draw one curve a unit, each in its own colour and labelled where it ends.

    Args:
        x: shape (n,).
        curves: by a unit's name, values of shape (n,); a jump is drawn as a gap where linear.
        ax: where to draw; a new figure without it.
        xlabel: what x is, with its unit.
        ylabel: what the values are.
        yscale: `linear` or `log`; on a log axis no value may be 0.

    Raises:
        ValueError: a value is not positive and the axis is logarithmic.
    """
    ax = axes_or_new(ax)
    for name, y in curves.items():
        y = np.asarray(y, dtype=float)
        if yscale == "log" and not (y > 0).all():
            raise ValueError(f"curve {name!r} has values <= 0, which a log axis would hide")
        ax.plot(x, y if yscale == "log" else _with_gaps(y), **unit_style(name))
    ax.set(xlabel=xlabel, ylabel=ylabel, yscale=yscale, xlim=_ends(x))
    if yscale == "log":
        _decade_ticks(ax)
    label_lines(ax)
    return ax


def _decade_ticks(ax: Axes) -> None:
    """Set at most nine ticks, at powers of ten whose exponents are multiples of one step."""
    low, high = np.log10(ax.get_ylim())
    step = next(step for step in (1, 2, 3, 5, 10, 20, 50) if (high - low) / step <= 8 or step == 50)
    exponents = np.arange(np.ceil(low / step), np.floor(high / step) + 1) * step
    ax.set_yticks(10.0**exponents)
    ax.yaxis.set_minor_locator(NullLocator())


def step_errors(steps: ArrayLike, errors: Mapping[str, ArrayLike], ax: Axes | None = None) -> Axes:
    """Draw the error of difference quotients against the step h, both on log axes.

    Args:
        steps: steps h, shape (n,).
        errors: by the quotient's name, absolute errors of shape (n,); none may be 0.
        ax: where to draw; a new figure without it.
    """
    ax = axes_or_new(ax)
    looks = (("--", (8, -3), "left"), ("-", (0, -14), "center"))
    for (name, error), (style, offset, ha) in zip(errors.items(), looks, strict=False):
        ax.plot(steps, error, style, marker="o", markersize=3.5, label=name)
        best = int(np.argmin(error))
        ax.annotate(
            f"{np.asarray(error)[best]:.0e}",
            (np.asarray(steps)[best], np.asarray(error)[best]),
            offset,
            textcoords="offset points",
            ha=ha,
        )
    ax.set(xscale="log", yscale="log", xlabel="step $h$", ylabel="error of the slope")
    ax.margins(y=0.12)
    label_lines(ax)
    return ax


def lost_digits(
    z: ArrayLike, errors: Curves, floor: float, ax: Axes | None = None, title: str = ""
) -> Axes:
    """Draw relative errors of slopes on a log axis, those below `floor` at the floor.

    Args:
        z: inputs, shape (n,).
        errors: by a unit's name, relative errors of shape (n,); 1 means that all is lost.
        floor: the arithmetic's own rounding error, drawn as a line; errors below are lifted to it.
        ax: where to draw; a new figure without it.
        title: the Axes' title.
    """
    ax = axes_or_new(ax)
    for name, error in errors.items():
        ax.plot(z, np.maximum(error, floor), **unit_style(name))
    ax.axhline(floor, color="#999999", linewidth=0.8, linestyle=":")
    ax.axhline(1, color="#999999", linewidth=0.8, linestyle=":")
    ax.set(xlabel=PRE_ACTIVATION, ylabel="relative error", yscale="log", title=title)
    ax.set(xlim=_ends(z), ylim=(floor / 3, 30))
    return ax


def beta_family(
    z: ArrayLike, curves: Mapping[float, ArrayLike], ylabel: str, ax: Axes | None = None
) -> Axes:
    """Draw Swish or its slope for several β, darker with larger β.

    Args:
        z: inputs, shape (n,).
        curves: by β, values of shape (n,).
        ylabel: what the values are.
        ax: where to draw; a new figure without it.
    """
    ax = axes_or_new(ax)
    color = np.array(to_rgb(unit_style("swish")["color"]))
    widths = np.linspace(2.6, 1.2, len(curves))
    for (beta, y), style, width, dark in zip(
        curves.items(), ("-", "--", "-.", ":", "-"), widths, np.linspace(0, 0.6, 5), strict=False
    ):
        ax.plot(z, y, linestyle=style, color=color * (1 - dark), lw=width, label=f"β = {beta:g}")
    ax.set(xlabel=PRE_ACTIVATION, ylabel=ylabel, xlim=_ends(z))
    return ax


def lowest_points(
    z: ArrayLike, curves: Curves, lowest: Mapping[str, tuple[float, float]], ax: Axes | None = None
) -> Axes:
    """Draw units near zero and mark the lowest point of those that have one.

    Args:
        z: inputs, shape (n,).
        curves: by a unit's name, values of shape (n,).
        lowest: by a unit's name, its lowest point (z, f(z)).
        ax: where to draw; a new figure without it.
    """
    ax = unit_curves(z, curves, ax, ylabel=r"$f(z)$")
    ax.set_ylim(bottom=min(depth for _, depth in lowest.values()) - 0.2)
    heights = (0.12, min(depth for _, depth in lowest.values()) - 0.1)
    for (name, (at, depth)), height in zip(lowest.items(), heights, strict=False):
        color = unit_style(name)["color"]
        ax.plot(at, depth, "o", color=color, markersize=5)
        ax.annotate(
            f"{depth:.4f} at {at:.3f}",
            (at, depth),
            (at, height),
            ha="center",
            va="center",
            color=text_color(color),
            arrowprops={"arrowstyle": "-", "color": color, "linewidth": 0.8},
        )
    return ax


def gradient_by_layer(
    predicted: Curves, measured: Mapping[str, NDArray], ax: Axes | None = None
) -> Axes:
    """Draw predicted gradient sizes as lines, measured ones as points with their spread.

    Args:
        predicted: by a unit's name, sizes of shape (layers,), positive.
        measured: by a unit's name, sizes of shape (seeds, layers), positive; the point is the
            median and the bar reaches from the smallest to the largest seed.
        ax: where to draw; a new figure without it.
    """
    layers = np.arange(1, len(np.asarray(next(iter(predicted.values())))) + 1)
    ax = unit_curves(
        layers,
        predicted,
        ax,
        xlabel="hidden layer (1 is next to the input)",
        ylabel="gradient relative to the last layer",
        yscale="log",
    )
    for name, sizes in measured.items():
        middle = np.median(sizes, axis=0)
        spread = np.abs(np.stack([sizes.min(axis=0), sizes.max(axis=0)]) - middle)
        ax.errorbar(
            layers,
            middle,
            spread,
            fmt="o",
            color=unit_style(name)["color"],
            markersize=3.5,
            elinewidth=1,
        )
    return ax


def gradient_by_scale(
    scales: ArrayLike,
    ratios: Mapping[str, NDArray],
    marks: Mapping[str, float],
    ax: Axes | None = None,
) -> Axes:
    """Draw how the first layer's gradient, relative to the last's, follows the weights' scale.

    Args:
        scales: weight scales, shape (n,).
        ratios: by a unit's name, ratios of shape (seeds, n), positive; the line is the median,
            the band reaches from the smallest to the largest seed.
        marks: by name, scales at which a vertical line stands.
        ax: where to draw; a new figure without it.
    """
    medians = {name: np.median(ratio, axis=0) for name, ratio in ratios.items()}
    ax = unit_curves(
        scales,
        medians,
        ax,
        xlabel="weight scale $g$ (weights have standard deviation $g/\\sqrt{n}$)",
        ylabel="gradient, first over last layer",
        yscale="log",
    )
    for name, ratio in ratios.items():
        color = unit_style(name)["color"]
        ax.fill_between(scales, ratio.min(axis=0), ratio.max(axis=0), color=color, alpha=0.2, lw=0)
    ax.axhline(1, color=INK, linewidth=0.8)
    ax.set_xscale("log", base=2)
    ax.xaxis.set_major_formatter(lambda scale, _: f"{scale:g}")
    for name, scale in marks.items():
        ax.axvline(scale, color=INK, linewidth=0.8, linestyle=":")
        ax.annotate(
            name,
            (scale, 1),
            (-3, -3),
            xycoords=ax.get_xaxis_transform(),
            textcoords="offset points",
            rotation=90,
            ha="right",
            va="top",
        )
    return ax
