"""Figures of notebook 03: the curves of training runs, tables of rates, the learned Swish."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from numpy.typing import ArrayLike, NDArray

from helpers import activations
from helpers.palette import BLUE, GREY, ORANGE, PALE_BLUE, SHADE
from helpers.plotting import label_lines, unit_style, with_alt

CLIP = 100.0  # losses above are drawn at this height
DASHES = ("-", "--", "-.", ":")
END = 1.02  # an axis of accuracies is logarithmic in what an accuracy lacks of this


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
        below.set_yscale("function", functions=(_stretched, lambda height: END - 10**-height))
        below.set(title=f"{part} accuracy", ylim=(0, 1), yticks=(0.1, 0.5, 0.8, 0.9, 0.95, 1))
        below.set(ylabel="share classified rightly", xlabel="epoch", xlim=(0, runs[0].epochs[-1]))
        below.axhline(0.1, color=SHADE, linewidth=0.9, zorder=0)
        below.text(runs[0].epochs[-1], 0.3, "chance", color=GREY, ha="right")
    for run, style in zip(runs, styles, strict=True):
        diverged = not np.isfinite(run.curves()[0][-1])
        for k, (ax, curve) in enumerate(zip(axes.T.flat, run.curves(), strict=True)):
            drawn = curve if k % 2 else clipped(curve)
            (line,) = ax.plot(run.epochs, drawn, **style)
            if diverged:
                ax.plot(run.epochs[-1], drawn[-1], "x", color=line.get_color(), clip_on=False, ms=7)
    return figure


def _stretched(accuracy: NDArray) -> NDArray:
    return -np.log10(np.maximum(END - accuracy, 1e-9))


def curves_by_unit(histories: Mapping[str, Curves], title: str) -> Figure:
    """Return four panels, training and validation × loss and accuracy, with one curve a unit."""
    figure = _panels(list(histories.values()), [unit_style(unit) for unit in histories], title)
    for ax in figure.axes[1::2]:
        label_lines(ax)
    last = by_unit({unit: run.curves()[3][-1] for unit, run in histories.items()}, ".3f")
    return with_alt(figure, f"Four panels of curves by epoch; final validation accuracies: {last}.")


def curves_by_rate(
    histories: Mapping[float, Curves], outcomes: Sequence[str], title: str
) -> Figure:
    """Return the same four panels for one unit, with one curve a rate, and each run's outcome.

    Runs that failed often share a line: the first of them are broader.
    """
    rates, runs = list(histories), list(histories.values())
    colors = plt.get_cmap("viridis")(LogNorm(rates[0], rates[-1] * 6)(rates))
    looks = [
        {
            "color": color,
            "linestyle": DASHES[i % 4] if how == "learned" else "-",
            "linewidth": 1.5 if how == "learned" else 1.4 * (len(rates) - i),
            "label": f"{rate:.4f} {how}",
        }
        for i, (rate, color, how) in enumerate(zip(rates, colors, outcomes, strict=True))
    ]
    figure = _panels(runs, looks, title)
    shown = figure.axes[0].get_legend_handles_labels()
    figure.legend(*shown, loc="outside right center", title="learning rate", handlelength=3)
    ends = (
        f"{own['label']} {run.curves()[3][-1]:.3f}" for own, run in zip(looks, runs, strict=True)
    )
    return with_alt(
        figure, f"{title}: curves by epoch; final validation accuracies: {', '.join(ends)}."
    )


def as_recorded_and_displayed(
    histories: Mapping[float, Curves], displayed: Callable[[NDArray], NDArray], title: str
) -> Figure:
    """Return two panels of training losses, one line a rate: as recorded, and `displayed`."""
    figure, axes = plt.subplots(1, 2, figsize=(9.4, 2.7), sharex=True, sharey=True)
    figure.suptitle(title, x=0.01, ha="left")
    said = []
    kinds: dict[str, Callable] = {"as recorded": np.array, "displayed": displayed}
    for ax, (kind, change) in zip(axes, kinds.items(), strict=True):
        curves = [change(run.curves()[0]) for run in histories.values()]
        for run, curve in zip(histories.values(), curves, strict=True):
            ax.plot(run.epochs, curve, color=BLUE, linewidth=1.3)
        whole = sum(bool(np.isfinite(curve).all()) for curve in curves)
        said.append(f"{kind}: {whole} of {len(curves)} lines are whole")
        ax.set(title=said[-1], yscale="log", xlabel="epoch")
    axes[0].set_ylabel("cross-entropy in nats")
    return with_alt(figure, "; ".join(said))


def rate_grid(
    accuracy: Mapping[str, Sequence[float]],
    outcomes: Mapping[str, Sequence[str]],
    rates: Sequence[float],
    chosen: Mapping[str, float],
    ax: Axes | None = None,
    shades: tuple[float, float] = (0.85, 0.95),
) -> Axes:
    """Draw a table of runs, units down and rates across, shaded by validation accuracy.

    Outcomes are `learned`, `at chance` (a dash) or `diverged` (×); the chosen rate is framed.
    Accuracies from the first of `shades` to the second have colours of their own.
    """
    ax = ax or plt.subplots(figsize=(9, 3.6))[1]
    values, how = (np.array(list(table.values())) for table in (accuracy, outcomes))
    shade = np.where(how == "learned", values, np.nan)
    low, high = shades
    image = ax.imshow(shade, cmap="Blues", vmin=low, vmax=high, aspect="auto")
    for (i, j), value in np.ndenumerate(values):
        color = "white" if shade[i, j] > low + 0.65 * (high - low) else "black"
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
    plt.colorbar(image, ax=ax, label="validation accuracy", shrink=0.8, extend="both")
    before: Any = ax.figure.get_label()  # of a figure with several tables
    said = f"A table of {how.size} runs, of which {(how == 'learned').sum()} learned; framed rates:"
    return with_alt(ax, f"{before} {said} {by_unit(chosen, '.4f')}.".strip())


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
    spans = {u: f"{published[u]:.4f}, {min(own):.4f} to {max(own):.4f}" for u, own in ours.items()}
    return with_alt(ax, f"Test accuracies, published and ours: {by_unit(spans)}.")


def before_and_after(
    quantities: Mapping[str, Mapping[str, NDArray]], title: str, log: Sequence[str] = ()
) -> Figure:
    """Return a panel a quantity: each unit's layers, hollow before training and filled after.

    A unit's array is (2, seeds, layers), before and after; lines join the medians over seeds.
    Quantities named in `log` have a logarithmic axis.
    """
    figure, axes = plt.subplots(2, 2, figsize=(9.4, 5.4))
    figure.suptitle(title, x=0.01, ha="left")
    said = []
    for ax, (name, by) in zip(axes.flat, quantities.items(), strict=True):
        for i, (unit, array) in enumerate(by.items()):
            color = unit_style(unit)["color"]
            places = i + 0.22 * (np.arange(array.shape[2]) - (array.shape[2] - 1) / 2)
            ax.plot(np.tile(places, (2, 1)), np.median(array, 1), color=color, linewidth=1)
            for values, fill in zip(array, ("white", color), strict=True):
                x = np.tile(places, (len(values), 1))
                ax.plot(x, values, "o", color=color, markerfacecolor=fill, markersize=4.5)
        ax.set_xticks(range(len(by)), [activations.get(unit).label for unit in by], fontsize=8.5)
        ax.set(title=name, yscale="log" if name in log else "linear")
        ax.grid(visible=False, axis="x")
        first = {unit: np.median(array, 1)[:, 0] for unit, array in by.items()}
        words = by_unit({unit: f"{old:.2g} to {new:.2g}" for unit, (old, new) in first.items()})
        said.append(f"{name} {words}")
    return with_alt(figure, f"Layer 1 before and after training: {'; '.join(said)}.")


def learned_swish(betas: Sequence[float], z: Sequence[NDArray], title: str) -> Figure:
    """Return z s(βz) of each hidden layer over the z that occur there, with ReLU and z/2 behind."""
    figure, axes = plt.subplots(1, len(betas), figsize=(9.4, 3.3), squeeze=False)
    figure.suptitle(title, x=0.01, ha="left")
    said = []
    for layer, (ax, beta, own) in enumerate(zip(axes[0], betas, z, strict=True), 1):
        low, high = np.quantile(own, [0.01, 0.99])
        at = np.linspace(low, high, 401)
        behind = ax.twinx()
        behind.hist(own.ravel(), bins=60, range=(low, high), color=PALE_BLUE)
        behind.set(yticks=[], zorder=0, ylim=(0, 3 * behind.get_ylim()[1]))
        behind.grid(visible=False)
        ax.set(zorder=1, facecolor="none")
        ax.plot(at, activations.relu(at), color=SHADE, linewidth=1.2, label="ReLU")
        ax.plot(at, at / 2, ":", color=GREY, linewidth=1.2, label="$z/2$")
        ax.plot(at, activations.swish(at, beta), **unit_style("swish") | {"label": "Swish"})
        ax.set(title=f"layer {layer}: β = {beta:.3f}", xlabel="pre-activation $z$")
        said.append(
            f"layer {layer} has β = {beta:.3f}, and 98 % of its z lie in {low:.0f} to {high:.0f}"
        )
    axes[0, 0].set_ylabel(r"$z\, s(\beta z)$")
    axes[0, 0].legend(loc="upper left", handlelength=3)
    return with_alt(figure, f"Swish beside ReLU and z/2 over a histogram of z: {'; '.join(said)}.")
