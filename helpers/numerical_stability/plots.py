"""The figures of notebook 04: magnitudes out of range, fits that fail, signals through depth."""

from collections.abc import Iterable, Mapping
from operator import attrgetter
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import ArrayLike, NDArray

from helpers import activations, initialization, palette
from helpers.numerical_stability.depth import Signal
from helpers.plotting import label_lines, text_color, unit_style, with_alt

RANGES = {"float64": (-323.3, 308.3), "float32": (-44.9, 38.5), "float16": (-7.2, 4.8)}  # log₁₀
DASHES: tuple[str | tuple, ...] = ("-", "--", "-.", (0, (3, 1)), ":")
Fits = tuple[NDArray, NDArray, NDArray, NDArray]  # in the order of `sine_fit.Fits`
SHARED: dict[str, Any] = {"sharex": True, "sharey": "row", "squeeze": False}
Runs = Mapping[str, Mapping[str, NDArray]]  # by a panel's title and a label
Curve = tuple[NDArray, NDArray]  # many networks, (networks, layers), and theory, (layers,)
BASELINE: dict[str, Any] = {"color": palette.GREY, "linestyle": ":", "lw": 1.3}


def _style(method: str) -> dict[str, Any]:
    color = palette.BLUE if method.startswith("xavier") else palette.ORANGE
    return {"color": color, "linestyle": "-" if method.endswith("normal") else (0, (2, 1.5))}


def _band(ax: Axes, x: ArrayLike, values: NDArray, tail: float, color: Any, **line: Any) -> None:
    # the median of each row, and a band from the quantile `tail` to 1 − `tail`; inf is not drawn
    with np.errstate(invalid="ignore"):
        low, middle, high = np.quantile(values, [tail, 0.5, 1 - tail], axis=1)
    ax.fill_between(x, low, high, color=color, alpha=0.15, lw=0)
    ax.plot(x, middle, color=color, **line)


def _label(figure: Figure, axes: Iterable[Axes], pad: float = 6) -> None:
    figure.draw_without_rendering()
    for ax in axes:
        label_lines(ax, pad=pad)


def magnitudes(logs: Mapping[str, NDArray]) -> Figure:
    """Draw where sets of log₁₀ magnitudes lie among the formats' ranges, and their histograms."""
    mosaic: list[Any] = [["ranges"] * len(logs), list(logs)]
    figure, axes = plt.subplot_mosaic(mosaic, figsize=(8.6, 4.4), height_ratios=[1, 2.4])
    ranges = axes["ranges"]
    lows, highs = np.transpose(list(RANGES.values()))
    ranges.barh(list(RANGES), highs - lows, left=lows, height=0.7, color=palette.LIGHT)
    for (label, values), hue in zip(logs.items(), palette.CYCLE, strict=False):
        middle, color = np.median(values), text_color(hue)
        ranges.axvline(middle, color=hue)
        place = ranges.get_xaxis_transform()
        side = "right" if middle < -10 else "center"
        ranges.text(middle, 1.04, label, color=color, ha=side, transform=place)
        axes[label].hist(values.ravel(), bins=60, color=hue)
        axes[label].set_title(label, color=color)
        axes[label].set_xlabel("log₁₀ |entry|")
    ranges.grid(axis="y", visible=False)
    ranges.set_xlabel("log₁₀ of the median magnitude of an entry, and the ranges of the formats")
    axes[next(iter(logs))].set_ylabel("number of entries")
    places = ", ".join(f"{round(np.median(values))}" for values in logs.values())
    return with_alt(
        figure,
        f"Histograms of log10 magnitudes for {', '.join(logs)}, medians {places}, each several "
        "powers of ten wide with a longer tail to the left, and where they lie among the formats.",
    )


def _draw_gradients(ax: Axes, steps: NDArray, gradients: NDArray) -> None:
    layers = gradients.shape[2]
    shown = sorted({0, 1, layers // 2 - 1, layers - 2, layers - 1})
    colors = plt.get_cmap("viridis")(np.linspace(0, 0.85, len(shown)))
    for layer, color, dash in zip(shown, colors, DASHES, strict=False):
        values = gradients[:, :, layer]
        _band(ax, steps, values, 0, color, ls=dash, label=f"{layer + 1}")
        *before, own = ax.lines
        if before and np.array_equal(before[-1].get_ydata(), own.get_ydata()):  # one label for both
            own.set_label(f"{before[-1].get_label()}, {layer + 1}")
            before[-1].set_label("_covered")
    ax.set(xlabel="step", xlim=(0, steps[-1] * 1.22 + 1))


def five_fits(x: NDArray, runs: Mapping[str, Fits], baseline: float) -> Figure:
    """Draw fit, loss and gradient by layer of each configuration, a column each.

    `runs` maps titles to what was recorded at the points `x`; `baseline` is drawn dotted, the loss
    of predicting zero. Below the smallest gradient of all, their axis is linear down to 0.
    """
    figure, axes = plt.subplots(3, len(runs), figsize=(12.6, 7.6), sharey="row", squeeze=False)
    fine, smallest = np.linspace(x[0], x[-1], 400), np.inf
    for (top, middle, bottom), (title, fits) in zip(axes.T, runs.items(), strict=True):
        steps, gradients, errors, predictions = fits
        top.set_title(title, fontsize="medium")
        top.plot(fine, np.sin(10 * fine), color=palette.LIGHT, lw=1)
        top.plot(x, predictions.T, color=palette.BLUE, lw=1, alpha=0.7)
        top.plot(x, np.sin(10 * x), "o", color=palette.BLACK, ms=3)
        outside = int(np.sum(np.abs(predictions).max(axis=1) > 1.9))
        note = f"\n{outside} of {len(predictions)} seeds leave the frame" if outside else ""
        top.set(ylim=(-1.9, 1.9), xlabel=f"x{note}")
        middle.axhline(baseline, **BASELINE)
        middle.plot(errors, color=palette.BLUE, lw=1, alpha=0.7)
        middle.set(yscale="log", xlabel="step", xlim=(0, steps[-1] * 1.22 + 1))
        _draw_gradients(bottom, steps, gradients)
        smallest = np.min(gradients, where=gradients > 0, initial=smallest)
    axes[0, 0].set_ylabel("y")
    axes[1, 0].set_ylabel("mean squared error")
    axes[2, 0].set_ylabel("mean |gradient| of a layer")
    axes[2, 0].set_yscale("symlog", linthresh=smallest, linscale=3)
    axes[2, 0].set_ylim(bottom=-smallest / 3)
    axes[2, 0].yaxis.get_major_locator().set_params(numticks=7)
    _label(figure, axes[2], pad=3)
    last = ", ".join(f"{np.median(fits[2][-1]):.4g}" for fits in runs.values())
    return with_alt(
        figure,
        "A column a configuration with fits, losses and gradients by layer, a line a seed. Median "
        f"last losses {last}; answering 0 has {baseline:.4g}.",
    )


def balanced_units(curves: Mapping[str, ArrayLike], x: NDArray) -> Figure:
    """Draw each curve, at most five, over x beside the identity, labelled at its end."""
    figure, ax = plt.subplots()
    inner = x[np.abs(x) <= 2.2]
    ax.plot(inner, inner, color=palette.GREY, lw=1.2, label="x")
    for (label, values), hue, dash in zip(curves.items(), palette.CYCLE, DASHES, strict=False):
        ax.plot(x, values, color=hue, linestyle=dash, label=label)
    ax.set(xlim=(x[0], x[-1]), xlabel="x", ylabel="value of the unit")
    _label(figure, [ax])
    steep = ", ".join(f"{k} {np.gradient(v, x)[len(x) // 2]:.2f}" for k, v in curves.items())
    return with_alt(figure, f"Curves beside the line x; their slopes in the middle: {steep}.")


def losses(runs: Runs, baseline: float, note: str, scale: str = "log") -> Figure:
    """Draw losses over the steps: the median network and the quartiles.

    `runs` maps units to methods' names to losses, (steps + 1, networks). What is not finite ends a
    curve, and the label says for how many networks. `baseline` is drawn dotted, the loss of
    predicting zero; `note` stands beside a unit in its panel's title.
    """
    figure, (axes,) = plt.subplots(1, len(runs), figsize=(9.6, 3.5), **SHARED)
    for ax, (unit, methods) in zip(axes, runs.items(), strict=True):
        ax.axhline(baseline, **BASELINE)
        for method, values in methods.items():
            values = np.where(np.isfinite(values), values, np.inf)  # the worst of all
            lost = int(np.isinf(values[-1]).sum())
            label = initialization.LABELS[method] + (f" ({lost} diverged)" if lost else "")
            _band(ax, range(len(values)), values, 0.25, **_style(method), lw=1.4, label=label)
        ax.set(yscale=scale, xlabel="step", title=f"{unit}, {note}")
    axes[0].set_ylabel("mean squared error")
    axes[-1].legend(loc="center left", bbox_to_anchor=(1.01, 0.5), handlelength=2.6)
    return with_alt(figure, f"Losses over the steps, {note}. {_medians(runs)}.")


def final_losses(runs: Runs, baseline: float, note: str) -> Figure:
    """Draw every network's last loss as a dot, a row a method, with the median as a bar.

    The arguments are those of `losses`; all last losses are finite.
    """
    figure, (axes,) = plt.subplots(1, len(runs), figsize=(9.6, 3.2), **SHARED)
    for ax, (unit, methods) in zip(axes, runs.items(), strict=True):
        ax.set_title(f"{unit}, {note}")
        rng = np.random.default_rng(0)  # only spreads the dots within their row
        for row, (method, values) in enumerate(methods.items()):
            last, color = values[-1], _style(method)["color"]
            heights = row + rng.uniform(-0.22, 0.22, size=last.size)
            ax.plot(last, heights, "o", color=color, ms=3.5, alpha=0.45, mec="none")
            ax.plot([np.median(last)] * 2, [row - 0.36, row + 0.36], color=palette.BLACK, lw=2)
        ax.axvline(baseline, **BASELINE)
        ax.set_yticks(range(len(methods)), [initialization.LABELS[method] for method in methods])
        ax.set(ylim=(len(methods) - 0.5, -0.5), xlabel="loss after the last step")
        ax.grid(axis="y", visible=False)
    return with_alt(figure, f"Last losses, {note}, a dot a network. {_medians(runs)}.")


def _medians(runs: Runs) -> str:
    # each unit's methods in words, for an alternative text
    return "Medians of the last loss: " + "; ".join(
        f"{unit} {initialization.LABELS[method]} {np.median(losses[-1]):.2g}"
        for unit, methods in runs.items()
        for method, losses in methods.items()
    )


def _by_layer(ax: Axes, curves: Mapping[str, Curve], first: int, way: int = 1) -> None:
    # a label stands at a line's end; where all lines start from 1 at the last layer, go back (-1)
    for (label, (values, theory)), hue in zip(curves.items(), palette.CYCLE, strict=False):
        layers = np.arange(len(theory))[::way] + first
        _band(ax, layers, values.T[::way], 0.25, hue, label=label)
        ax.plot(layers, theory[::way], label="_theory", color=palette.BLACK, ls=(0, (2, 2)), lw=1.2)
    ax.xaxis.set_inverted(way < 0)


def _told(panels: Mapping[str, Mapping[str, Curve]], place: int) -> str:
    # the median and theory of each curve at its first or its last layer, for an alternative text
    return "; ".join(
        f"{title}, {label}: {np.median(values[:, place]):.3g} ({theory[place]:.3g})"
        for title, curves in panels.items()
        for label, (values, theory) in curves.items()
    )


def depth_curves(panels: Mapping[str, Mapping[str, tuple[Signal, Signal]]]) -> Figure:
    """Draw both mean squares by layer on log axes, a column a panel, that of δ back from the last.

    `panels` maps titles to labels to pairs: many networks, arrays (networks, layers), of which
    median and quartiles are drawn, and what theory predicts, (layers,), drawn dashed.
    """
    figure, axes = plt.subplots(2, len(panels), figsize=(9.6, 6.4), **SHARED | {"sharex": "row"})
    told = []
    for first, (row, name) in enumerate(zip(axes, ("activations", "gradients"), strict=True)):
        pick = attrgetter(name)
        split = {
            title: {label: (pick(many), pick(theory)) for label, (many, theory) in curves.items()}
            for title, curves in panels.items()
        }
        for ax, curves in zip(row, split.values(), strict=True):
            _by_layer(ax, curves, first, -1 if first else 1)
            ax.set_yscale("log")
        told.append(_told(split, first - 1))
    for title, (above, below) in zip(panels, axes.T, strict=True):
        above.set(title=f"{title} (theory dashed)", xlabel="layer")
        below.set_xlabel("layer, from the last back to the first")
    axes[0, 0].set_ylabel("mean of $a^2$")
    axes[1, 0].set_ylabel(r"mean of $\delta^2$, last layer = 1")
    _label(figure, axes.flat)
    return with_alt(
        figure,
        "Mean squares by layer on log axes, median over networks with theory dashed. At the end, "
        f"measured (theory): of a, {told[0]}; of δ, back at layer 1, {told[1]}.",
    )


def cosines(panels: Mapping[str, Mapping[str, Curve]]) -> Figure:
    """Draw the cosine of two inputs by layer, a panel a title, like `depth_curves`."""
    figure, (axes,) = plt.subplots(1, len(panels), figsize=(9.6, 3.4), **SHARED)
    for ax, (title, curves) in zip(axes, panels.items(), strict=True):
        _by_layer(ax, curves, 0)
        ax.set(title=f"{title} (theory dashed)", xlabel="layer")
    axes[0].set_ylabel("cosine of the two signals")
    _label(figure, axes)
    return with_alt(
        figure,
        "Cosine of two signals by layer, median over networks with theory dashed. At the last "
        f"layer, measured (theory): {_told(panels, -1)}.",
    )


def sizes(panels: Runs) -> Figure:
    """Draw the mean of z² by layer on log axes, median and quartiles, a panel a title.

    `panels` maps titles to units' names to arrays (networks, layers); another name is drawn black.
    """
    figure, (axes,) = plt.subplots(1, len(panels), figsize=(9.6, 3.4), **SHARED)
    said = []
    for ax, (title, curves) in zip(axes, panels.items(), strict=True):
        for label, values in curves.items():
            other = {"color": palette.BLACK, "linestyle": ":", "label": label}
            look = unit_style(label) if label in activations.ACTIVATIONS else other
            _band(ax, np.arange(values.shape[1]) + 1, values.T, 0.25, **look)
            said.append(f"{title}, {label} {np.median(values[:, -1]):.2g}")
        ax.set(title=title, xlabel="layer", yscale="log")
    axes[0].set_ylabel("mean of $z^2$")
    _label(figure, axes)
    return with_alt(figure, f"Mean of z² by layer on log axes. Last, median: {'; '.join(said)}.")
