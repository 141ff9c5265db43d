"""The figures of notebook 04: magnitudes out of range, fits that fail, signals through depth."""

from collections.abc import Iterable, Mapping
from typing import Any, Protocol

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import ArrayLike, NDArray

from helpers import initialization, palette
from helpers.numerical_stability.depth import Signal
from helpers.plotting import axes_or_new, label_lines, text_color

RANGES = {"float64": (-323.3, 308.3), "float32": (-44.9, 38.5), "float16": (-7.2, 4.8)}  # log₁₀
DASHES: tuple[str | tuple, ...] = ("-", "--", "-.", (0, (3, 1)), ":")
BASELINE: dict[str, Any] = {"color": palette.GREY, "linestyle": ":", "lw": 1.3}
THEORY: dict[str, Any] = {"color": palette.BLACK, "linestyle": (0, (2, 2)), "lw": 1.2}


class Fits(Protocol):
    """What is drawn of a stack of trained networks; shapes as in `sine_fit.Fits`."""

    steps: NDArray
    gradients: NDArray
    losses: NDArray
    predictions: NDArray


def _method_style(method: str) -> dict[str, Any]:
    # Xavier and Kaiming by colour, normal and uniform by line
    family, distribution = method.split("_")
    color = {"xavier": palette.BLUE, "kaiming": palette.ORANGE}[family]
    return {"color": color, "linestyle": "-" if distribution == "normal" else (0, (2, 1.5))}


def _panels(
    units: Iterable[str], note: str, height: float, **shared: Any
) -> tuple[Figure, NDArray]:
    titles = [f"{unit}, {note}" for unit in units]
    figure, axes = plt.subplots(1, len(titles), figsize=(9.6, height), squeeze=False, **shared)
    for ax, title in zip(axes[0], titles, strict=True):
        ax.set_title(title)
    return figure, axes[0]


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
    points: dict[str, Any] = {"textcoords": "offset points"}
    for name, (low, high) in RANGES.items():
        line.axvspan(low, high, color=palette.SHADE, alpha=0.25, lw=0)  # darker where they overlap
        x, ha = (low, "left") if name == "float64" else ((low + high) / 2, "center")
        up = (0, 18 if name == "float16" else 4)
        at = line.get_xaxis_transform()
        line.annotate(name, (x, 1), up, at, **points, fontsize="small", ha=ha)
    for k, ((label, values), hue) in enumerate(zip(logs.items(), palette.CYCLE, strict=False)):
        finite = np.ravel(values)[np.isfinite(np.ravel(values))]
        zeros = np.size(values) - finite.size
        middle, color = float(np.median(finite)), text_color(hue)
        line.plot(middle, 0.5, marker="o", ms=8, color=hue)
        side, ha = (-9, "right") if middle < -10 else (9, "left")
        line.annotate(label, (middle, 0.5), (side, 0), color=color, va="center", ha=ha, **points)
        ax = grid[str(k)]
        ax.hist(finite, bins=60, color=hue)
        ax.set_title(label + (f", {zeros} zeros" if zeros else ""), color=color)
        ax.set_xlabel("log₁₀ |entry|")
    line.set(xlim=(-335, 400), ylim=(0, 1), yticks=[])
    line.spines["left"].set_visible(False)
    line.grid(False)
    line.set_xlabel("log₁₀ of the median magnitude of an entry, and the ranges of the formats")
    grid["0"].set_ylabel("number of entries")
    return figure


def _draw_fit(ax: Axes, x: NDArray, predictions: NDArray) -> None:
    fine = np.linspace(x[0], x[-1], 400)
    ax.plot(fine, np.sin(10 * fine), color=palette.LIGHT, lw=1)
    ax.plot(x, predictions.T, color=palette.BLUE, lw=1, alpha=0.7)
    ax.plot(x, np.sin(10 * x), "o", color=palette.BLACK, ms=3)
    ax.set(ylim=(-1.9, 1.9), xlabel="x")
    outside = int(np.sum(np.abs(predictions).max(axis=1) > 1.9))
    if outside:
        note = f"{outside} of {len(predictions)} seeds leave the frame"
        box = {"facecolor": "white", "edgecolor": "none", "pad": 1.5}
        ax.annotate(note, (0.5, 0.02), xycoords="axes fraction", ha="center", size=8.5, bbox=box)


def _draw_gradients(ax: Axes, fits: Fits, floor: float) -> None:
    layers = fits.gradients.shape[2]
    shown = sorted({0, 1, layers // 2 - 1, layers - 2, layers - 1})
    colors = plt.get_cmap("viridis")(np.linspace(0, 0.85, len(shown)))
    for layer, color, dash in zip(shown, colors, DASHES, strict=False):
        raised = np.maximum(fits.gradients[:, :, layer], floor)  # an exact 0 is on the line “0”
        ax.fill_between(
            fits.steps, *np.quantile(raised, [0, 1], axis=1), color=color, alpha=0.15, lw=0
        )
        middle = np.median(raised, axis=1)
        ax.plot(fits.steps, middle, color=color, linestyle=dash, label=f"{layer + 1}")
    ax.set(yscale="log", xlabel="step", xlim=(0, fits.steps[-1] * 1.22 + 1))
    ax.set_ylim(floor / 100, None)


def five_fits(x: ArrayLike, runs: Mapping[str, Fits], baseline: float) -> Figure:
    """Draw fit, loss and gradient by layer of each configuration, a column each.

    Args:
        x: the training points, (points,).
        runs: title to what was recorded; gradients that are exactly 0 lie on a line labelled 0.
        baseline: loss of predicting zero, drawn dotted.
    """
    smallest = min(np.min(fits.gradients[fits.gradients > 0]) for fits in runs.values())
    floor = 10.0 ** (np.floor(np.log10(smallest)) - 2)
    figure, axes = plt.subplots(3, len(runs), figsize=(12.6, 7.6), sharey="row", squeeze=False)
    for (top, middle, bottom), (title, fits) in zip(axes.T, runs.items(), strict=True):
        top.set_title(title, fontsize="medium")
        _draw_fit(top, np.asarray(x), fits.predictions)
        middle.axhline(baseline, **BASELINE)
        middle.plot(fits.losses, color=palette.BLUE, lw=1, alpha=0.7)
        middle.set(yscale="log", xlabel="step")
        _draw_gradients(bottom, fits, floor)
    exponents = np.arange(np.log10(floor) + 2, 8, 4)
    names = ["0", *[f"$10^{{{e:.0f}}}$" for e in exponents]]
    axes[2, 0].set_yticks([floor, *10.0**exponents], names)
    axes[2, 0].minorticks_off()
    axes[0, 0].set_ylabel("y")
    axes[1, 0].set_ylabel("mean squared error")
    axes[2, 0].set_ylabel("mean |gradient| of a layer")
    figure.draw_without_rendering()
    for ax in axes[2]:
        label_lines(ax, pad=3)
    return figure


def balanced_units(curves: Mapping[str, ArrayLike], x: ArrayLike, ax: Axes | None = None) -> Axes:
    """Draw each curve, at most five, over x beside the identity, labelled at its end."""
    ax, x = axes_or_new(ax), np.asarray(x)
    inner = x[np.abs(x) <= 2.2]
    ax.plot(inner, inner, color=palette.GREY, lw=1.2, label="x")
    for (label, values), hue, dash in zip(curves.items(), palette.CYCLE, DASHES, strict=False):
        ax.plot(x, np.asarray(values), color=hue, linestyle=dash, label=label)
    ax.set(xlim=(x[0], x[-1]), xlabel="x", ylabel="value of the unit")
    ax.figure.draw_without_rendering()  # type: ignore[union-attr]
    label_lines(ax)
    return ax


def losses(runs: Mapping[str, Mapping[str, NDArray]], baseline: float, note: str) -> Figure:
    """Draw losses over the steps on log axes: the median network and the quartiles.

    Args:
        runs: a panel's unit to method's name to losses, (steps + 1, networks). What is not finite
            ends a curve, and the label says for how many networks.
        baseline: loss of predicting zero, drawn dotted.
        note: what a panel's title says beside the unit.
    """
    figure, axes = _panels(runs, note, 3.5, sharey=True)
    for ax, methods in zip(axes, runs.values(), strict=True):
        ax.axhline(baseline, **BASELINE)
        for method, values in methods.items():
            values = np.where(np.isfinite(values), values, np.inf)  # the worst of all
            lost, style = int(np.isinf(values[-1]).sum()), _method_style(method)
            label = initialization.LABELS[method] + (f" ({lost} diverged)" if lost else "")
            with np.errstate(invalid="ignore"):
                quartiles = np.quantile(values, [0.25, 0.5, 0.75], axis=1)
            low, middle, high = np.where(np.isfinite(quartiles), quartiles, np.nan)
            ax.plot(middle, **style, lw=1.4, label=label)
            ax.fill_between(range(len(low)), low, high, color=style["color"], alpha=0.12, lw=0)
        ax.set(yscale="log", xlabel="step")
    axes[0].set_ylabel("mean squared error")
    axes[-1].legend(loc="center left", bbox_to_anchor=(1.01, 0.5), handlelength=2.6)
    return figure


def final_losses(runs: Mapping[str, Mapping[str, NDArray]], baseline: float, note: str) -> Figure:
    """Draw every network's last loss as a dot, a row a method, with the median as a bar.

    The arguments are those of `losses`; all last losses are finite.
    """
    figure, axes = _panels(runs, note, 3.2, sharex=True, sharey=True)
    for ax, methods in zip(axes, runs.values(), strict=True):
        rng = np.random.default_rng(0)  # only spreads the dots within their row
        for row, (method, values) in enumerate(methods.items()):
            last, color = values[-1], _method_style(method)["color"]
            heights = row + rng.uniform(-0.22, 0.22, size=last.size)
            ax.plot(last, heights, "o", color=color, ms=3.5, alpha=0.45, mec="none")
            ax.plot([np.median(last)] * 2, [row - 0.36, row + 0.36], color=palette.BLACK, lw=2)
        ax.axvline(baseline, **BASELINE)
        ax.set_yticks(range(len(methods)), [initialization.LABELS[method] for method in methods])
        ax.set(ylim=(len(methods) - 0.5, -0.5), xlabel="loss after the last step")
        ax.grid(axis="y", visible=False)
    return figure


def medians(runs: Mapping[str, Mapping[str, NDArray]]) -> str:
    """Return the median last loss of each unit's methods in words, for an alternative text."""
    return "; ".join(
        f"{unit} {initialization.LABELS[method]} {np.median(losses[-1]):.2g}"
        for unit, methods in runs.items()
        for method, losses in methods.items()
    )


def depth_curves(panels: Mapping[str, Mapping[str, tuple[Signal, Signal]]]) -> Figure:
    """Draw both mean squares by layer on log axes, a column a panel.

    Args:
        panels: title to label to a pair: many networks, arrays (networks, layers), of which median
            and quartiles are drawn, and what theory predicts, (layers,), drawn dashed.
    """
    figure, axes = plt.subplots(
        2, len(panels), figsize=(9.6, 6.2), sharex=True, sharey="row", squeeze=False
    )
    for column, (title, curves) in zip(axes.T, panels.items(), strict=True):
        column[0].set_title(title)
        column[1].set_xlabel("layer")
        for first, (ax, name) in enumerate(zip(column, ("activations", "gradients"), strict=True)):
            for (label, pair), hue in zip(curves.items(), palette.CYCLE, strict=False):
                values, theory = (getattr(signal, name) for signal in pair)
                layers = np.arange(first, first + len(theory))
                low, middle, high = np.quantile(values, [0.25, 0.5, 0.75], axis=0)
                ax.fill_between(layers, low, high, color=hue, alpha=0.25, lw=0)
                ax.plot(layers, middle, color=hue, label=label)
                ax.plot(layers, theory, label="_theory", **THEORY)
            ax.set_yscale("log")
    axes[0, 0].set_ylabel("mean of $a^2$")
    axes[1, 0].set_ylabel(r"mean of $\delta^2$, last layer = 1")
    figure.draw_without_rendering()
    for ax in axes.flat:
        label_lines(ax)
    return figure
