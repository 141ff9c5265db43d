"""Figures of notebook 03: the curves of training runs, tables of rates, the learned Swish."""

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from numpy.typing import ArrayLike, NDArray

from helpers import activations
from helpers.palette import GREY, ORANGE, SHADE
from helpers.plotting import label_lines, unit_style

CLIP = 100.0  # losses above are drawn at this height
DASHES = ("-", "--", "-.", ":")


class Curves(Protocol):
    """What is drawn of a run: the epochs of its records, and four curves over them."""

    @property
    def epochs(self) -> NDArray: ...  # noqa: D102

    def curves(self) -> tuple[NDArray, ...]:
        """Return training loss and accuracy, then validation loss and accuracy."""


def by_unit(values: Mapping[str, Any], form: str = "") -> str:
    """Return the values as words, each after its unit's label: "ReLU 0.938, Sigmoid 0.589"."""
    words = (f"{activations.get(unit).label} {value:{form}}" for unit, value in values.items())
    return ", ".join(words)


def clipped(losses: ArrayLike) -> NDArray[np.float64]:
    """Return the losses as they are drawn: at most `CLIP`, and `CLIP` where they are NaN."""
    return np.minimum(np.nan_to_num(np.asarray(losses, float), nan=CLIP, posinf=CLIP), CLIP)


def _panels(runs: Sequence[Curves], styles: Sequence[Mapping[str, Any]], title: str) -> Figure:
    figure, axes = plt.subplots(2, 2, figsize=(9.4, 5.6), sharex=True)
    figure.suptitle(title, x=0.01, ha="left")
    lowest = min(clipped(run.curves()[k]).min() for run in runs for k in (0, 2))
    floor = 10 ** np.floor(np.log10(max(lowest, 1e-6)))
    for part, (above, below) in zip(("training", "validation"), axes.T, strict=True):
        above.set(title=f"{part} loss", yscale="log", ylim=(floor, CLIP * 1.15))
        above.set_ylabel("cross-entropy in nats")
        below.set(title=f"{part} accuracy", ylim=(0, 1.02), ylabel="share classified rightly")
        below.set(xlabel="epoch", xlim=(0, runs[0].epochs[-1]))
        below.axhline(0.1, color=SHADE, linewidth=0.9, zorder=0)
        below.text(0.995, 0.14, "chance", transform=below.transAxes, color=GREY, ha="right")
    for run, style in zip(runs, styles, strict=True):
        diverged = not np.isfinite(run.curves()[0][-1])
        for k, (ax, curve) in enumerate(zip(axes.T.flat, run.curves(), strict=True)):
            drawn = curve if k % 2 else clipped(curve)
            (line,) = ax.plot(run.epochs, drawn, **style)
            if diverged:
                ax.plot(run.epochs[-1], drawn[-1], "x", color=line.get_color(), clip_on=False, ms=7)
    return figure


def curves_by_unit(histories: Mapping[str, Curves], title: str) -> Figure:
    """Return four panels, training and validation × loss and accuracy, with one curve a unit."""
    figure = _panels(list(histories.values()), [unit_style(unit) for unit in histories], title)
    for ax in figure.axes[1::2]:
        label_lines(ax)
    return figure


def curves_by_rate(histories: Mapping[float, Curves], title: str) -> Figure:
    """Return the same four panels for one unit, with one curve a rate, ascending: lighter ones."""
    rates = list(histories)
    colors = plt.get_cmap("viridis")(LogNorm(rates[0], rates[-1] * 6)(rates))
    styles = [
        {"color": color, "linestyle": DASHES[i % 4], "linewidth": 1.5, "label": f"{rate:.4f}"}
        for i, (rate, color) in enumerate(zip(rates, colors, strict=True))
    ]
    figure = _panels(list(histories.values()), styles, title)
    shown = figure.axes[0].get_legend_handles_labels()
    figure.legend(*shown, loc="outside right center", title="learning rate", handlelength=3)
    return figure


def rate_grid(
    accuracy: Mapping[str, Sequence[float]],
    outcomes: Mapping[str, Sequence[str]],
    rates: Sequence[float],
    chosen: Mapping[str, float],
    ax: Axes | None = None,
) -> Axes:
    """Draw a table of runs, units down and rates across, shaded by validation accuracy.

    Outcomes are `learned`, `at chance` (a dash) or `diverged` (×); the chosen rate is framed.
    """
    ax = ax or plt.subplots(figsize=(9, 3.6))[1]
    values, how = (np.array(list(table.values())) for table in (accuracy, outcomes))
    shade = np.where(how == "learned", values, np.nan)
    image = ax.imshow(shade, cmap="Blues", vmin=0.1, vmax=1.0, aspect="auto")
    for (i, j), value in np.ndenumerate(values):
        color = "white" if shade[i, j] > 0.75 else "black"
        text = {"diverged": "×", "at chance": "–"}.get(str(how[i, j]), f"{value:.3f}")
        ax.text(j, i, text, ha="center", va="center", color=color)
    for i, unit in enumerate(accuracy):
        corner = (list(rates).index(chosen[unit]) - 0.46, i - 0.43)
        ax.add_patch(Rectangle(corner, 0.92, 0.86, fill=False, linewidth=2.2, edgecolor=ORANGE))
    ax.set_xticks(range(len(rates)), [f"{rate:.4f}" for rate in rates])
    ax.set_yticks(range(len(accuracy)), [activations.get(unit).label for unit in accuracy])
    ax.set_xlabel("learning rate      (× diverged, – at chance)")
    ax.grid(visible=False)
    ax.spines[:].set_visible(False)
    plt.colorbar(image, ax=ax, label="validation accuracy", shrink=0.8)
    return ax


def published_beside_ours(
    published: Mapping[str, float], ours: Mapping[str, Sequence[float]], ax: Axes | None = None
) -> Axes:
    """Draw for each unit the published test accuracy and ours, one dot a seed."""
    ax = ax or plt.subplots(figsize=(7.5, 3))[1]
    for i, (unit, accuracies) in enumerate(ours.items()):
        ax.plot(accuracies, [i] * len(accuracies), "o", color=unit_style(unit)["color"], alpha=0.75)
        ax.plot(published[unit], i, "|", color="black", markersize=18, markeredgewidth=2)
    ax.set_yticks(range(len(ours)), [activations.get(unit).label for unit in ours])
    ax.set_ylim(len(ours) - 0.4, -0.6)
    ax.set_xlabel("test accuracy      (● ours, one a seed   | published)")
    return ax


def learned_swish(betas: Sequence[float], ax: Axes | None = None) -> Axes:
    """Draw z s(βz) for the learned β of each hidden layer, at most four; ReLU in grey behind."""
    ax = ax or plt.subplots(figsize=(6.4, 3.4))[1]
    reach = 6 / max(min(abs(beta) for beta in betas), 0.1)
    z, end = np.linspace(-reach, reach, 401), 0.8 * reach
    ax.plot(z, activations.relu(z), color=SHADE, linewidth=1)
    ax.annotate("ReLU", (end, end), (-34, 2), textcoords="offset points", color=GREY)
    for layer, beta in enumerate(betas):
        own = {"linestyle": DASHES[layer], "label": f"layer {layer + 1}: β = {beta:.3f}"}
        ax.plot(z, activations.swish(z, beta), **unit_style("swish") | own)
    ax.legend(loc="upper left", handlelength=3)
    ax.set(xlabel="pre-activation $z$", ylabel=r"$z\, s(\beta z)$")
    return ax
