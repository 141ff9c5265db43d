"""Figures of notebook 05: bounds on the gradient, and singular values.

The figures of its training experiments are in `helpers.gradient_bounds.toy_plots`.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator
from numpy.typing import ArrayLike, NDArray

from helpers.gradient_bounds import spectra
from helpers.plotting import axes_or_new, label_lines, text_color, unit_style

BLUE, ORANGE, GREEN, GREY = "#0072B2", "#D55E00", "#00825F", "#666666"
# One look for each of the three quantities, in every figure and in the explorer.
TRUE: dict[str, Any] = {"color": "black", "linestyle": "-", "marker": "o", "markersize": 4}
UPPER: dict[str, Any] = {"color": ORANGE, "linestyle": "--", "marker": "^", "markersize": 4}
LOWER: dict[str, Any] = {"color": BLUE, "linestyle": "-.", "marker": "v", "markersize": 4}

BOUNDS = {"upper bound": UPPER, "true gradient": TRUE, "lower bound": LOWER}
# Looks for up to three curves that are none of these.
LOOKS: tuple[dict[str, Any], ...] = (
    {"color": ORANGE, "linestyle": "-", "marker": "^", "markersize": 4},
    {"color": GREY, "linestyle": ":", "marker": "s", "markersize": 3},
    {"color": BLUE, "linestyle": "--", "marker": "v", "markersize": 4},
)


def circle_to_ellipse(A: NDArray, axes: Sequence[Axes] | None = None) -> Axes:
    """Draw the unit circle and its image under the 2×2 matrix A, with A's singular directions.

    Returns:
        The second of the two Axes.
    """
    left, right = plt.subplots(1, 2, figsize=(7.2, 3.6))[1] if axes is None else axes
    angle = np.linspace(0, 2 * np.pi, 241)
    circle = np.stack([np.cos(angle), np.sin(angle)])
    U, s, Vt = np.linalg.svd(A)
    signs = np.where(U[0] < 0, -1, 1)  # u and v may change sign together: point to the right
    titles = "unit circle", f"its image, half axes {s[0]:.2f} and {s[1]:.2f}"
    for ax, shape, title in ((left, circle, titles[0]), (right, A @ circle, titles[1])):
        ax.plot(*shape, color="black")
        ax.set(aspect="equal", title=title, xlabel="first coordinate", ylabel="second coordinate")
    right.plot(*(s[0] * circle), color=GREY, linestyle=":", linewidth=1.2)
    right.annotate(
        "radius $\\sigma_1$",
        s[0] * circle[:, 195],
        (4, -12),
        textcoords="offset points",
        color=GREY,
    )
    for k, (color, style) in enumerate(((ORANGE, "-"), (BLUE, "--"))):
        arrows = (
            (left, Vt[k], f"$v_{k + 1}$"),
            (right, s[k] * U[:, k], f"$\\sigma_{k + 1} u_{k + 1}$"),
        )
        for ax, tip, name in arrows:
            tip = signs[k] * tip
            ax.plot(
                [0, tip[0]], [0, tip[1]], color=color, linestyle=style, marker="o", markevery=[1]
            )
            offset = 16 * tip / np.linalg.norm(tip)
            ax.annotate(
                name,
                tip,
                offset,
                textcoords="offset points",
                color=text_color(color),
                ha="center",
                va="center",
            )
    limit = 1.25 * s[0]
    for ax in (left, right):
        ax.set(xlim=(-limit, limit), ylim=(-limit, limit))
    return right


def by_layer(
    series: Mapping[str, ArrayLike],
    ax: Axes | None = None,
    *,
    styles: Mapping[str, Mapping] | None = None,
    first: int = 1,
    ylabel: str = "gradient norm",
    xlabel: str = "layer $l$",
) -> Axes:
    """Draw one line a quantity against the layer on a log axis; zeros are marked at its floor.

    Args:
        series: label to one value a layer, all ≥ 0.
        ax: where to draw.
        styles: label to how its line is drawn.
        first: number of the first layer.
        ylabel: what the values are, with their unit.
        xlabel: what is counted along the horizontal axis.
    """
    ax = axes_or_new(ax)
    ax.set(yscale="log", xlabel=xlabel, ylabel=ylabel)
    for label, values in series.items():
        values = np.asarray(values, dtype=float)
        x = first + np.arange(len(values))
        look = (styles or {}).get(label, {"marker": "o", "markersize": 4})
        (line,) = ax.plot(x, np.where(values > 0, values, np.nan), label=label, **look)
        zero = x[values == 0]
        if len(zero):
            floor: dict[str, Any] = {
                "color": text_color(line.get_color()),
                "transform": ax.get_xaxis_transform(),
            }
            ax.plot(zero, np.full(len(zero), 0.015), "v", label=f"_{label}: 0", **floor)
            ax.text(zero[0], 0.04, "exactly 0", **floor)
    ax.xaxis.set_major_locator(MaxNLocator(integer=True))
    return ax


def panels(
    contents: Mapping[str, Mapping[str, ArrayLike]],
    *,
    styles: Mapping[str, Mapping] | None = None,
    first: Sequence[int] | int = 1,
    ylabel: str = "gradient norm",
) -> Axes:
    """Draw `by_layer` once for each title, side by side on one vertical axis, with one legend.

    Args:
        contents: title of a panel to its series.
        styles: label to how its line is drawn, in all panels.
        first: number of the first layer, one for all panels or one a panel.
        ylabel: what the values are.

    Returns:
        The last of the Axes.
    """
    count = len(contents)
    _, axes = plt.subplots(1, count, figsize=(3.3 + 2.1 * count, 3.2), sharey=True)
    starts = [first] * count if isinstance(first, int) else first
    for ax, (title, series), start in zip(axes, contents.items(), starts, strict=True):
        label = ylabel if ax is axes[0] else ""
        by_layer(series, ax, styles=styles, first=start, ylabel=label).set_title(title)
    axes[0].legend()
    return axes[-1]


def losses_by_layer(at_weights: ArrayLike, at_slopes: ArrayLike, ax: Axes | None = None) -> Axes:
    """Draw what the upper bound loses in each layer, in powers of ten, as stacked bars."""
    ax = axes_or_new(ax)
    at_weights, at_slopes = np.asarray(at_weights), np.asarray(at_slopes)
    layer = 1 + np.arange(len(at_weights))
    ax.bar(
        layer, at_weights, color=BLUE, label="at $W^{(l+1)\\top}$: not along its longest direction"
    )
    ax.bar(
        layer,
        at_slopes,
        bottom=at_weights,
        color="#F0B48C",
        hatch="//",
        edgecolor=ORANGE,
        label="at $D^{(l)}$: not every unit at the largest slope",
    )
    ax.set(xlabel="layer $l$", ylabel="$\\log_{10}$ of the factor lost", ylim=(0, None))
    ax.set_ylim(0, 1.45 * (at_weights + at_slopes).max())
    ax.xaxis.set_major_locator(MaxNLocator(integer=True))
    ax.legend(loc="upper left")
    return ax


def depth_grid(
    depths: Sequence[int], results: Mapping[str, Mapping[str, tuple]], axes: NDArray | None = None
) -> Axes:
    """Draw gradient and upper bound against depth, one panel a unit.

    Args:
        depths: numbers of layers.
        results: unit to two settings (name to gradients, bounds; one value a depth each).
        axes: as many Axes as units.

    Returns:
        The last of the Axes.
    """
    if axes is None:
        rows = (len(results) + 1) // 2
        axes = plt.subplots(rows, 2, figsize=(7.6, 2.6 * rows), sharex=True, sharey="row")[1]
    for i, (ax, (unit, settings)) in enumerate(zip(np.ravel(axes), results.items(), strict=False)):
        style = unit_style(unit)
        for (name, (true, upper)), shade in zip(
            settings.items(), ("black", style["color"]), strict=True
        ):
            ax.plot(depths, true, color=shade, label=name)
            ax.plot(depths, upper, color=shade, linestyle=":", marker="^", markersize=3.5)
        ax.set(yscale="log", title=style["label"])
        if i % 2 == 0:
            ax.set_ylabel("$\\|\\partial\\mathcal{L}/\\partial W^{(1)}\\|$")
        if i >= len(results) - 2:
            ax.set_xlabel("number of layers $L$")
        ax.set_xticks([tick for tick in ax.get_xticks() if 0 < tick <= depths[-1]])
        ax.set_xlim(right=depths[-1] * 1.55)
        label_lines(ax)
    first = np.ravel(axes)[0]
    kinds = [
        Line2D([], [], color="black"),
        Line2D([], [], color="black", linestyle=":", marker="^"),
    ]
    first.legend(kinds, ["true gradient", "upper bound"], loc="lower left", fontsize="small")
    return ax


def ratio_histogram(lower: ArrayLike, upper: ArrayLike, ax: Axes | None = None) -> Axes:
    """Draw the distributions of log₁₀ of lower bound / gradient and of upper bound / gradient.

    Args:
        lower: the logarithms for networks whose lower bound is positive; all should be ≤ 0. Those
            below −16 are counted in the last bar on the left.
        upper: the logarithms for all networks; all should be ≥ 0.
        ax: where to draw.
    """
    ax = axes_or_new(ax)
    lower = np.maximum(lower, -15.75)
    bins = np.arange(-16, np.ceil(np.max(np.asarray(upper), initial=0)) + 0.25, 0.5).tolist()
    ax.hist(lower, bins=bins, color=BLUE, label="lower bound")
    ax.hist(upper, bins=bins, color="#F0B48C", edgecolor=ORANGE, hatch="//", label="upper bound")
    ax.axvline(0, color="black", linewidth=1.2)
    ax.set(xlabel="$\\log_{10}$ (bound / true gradient)", ylabel="networks per half power of ten")
    ticks = np.arange(-16, bins[-1] + 1, 4)
    ax.set_xticks(ticks, ["≤ −16", *(f"{tick:g}".replace("-", "−") for tick in ticks[1:])])
    ax.legend()
    return ax


def spectrum(
    values: NDArray, fan_in: int, fan_out: int, variance: float, ax: Axes | None = None
) -> Axes:
    """Draw the histogram of singular values under the density of Marchenko and Pastur.

    Ticks on the axis mark the smallest and the largest of `values`, which may be several draws'.
    """
    ax = axes_or_new(ax)
    low, high = spectra.edges(fan_in, fan_out, variance)
    ax.hist(values, bins=25, range=(low, high), density=True, color="#BBD6E8", label="drawn")
    s = np.linspace(low, high, 400)[1:-1]
    ax.plot(s, spectra.density(s, fan_in, fan_out, variance), color="black", label="law")
    ax.plot(
        [np.min(values), np.max(values)], [0, 0], "|", color=ORANGE, markersize=14, clip_on=False
    )
    ax.set(xlabel="singular value", title=f"{fan_out}×{fan_in}", ylabel="density")
    return ax


def product_spectra(products: Mapping[str, NDArray], ax: Axes | None = None) -> Axes:
    """Draw the range of singular values of a product of matrices against their number.

    Args:
        products: label to singular values of shape (number of factors, width), all positive.
        ax: where to draw.
    """
    ax = axes_or_new(ax)
    for (label, values), color, style in zip(
        products.items(), (BLUE, ORANGE, GREEN), ("-", "--", "-."), strict=False
    ):
        count = 1 + np.arange(len(values))
        ax.fill_between(count, values[:, -1], values[:, 0], color=color, alpha=0.15)
        ax.plot(count, values[:, 0], color=color, linestyle=style, label=f"{label}, largest")
        ax.plot(count, np.median(values, 1), color=color, linestyle=style, label=f"{label}, median")
    ax.set(
        yscale="log", xlabel="number of layers multiplied", ylabel="singular value of the product"
    )
    return ax
