"""Figures of notebook 03: digits, the curves of training runs, and the learned Swish functions.

A loss that became NaN does not vanish: its curve goes on along the upper edge of the panel, where
every loss above the clip is drawn, and ends in a cross.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LogNorm, Normalize
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from numpy.typing import ArrayLike, NDArray

from helpers import activations
from helpers.plotting import axes_or_new, label_lines, unit_style
from helpers.training import History

PANELS = (
    ("train_loss", "training loss"),
    ("validation_loss", "validation loss"),
    ("train_accuracy", "training accuracy"),
    ("validation_accuracy", "validation accuracy"),
)
CLIP = 100.0  # losses above are drawn at this height
RATE_COLORS = "viridis"


def digits(
    images: ArrayLike, captions: Sequence[str], axes: Sequence[Axes] | None = None
) -> Sequence[Axes]:
    """Draw each image in a panel of its own, under its caption.

    Args:
        images: (n, 28, 28) or (n, 784), 0 to 255, dark on white.
        captions: n captions.
        axes: n axes, by default those of a new figure.
    """
    pictures = np.asarray(images).reshape(len(captions), 28, 28)
    if axes is None:
        size = (1.35 * len(captions), 1.7)
        axes = list(plt.subplots(1, len(captions), figsize=size, squeeze=False)[1].flat)
    for ax, picture, caption in zip(axes, pictures, captions, strict=True):
        ax.imshow(picture, cmap="gray_r", vmin=0, vmax=255)
        ax.set_title(caption, fontsize="small", loc="center")
        ax.set_axis_off()
    return axes


def clipped(losses: ArrayLike) -> NDArray[np.float64]:
    """Return the losses as they are drawn: at most `CLIP`, and `CLIP` where they are NaN."""
    return np.minimum(np.nan_to_num(np.asarray(losses, float), nan=CLIP, posinf=CLIP), CLIP)


def _curve(ax: Axes, history: History, name: str, **style: Any) -> None:
    values = getattr(history, name)
    losses = name.endswith("loss")
    drawn = clipped(values) if losses else values
    (line,) = ax.plot(history.epochs, drawn, **style)
    if not np.isfinite(history.train_loss[-1]):
        ax.plot(history.epochs[-1], drawn[-1], "x", color=line.get_color(), clip_on=False, ms=7)


def _panels(title: str, epochs: float, floor: float) -> tuple[Figure, NDArray]:
    figure, axes = plt.subplots(2, 2, figsize=(9.4, 5.6), sharex=True)
    for ax, (name, label) in zip(axes.flat, PANELS, strict=True):
        ax.set(title=label, xlim=(0, epochs))
        if name.endswith("loss"):
            ax.set(yscale="log", ylim=(floor, CLIP * 1.15), ylabel="cross-entropy in nats")
        else:
            ax.set(ylim=(0, 1.02), ylabel="share classified rightly")
            ax.axhline(0.1, color="0.6", linewidth=0.9, zorder=0)
            ax.text(0.995, 0.14, "chance", transform=ax.transAxes, color="0.35", ha="right")
    for ax in axes[1]:
        ax.set_xlabel("epoch")
    figure.suptitle(title, x=0.01, ha="left")
    return figure, axes


def _floor(histories: Sequence[History]) -> float:
    smallest = min(np.nanmin(clipped([h.train_loss, h.validation_loss])) for h in histories)
    return 10 ** np.floor(np.log10(max(smallest, 1e-6)))


def curves_by_unit(histories: Mapping[str, History], title: str) -> Figure:
    """Return four panels, training and validation × loss and accuracy, with one curve a unit.

    Args:
        histories: unit's name to its curves; all of the same epochs.
        title: title of the figure.
    """
    runs = list(histories.values())
    figure, axes = _panels(title, runs[0].epochs[-1], _floor(runs))
    for ax, (name, _) in zip(axes.flat, PANELS, strict=True):
        for unit, history in histories.items():
            _curve(ax, history, name, **unit_style(unit))
    for ax in axes[:, 1]:
        label_lines(ax)
    return figure


def curves_by_rate(histories: Mapping[float, History], unit: str, title: str) -> Figure:
    """Return the same four panels for one unit, with one curve a learning rate.

    Light curves are high rates, labelled in the right column; a cross ends a diverged run.

    Args:
        histories: learning rate to curves; all of the same epochs.
        unit: the unit's name.
        title: what to add to the unit's name in the figure's title.
    """
    runs = list(histories.values())
    label = activations.get(unit).label
    figure, axes = _panels(f"{label}{title}", runs[0].epochs[-1], _floor(runs))
    rates = sorted(histories)
    norm = LogNorm(rates[0], rates[-1] * 6) if len(rates) > 1 else Normalize(0, 1)
    styles = ["-", "--", "-.", ":"]
    for ax, (name, _) in zip(axes.flat, PANELS, strict=True):
        for i, rate in enumerate(rates):
            color = plt.get_cmap(RATE_COLORS)(norm(rate))
            style = {"color": color, "linestyle": styles[i % len(styles)], "linewidth": 1.5}
            _curve(ax, histories[rate], name, label=f"{rate:.4f}", **style)
    handles, labels = axes[0, 0].get_legend_handles_labels()
    figure.legend(
        handles, labels, loc="outside right center", title="learning rate", handlelength=3
    )
    return figure


def rate_grid(
    accuracy: ArrayLike,
    outcomes: Sequence[Sequence[str]],
    units: Sequence[str],
    rates: Sequence[float],
    chosen: Mapping[str, float] | None = None,
    ax: Axes | None = None,
    label: str = "validation accuracy",
) -> Axes:
    """Draw a table of runs, units down and rates across, shaded by accuracy.

    A run that diverged shows ×, one at chance a dash, and the chosen rate of a unit is framed.

    Args:
        accuracy: (units, rates), from 0 to 1.
        outcomes: (units, rates) of `learned`, `at chance` or `diverged`.
        units: names of the units.
        rates: learning rates.
        chosen: unit's name to the rate to be framed.
        ax: where to draw, by default a new figure.
        label: what the shade means.
    """
    ax = axes_or_new(ax)
    accuracy = np.asarray(accuracy)
    learned = np.array(outcomes) == "learned"
    shade = np.where(learned, accuracy, np.nan)
    image = ax.imshow(shade, cmap="Blues", vmin=0.1, vmax=1.0, aspect="auto")
    symbols = {"diverged": "×", "at chance": "–"}
    for i, unit in enumerate(units):
        for j, rate in enumerate(rates):
            text = symbols.get(outcomes[i][j]) or f"{accuracy[i, j]:.3f}"
            dark = learned[i, j] and accuracy[i, j] > 0.75
            ax.text(j, i, text, ha="center", va="center", color="white" if dark else "black")
            if chosen and chosen.get(unit) == rate:
                box = Rectangle((j - 0.46, i - 0.43), 0.92, 0.86, fill=False, lw=2.2, ec="#D55E00")
                ax.add_patch(box)
    ax.set_xticks(range(len(rates)), [f"{rate:.4f}" for rate in rates])
    ax.set_yticks(range(len(units)), [activations.get(unit).label for unit in units])
    ax.set_xlabel("learning rate      (× diverged, – at chance)")
    ax.grid(visible=False)
    ax.spines[:].set_visible(False)
    plt.colorbar(image, ax=ax, label=label, shrink=0.8)
    return ax


def published_beside_ours(
    published: Mapping[str, float],
    ours: Mapping[str, Sequence[float]],
    ax: Axes | None = None,
) -> Axes:
    """Draw for each unit the published test accuracy and ours, one dot a seed.

    Args:
        published: unit's name to the accuracy.
        ours: unit's name to one accuracy a seed.
        ax: where to draw, by default a new figure.
    """
    ax = axes_or_new(ax)
    for i, (unit, accuracies) in enumerate(ours.items()):
        style = unit_style(unit)
        ax.plot(accuracies, [i] * len(accuracies), "o", color=style["color"], alpha=0.75)
        ax.plot(published[unit], i, "|", color="black", markersize=18, markeredgewidth=2)
    ax.set_yticks(range(len(ours)), [unit_style(unit)["label"] for unit in ours])
    ax.set_ylim(len(ours) - 0.4, -0.6)
    ax.set_xlabel("test accuracy      (● ours, one a seed   | published)")
    return ax


def learned_swish(betas: Sequence[float], ax: Axes | None = None) -> Axes:
    """Draw z s(βz) for each layer's learned β, ReLU in grey behind them.

    Args:
        betas: one β a hidden layer.
        ax: where to draw, by default a new figure.
    """
    ax = axes_or_new(ax)
    reach = 6 / max(min(abs(beta) for beta in betas), 0.1)
    z = np.linspace(-reach, reach, 401)
    ax.plot(z, activations.relu(z), color="0.7", linewidth=1, label="_ReLU")
    ax.annotate(
        "ReLU", (reach * 0.8, reach * 0.8), (-34, 2), textcoords="offset points", color="0.4"
    )
    for layer, (beta, style) in enumerate(
        zip(betas, ("-", "--", "-.", ":"), strict=False), start=1
    ):
        line = {"color": unit_style("swish")["color"], "linestyle": style}
        ax.plot(z, activations.swish(z, beta), label=f"layer {layer}: β = {beta:.3f}", **line)
    ax.legend(loc="upper left", handlelength=3)
    ax.set(xlabel="pre-activation $z$", ylabel=r"$z\, s(\beta z)$")
    return ax


def confusion(counts: ArrayLike, ax: Axes | None = None) -> Axes:
    """Draw a confusion matrix: rows are true digits, columns what the network says.

    Args:
        counts: (10, 10) whole numbers.
        ax: where to draw, by default a new figure.
    """
    ax = axes_or_new(ax)
    ax.imshow(np.log1p(np.asarray(counts)), cmap="Blues")
    ax.set(xlabel="network says", ylabel="digit is", xticks=range(10), yticks=range(10))
    ax.grid(visible=False)
    return ax
