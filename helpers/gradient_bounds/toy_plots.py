"""Figures of notebook 05's training experiments: loss curves, decision regions, histograms."""

from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import PathCollection
from matplotlib.colors import ListedColormap
from matplotlib.image import AxesImage
from numpy.typing import NDArray

from helpers.plotting import axes_or_new, label_lines

# One look for each of the five initialisations, in every figure and in the explorer.
STYLES: dict[str, dict[str, Any]] = {
    "zero": {"color": "#666666", "linestyle": ":"},
    "constant": {"color": "#B07800", "linestyle": "-."},
    "too small": {"color": "#0072B2", "linestyle": "--"},
    "right": {"color": "#00825F", "linestyle": "-"},
    "too large": {"color": "#D55E00", "linestyle": (0, (6, 1.5, 1, 1.5))},
}
REGIONS = ["#F6D9C5", "#C5DCEC"]  # where class 0 and class 1 are predicted
GRID = np.linspace(-2.6, 2.6, 45)
PLANE = np.stack(np.meshgrid(GRID, GRID), -1).reshape(-1, 2)  # points of the pictures of the plane


def loss_curves(losses: Mapping[str, NDArray], ax: Axes | None = None) -> Axes:
    """Draw the median loss and the range over seeds, on log axes; diverged runs count as infinite.

    Args:
        losses: name to losses of shape (steps + 1, seeds).
        ax: where to draw.
    """
    ax = axes_or_new(ax)
    for name, values in losses.items():
        values = np.where(np.isfinite(values), values, 1e12)
        step = 1 + np.arange(len(values))
        style = STYLES.get(name, {})
        (line,) = ax.plot(step, np.median(values, 1), label=name, **style)
        ax.fill_between(
            step, values.min(1), values.max(1), color=line.get_color(), alpha=0.13, linewidth=0
        )
    ax.set(xscale="log", yscale="log", xlabel="step + 1", ylabel="training loss")
    return ax


def points(ax: Axes, x: NDArray, y: NDArray) -> list[PathCollection]:
    """Draw the data: circles for class 0, crosses for class 1."""
    inner, outer = x[y == 0], x[y == 1]
    return [
        ax.scatter(inner[:, 0], inner[:, 1], s=9, facecolors="none", edgecolors="#A63E00"),
        ax.scatter(outer[:, 0], outer[:, 1], s=10, color="#00568A", marker="x", linewidths=0.8),
    ]


def decision_regions(
    logits: Mapping[str, NDArray],
    titles: Sequence[str],
    data: tuple[NDArray, NDArray],
    axes: NDArray | None = None,
) -> Axes:
    """Draw what is predicted in the plane: one row a name, one column a title.

    Args:
        logits: name to logits at `PLANE`, shape (columns, points).
        titles: one a column.
        data: training points (N, 2) and classes (N,), drawn on top.
        axes: array of Axes (names, columns).

    Returns:
        The last of the Axes.
    """
    if axes is None:
        size = (1.65 * len(titles) + 0.4, 1.6 * len(logits) + 0.3)
        axes = plt.subplots(len(logits), len(titles), figsize=size, squeeze=False)[1]
    for i, (row, (name, values)) in enumerate(zip(axes, logits.items(), strict=True)):
        for ax, title, value in zip(row, titles, values, strict=True):
            region(ax, value)
            points(ax, *data)
            if i == 0:
                ax.set_title(title, fontsize="medium", loc="center")
        row[0].set_ylabel(name)
    return ax


def region(ax: Axes, logits: NDArray) -> None:
    """Fill the plane by predicted class (a NaN or 0 gives class 0), without ticks."""
    picture = (logits > 0).reshape(len(GRID), len(GRID))
    plane_image(ax, picture)
    ax.set(xticks=[], yticks=[], aspect="equal")
    ax.grid(False)


def plane_image(ax: Axes, picture: NDArray, shift: float = 0.0) -> AxesImage:
    """Return the image that fills the plane, coloured by class, `shift` to the right."""
    half = (GRID[1] - GRID[0]) / 2
    low, high = GRID[0] - half, GRID[-1] + half
    extent = (low + shift, high + shift, low, high)
    colours = ListedColormap(REGIONS)
    return ax.imshow(picture, origin="lower", extent=extent, cmap=colours, vmin=0, vmax=1)


def histogram_grid(
    values: Mapping[str, Sequence[NDArray]],
    times: Sequence[str],
    xlabel: str,
    axes: Sequence[Axes] | None = None,
) -> Axes:
    """Draw outlined histograms at several times of the middle 94 % of all values, one panel a name.

    Args:
        values: name to one array of numbers a time.
        times: what to call the times.
        xlabel: what the numbers are.
        axes: as many Axes as names.

    Returns:
        The last of the Axes.
    """
    if axes is None:
        size = (2.0 * len(values), 2.6)
        axes = plt.subplots(1, len(values), figsize=size, layout="constrained")[1]
    looks = [("#999999", "-", 3.2), ("#0072B2", "-", 1.8), ("#D55E00", "--", 1.8)]
    for ax, (name, samples) in zip(axes, values.items(), strict=True):
        finite = [sample[np.isfinite(sample)].ravel() for sample in samples]
        pooled = np.concatenate(finite)
        low, high = np.quantile(pooled, [0.03, 0.97])
        margin = 0.08 * (high - low) or 0.5
        bins = np.linspace(low - margin, high + margin, 25)
        for sample, time, (color, style, width) in zip(finite, times, looks, strict=False):
            share = np.histogram(sample, bins)[0] / max(len(sample), 1)
            ax.stairs(share, bins, color=color, linestyle=style, linewidth=width, label=time)
        ax.set(title=name, xlabel=xlabel, ylim=(0, None))
    axes[0].set_ylabel("share of the values")
    handles = axes[0].get_legend_handles_labels()
    axes[0].figure.legend(*handles, loc="outside upper right", ncols=len(times))
    return ax


def through_training(
    steps: NDArray,
    curves: Mapping[str, NDArray],
    ylabel: str,
    ax: Axes | None = None,
    xlabel: str = "step",
    yscale: str = "linear",
) -> Axes:
    """Draw, for each name, the median over seeds and their range against the step.

    Args:
        steps: recorded steps, (T,).
        curves: name to values of shape (T, seeds).
        ylabel: what the values are.
        ax: where to draw.
        xlabel: what is counted along the horizontal axis.
        yscale: "linear" or "log".
    """
    ax = axes_or_new(ax)
    looks = zip(("#D55E00", "#B07800", "#00825F", "#0072B2"), ("-", "--", "-.", ":"), strict=True)
    for (name, values), (color, style) in zip(curves.items(), looks, strict=False):
        ax.plot(steps, np.median(values, 1), color=color, linestyle=style, label=name)
        ax.fill_between(steps, values.min(1), values.max(1), color=color, alpha=0.13, linewidth=0)
    ax.set(xlabel=xlabel, ylabel=ylabel, xlim=(0, steps[-1] * 1.3), yscale=yscale)
    ax.set_xticks([tick for tick in ax.get_xticks() if 0 <= tick <= steps[-1]])
    label_lines(ax)
    return ax
