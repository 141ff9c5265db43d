"""The figures of notebook 04: magnitudes out of range, fits that fail, signals through depth."""

from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from numpy.typing import ArrayLike, NDArray

from helpers import initialization
from helpers.numerical_stability.depth import MeanField, Signal
from helpers.numerical_stability.sine_fit import Fits
from helpers.plotting import axes_or_new, label_lines, text_color

RANGES = {"float64": (-323.3, 308.3), "float32": (-44.9, 38.5), "float16": (-7.2, 4.8)}  # log₁₀
SHADES = ("#f1f1f1", "#dedede", "#c4c4c4")
HUES = ("#0072B2", "#D55E00", "#00825F", "#B85C92", "#B07800")
DASHES: tuple[str | tuple, ...] = ("-", "--", "-.", (0, (3, 1)), ":")

# Xavier and Kaiming by colour, normal and uniform by line.
METHOD_STYLES: dict[str, dict[str, Any]] = {
    "xavier_normal": {"color": "#0072B2", "linestyle": "-"},
    "xavier_uniform": {"color": "#0072B2", "linestyle": (0, (2, 1.5))},
    "kaiming_normal": {"color": "#D55E00", "linestyle": "-"},
    "kaiming_uniform": {"color": "#D55E00", "linestyle": (0, (2, 1.5))},
}


def magnitudes(logs: Mapping[str, ArrayLike]) -> Figure:
    """Draw where magnitudes lie among the formats' ranges, and below a histogram of each set.

    Args:
        logs: label to log₁₀ magnitudes, two to four sets; −inf stands for an exact 0, which is
            counted in the histogram's title instead of drawn.
    """
    figure, grid = plt.subplot_mosaic(
        [["line"] * len(logs), list(map(str, range(len(logs))))],
        figsize=(8.6, 4.4),
        height_ratios=[1, 2.4],
    )
    line = grid["line"]
    for (name, (low, high)), shade in zip(RANGES.items(), SHADES, strict=True):
        line.axvspan(low, high, color=shade, lw=0)
        line.annotate(
            name,
            (low if name == "float64" else (low + high) / 2, 1),
            (0, {"float64": 4, "float32": 4, "float16": 18}[name]),
            xycoords=("data", "axes fraction"),
            textcoords="offset points",
            ha="left" if name == "float64" else "center",
            fontsize="small",
        )
    for k, ((label, values), hue) in enumerate(zip(logs.items(), HUES, strict=False)):
        values = np.ravel(values)
        finite = values[np.isfinite(values)]
        zeros = values.size - finite.size
        middle = float(np.median(finite))
        line.plot(middle, 0.5, marker="o", ms=8, color=hue)
        left = middle < -10
        line.annotate(
            label,
            (middle, 0.5),
            (-9 if left else 9, 0),
            textcoords="offset points",
            color=text_color(hue),
            va="center",
            ha="right" if left else "left",
        )
        ax = grid[str(k)]
        ax.hist(finite, bins=60, color=hue)
        ax.set_title(f"{label}" + (f", {zeros} zeros" if zeros else ""), color=text_color(hue))
        ax.set_xlabel("log₁₀ |entry|")
    line.set_xlim(-335, 400)
    line.set_ylim(0, 1)
    line.set_yticks([])
    line.spines["left"].set_visible(False)
    line.grid(False)
    line.set_xlabel("log₁₀ of the median magnitude of an entry, and the ranges of the formats")
    grid["0"].set_ylabel("number of entries")
    return figure


def _chosen(layers: int) -> list[int]:
    return sorted({0, 1, layers // 2 - 1, layers - 2, layers - 1})


def _draw_fit(ax: Axes, x: NDArray, fits: Fits) -> None:
    fine = np.linspace(x[0], x[-1], 400)
    ax.plot(fine, np.sin(10 * fine), color="#bbbbbb", lw=1)
    for prediction in fits.predictions:
        ax.plot(x, prediction, color=HUES[0], lw=1, alpha=0.7)
    ax.plot(x, np.sin(10 * x), "o", color="black", ms=3)
    ax.set_ylim(-1.9, 1.9)
    outside = int(np.sum(np.abs(fits.predictions).max(axis=1) > 1.9))
    if outside:
        note = f"{outside} of {len(fits.predictions)} seeds leave the frame"
        box = {"facecolor": "white", "edgecolor": "none", "pad": 1.5}
        ax.annotate(note, (0.5, 0.02), xycoords="axes fraction", ha="center", size=8.5, bbox=box)
    ax.set_xlabel("x")


def _draw_losses(ax: Axes, fits: Fits, baseline: float) -> None:
    ax.axhline(baseline, color="#888888", linestyle=":", lw=1.2)
    for losses in fits.losses.T:
        ax.plot(losses, color=HUES[0], lw=1, alpha=0.7)
    ax.set_yscale("log")
    ax.set_xlabel("step")


def _draw_gradients(ax: Axes, fits: Fits, floor: float) -> None:
    shown = _chosen(fits.gradients.shape[2])
    colors = plt.get_cmap("viridis")(np.linspace(0, 0.85, len(shown)))
    for layer, color, dash in zip(shown, colors, DASHES, strict=False):
        values = np.median(fits.gradients[:, :, layer], axis=1)
        low, high = fits.gradients[:, :, layer].min(axis=1), fits.gradients[:, :, layer].max(axis=1)
        raised = np.maximum([low, values, high], floor)  # an exact 0 is drawn on the line “0”
        ax.fill_between(fits.steps, raised[0], raised[2], color=color, alpha=0.15, lw=0)
        ax.plot(fits.steps, raised[1], color=color, linestyle=dash, label=f"{layer + 1}")
    ax.set_yscale("log")
    ax.set_xlabel("step")


def five_fits(x: ArrayLike, runs: Mapping[str, Fits], baseline: float) -> Figure:
    """Draw fit, loss and gradient by layer of each configuration, a column each.

    Args:
        x: the training points, (points,).
        runs: title to what was recorded; gradients that are exactly 0 lie on a line labelled 0.
        baseline: loss of predicting zero, drawn dotted.
    """
    x = np.asarray(x)
    smallest = min(np.min(fits.gradients[fits.gradients > 0]) for fits in runs.values())
    floor = 10.0 ** (np.floor(np.log10(smallest)) - 2)
    figure, axes = plt.subplots(3, len(runs), figsize=(12.6, 7.6), sharey="row", squeeze=False)
    for column, (title, fits) in zip(axes.T, runs.items(), strict=True):
        column[0].set_title(title, fontsize="medium")
        _draw_fit(column[0], x, fits)
        _draw_losses(column[1], fits, baseline)
        _draw_gradients(column[2], fits, floor)
        column[2].set_ylim(floor / 100, None)
        column[2].set_xlim(0, fits.steps[-1] * 1.22 + 1)
    exponents = np.arange(np.log10(floor) + 2, 8, 4)
    axes[2, 0].set_yticks(
        [floor, *10.0**exponents], ["0", *[f"$10^{{{e:.0f}}}$" for e in exponents]]
    )
    axes[2, 0].minorticks_off()
    for ax, label in zip(
        axes[:, 0], ("y", "mean squared error", "mean |gradient| of a layer"), strict=True
    ):
        ax.set_ylabel(label)
    figure.draw_without_rendering()
    for ax in axes[2]:
        label_lines(ax, pad=3)
    return figure


def balanced_units(curves: Mapping[str, ArrayLike], x: ArrayLike, ax: Axes | None = None) -> Axes:
    """Draw each curve over x beside the identity, labelled at its end.

    Args:
        curves: label to values, (points,), at most five.
        x: (points,).
        ax: where to draw.
    """
    ax = axes_or_new(ax)
    x = np.asarray(x)
    inner = np.abs(x) <= 2.2
    ax.plot(x[inner], x[inner], color="#888888", lw=1.2, label="x")
    for (label, values), hue, dash in zip(curves.items(), HUES, DASHES, strict=False):
        ax.plot(x, np.asarray(values), color=hue, linestyle=dash, label=label)
    ax.set_xlim(x[0], x[-1])
    ax.set_xlabel("x")
    ax.set_ylabel("value of the unit")
    ax.figure.draw_without_rendering()  # type: ignore[union-attr]
    label_lines(ax)
    return ax


def losses(
    runs: Mapping[str, ArrayLike], ax: Axes | None = None, baseline: float | None = None
) -> Axes:
    """Draw the loss of each initialisation on a log axis: the median network and the quartiles.

    Args:
        runs: method's name to losses, (steps + 1, networks); one network is drawn as it is. What
            is not finite ends a curve, and the label says for how many networks.
        ax: where to draw.
        baseline: a loss to mark by a dotted line, that of predicting zero.
    """
    ax = axes_or_new(ax)
    if baseline is not None:
        ax.axhline(baseline, color="#888888", linestyle=":", lw=1.2)
    for method, values in runs.items():
        values = np.asarray(values, dtype=np.float64)
        lost = int(np.sum(~np.isfinite(values[-1])))
        values = np.where(np.isfinite(values), values, 1e300)  # the worst of all
        low, middle, high = np.quantile(values, [0.25, 0.5, 0.75], axis=1)
        label = initialization.LABELS[method] + (f" ({lost} diverged)" if lost else "")
        style = METHOD_STYLES[method]
        low, middle, high = np.where(
            np.array([low, middle, high]) > 1e290, np.nan, [low, middle, high]
        )
        (line,) = ax.plot(middle, **style, lw=1.4, label=label)
        if values.shape[1] > 1:
            ax.fill_between(range(len(low)), low, high, color=line.get_color(), alpha=0.12, lw=0)
    ax.set_yscale("log")
    ax.set_xlabel("step")
    ax.set_ylabel("mean squared error")
    return ax


def final_losses(runs: Mapping[str, ArrayLike], baseline: float, ax: Axes | None = None) -> Axes:
    """Draw every network's last loss as a dot, a row a method, with the median as a bar.

    Args:
        runs: method's name to last losses, (networks,), all finite.
        baseline: loss of predicting zero, drawn dotted.
        ax: where to draw.
    """
    ax = axes_or_new(ax)
    rng = np.random.default_rng(0)  # only spreads the dots within their row
    for row, (method, values) in enumerate(runs.items()):
        values = np.asarray(values)
        color = METHOD_STYLES[method]["color"]
        heights = row + rng.uniform(-0.22, 0.22, size=values.size)
        ax.plot(values, heights, "o", color=color, ms=3.5, alpha=0.45, mec="none")
        ax.plot([np.median(values)] * 2, [row - 0.36, row + 0.36], color="black", lw=2)
    ax.axvline(baseline, color="#888888", linestyle=":", lw=1.5)
    ax.set_yticks(range(len(runs)), [initialization.LABELS[method] for method in runs])
    ax.set_ylim(len(runs) - 0.5, -0.5)
    ax.grid(axis="y", visible=False)
    ax.set_xlabel("loss after the last step")
    return ax


def depth_curves(
    measured: Mapping[str, Signal],
    theory: Mapping[str, MeanField],
    quantity: str,
    ax: Axes | None = None,
) -> Axes:
    """Draw a mean square by layer on a log axis: networks' median and quartiles, theory dashed.

    Args:
        measured: label to a `Signal` of many networks, arrays (networks, layers).
        theory: the same labels to what theory predicts; its medians are drawn.
        quantity: `activations` or `gradients`.
        ax: where to draw.

    Raises:
        ValueError: another quantity.
    """
    if quantity not in ("activations", "gradients"):
        raise ValueError(f"quantity {quantity!r} unknown; choose activations or gradients")
    ax = axes_or_new(ax)
    lines: list[Line2D] = []
    for (label, signal), hue in zip(measured.items(), HUES, strict=False):
        values = getattr(signal, quantity)
        layers = np.arange(values.shape[1]) + (quantity == "gradients")
        low, middle, high = np.quantile(values, [0.25, 0.5, 0.75], axis=0)
        ax.fill_between(layers, low, high, color=hue, alpha=0.25, lw=0)
        lines += ax.plot(layers, middle, color=hue, label=label)
        expected = getattr(theory[label].typical, quantity)
        ax.plot(layers, expected, color="black", linestyle=(0, (2, 2)), lw=1.2, label="_theory")
    ax.set_yscale("log")
    ax.set_xlabel("layer")
    names = {"activations": "mean of $a^2$", "gradients": r"mean of $\delta^2$, last layer = 1"}
    ax.set_ylabel(names[quantity])
    return ax


def label_methods(axes: Sequence[Axes]) -> None:
    """Name the initialisations once, beside the last of the axes."""
    axes[-1].legend(loc="center left", bbox_to_anchor=(1.01, 0.5), handlelength=2.6)


def label_depth_curves(axes: NDArray) -> None:
    """Share the y-axes of each row of `depth_curves`, and label every panel's lines."""
    figure = axes.flat[0].figure
    for row in axes:
        low = min(ax.get_ylim()[0] for ax in row)
        high = max(ax.get_ylim()[1] for ax in row)
        for ax in row:
            ax.set_ylim(low, high)
        for ax in row[1:]:
            ax.set_ylabel("")
    figure.draw_without_rendering()
    for ax in axes.flat:
        label_lines(ax)
