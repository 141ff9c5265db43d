"""Figures of notebook 05: bounds on the gradient, singular values, training from five starts.

A figure's label, which `show` takes as its alternative text, is made from the data drawn.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import ListedColormap
from matplotlib.image import AxesImage
from matplotlib.ticker import MaxNLocator
from numpy.typing import ArrayLike, NDArray

from helpers import activations
from helpers.gradient_bounds import spectra
from helpers.palette import BLUE, GREEN, GREY, OCHRE, ORANGE, PALE_BLUE, PALE_ORANGE, SHADE
from helpers.plotting import label_lines, text_color, unit_style, with_alt

# Looks of the three quantities, of the five initialisations, and of four curves of other names.
BOUNDS: dict[str, dict[str, Any]] = {
    "upper bound": {"color": ORANGE, "linestyle": "--", "marker": "^", "markersize": 4},
    "true gradient": {"color": "black", "linestyle": "-", "marker": "o", "markersize": 4},
    "lower bound": {"color": BLUE, "linestyle": "-.", "marker": "v", "markersize": 4},
}
STARTS: dict[str, dict[str, Any]] = {
    "zero": {"color": GREY, "linestyle": ":", "linewidth": 3.5, "zorder": 2.5},  # above the others
    "constant": {"color": OCHRE, "linestyle": "-."},
    "too small": {"color": BLUE, "linestyle": "--"},
    "right": {"color": GREEN, "linestyle": "-"},
    "too large": {"color": ORANGE, "linestyle": (0, (6, 1.5, 1, 1.5))},
}
LOOKS = [*STARTS.values()][1:]
GRADIENT = "$\\|\\partial\\mathcal{L}/\\partial W^{(l)}\\|$"
HATCHED: dict[str, Any] = {"color": PALE_ORANGE, "hatch": "//", "edgecolor": ORANGE}
Named = Mapping[str, NDArray]
GRID = np.linspace(-2.6, 2.6, 45)
PLANE = np.stack(np.meshgrid(GRID, GRID), -1).reshape(-1, 2)  # points of the pictures of the plane


def circle_to_ellipse(A: NDArray) -> Axes:
    """Draw the unit circle and its image under the 2×2 matrix A, with A's singular directions."""
    angle = np.linspace(0, 2 * np.pi, 241)
    circle = np.stack([np.cos(angle), np.sin(angle)])
    U, s, Vt = np.linalg.svd(A)
    signs = np.where(U[0] < 0, -1, 1)  # q and p may change sign together: point to the right
    image = f"its image, half axes {s[0]:.2f} and {s[1]:.2f}"
    panels = {
        "unit circle": (circle, Vt.T * signs, "$p_{}$"),
        image: (A @ circle, U * s * signs, "$\\sigma_{0} q_{0}$"),
    }
    _, axes = plt.subplots(1, 2, figsize=(7.2, 3.6))
    plt.setp(axes, aspect="equal", xlabel="first coordinate", ylabel="second coordinate")
    plt.setp(axes, xlim=(-1.25 * s[0], 1.25 * s[0]), ylim=(-1.25 * s[0], 1.25 * s[0]))
    for ax, (title, (shape, tips, name)) in zip(axes, panels.items(), strict=True):
        ax.plot(*shape, color="black")
        ax.set_title(title)
        for k, (color, style) in enumerate(((ORANGE, "-"), (BLUE, "--"))):
            ax.plot(*np.outer(tips[:, k], [0, 1]), color=color, ls=style, marker="o", markevery=[1])
            place = tips[:, k] * (1 + 0.22 * s[0] / np.linalg.norm(tips[:, k]))
            ax.text(*place, name.format(k + 1), color=text_color(color), ha="center", va="center")
    ax.plot(*(s[0] * circle), color=GREY, linestyle=":", linewidth=1.2)
    ax.text(0.4 * s[0], -1.1 * s[0], "radius $\\sigma_1$", color=GREY)
    return with_alt(ax, f"The unit circle and {image}: an ellipse, inside the circle of radius σ₁.")


def by_layer(
    series: Mapping[str, ArrayLike], ax: Axes | None = None, first: int = 1, ylabel: str = GRADIENT
) -> Axes:
    """Draw values ≥ 0 by label from the layer `first` on, on a log axis; zeros at its floor."""
    ax = ax or plt.subplots()[1]
    ax.set(yscale="log", xlabel="layer $l$", ylabel=ylabel)
    for k, (label, given) in enumerate(series.items()):
        known = unit_style(label) if label in activations.ACTIVATIONS else BOUNDS.get(label)
        look = {"label": label, **(known or LOOKS[k % len(LOOKS)])}
        values = np.asarray(given, dtype=float)
        x = first + np.arange(len(values))
        ax.plot(x, np.where(values > 0, values, np.nan), **look)
        if (zero := x[values == 0]).size:
            hue, floor = text_color(look["color"]), ax.get_xaxis_transform()
            ax.plot(zero, 0.015 + 0.0 * zero, "v", label=f"_{label}: 0", color=hue, transform=floor)
            ax.text(zero[0], 0.04, "exactly 0", color=hue, transform=floor)
    ax.xaxis.set_major_locator(MaxNLocator(integer=True))
    ax.legend()
    return with_alt(ax, f"By layer, from the first to the last: {_ends(series)}.")


def panels(
    contents: Mapping[str, Mapping[str, ArrayLike]], first: ArrayLike = 1, ylabel: str = GRADIENT
) -> Axes:
    """Draw `by_layer` once for each title, side by side, with one legend; `first` may differ."""
    count = len(contents)
    _, axes = plt.subplots(1, count, figsize=(3.3 + 2.1 * count, 3.2), sharey=True)
    starts = np.broadcast_to(first, count)
    for ax, (title, series), start in zip(axes, contents.items(), starts, strict=True):
        by_layer(series, ax, start, ylabel).set_title(title)
    for ax in axes[1:]:
        ax.get_legend().remove()
        ax.set_ylabel("")
    told = [f"{title}: {_ends(series)}" for title, series in contents.items()]
    return with_alt(ax, f"By layer, from the first to the last. {'. '.join(told)}.")


def losses_by_layer(at_weights: NDArray, at_slopes: NDArray) -> Axes:
    """Draw what the upper bound loses in each layer, in powers of ten, as stacked bars."""
    ax, layer = plt.subplots()[1], 1 + np.arange(len(at_weights))
    lost = "at $W^{(l+1)\\top}$: not along its longest direction"
    ax.bar(layer, at_weights, color=BLUE, label=lost)
    lost = "at $D^{(l)}$: not every unit at the largest slope"
    ax.bar(layer, at_slopes, bottom=at_weights, label=lost, **HATCHED)
    ax.set(xlabel="layer $l$", ylabel="$\\log_{10}$ of the factor lost")
    ax.set_ylim(0, 1.45 * (at_weights + at_slopes).max())
    ax.xaxis.set_major_locator(MaxNLocator(integer=True))
    ax.legend(loc="upper left")
    lost = f"{at_weights.mean():.2f} powers of ten at W and {at_slopes.mean():.2f} at D"
    return with_alt(ax, f"Stacked bars, one for each of {len(layer)} layers: on average {lost}.")


def depth_grid(depths: Sequence[int], results: Mapping[str, Mapping[str, Sequence]]) -> Axes:
    """Draw gradients and upper bounds against depth, by unit (a panel each, four) and setting."""
    _, axes = plt.subplots(2, 2, figsize=(7.6, 5.2), sharex=True, sharey="row")
    for ax, (unit, settings) in zip(axes.flat, results.items(), strict=False):
        style = unit_style(unit)
        looks = ("black", 3.6, 6.5), (style["color"], 1.5, 3.5)  # the wider shows behind the other
        for (shade, wide, mark), (name, (true, upper)) in zip(looks, settings.items(), strict=True):
            ax.plot(depths, true, color=shade, label=name, linewidth=wide)
            ax.plot(depths, upper, ":^", color=shade, linewidth=wide, markersize=mark)
        ax.set(yscale="log", title=style["label"])
        _label_at_the_right(ax, depths)
    plt.setp(axes[-1], xlabel="number of layers $L$")
    plt.setp(axes[:, 0], ylabel=GRADIENT.replace("(l)", "(1)"))
    names = "true gradient", "upper bound"
    axes[0, 0].legend(axes[0, 0].lines[:2], names, loc="lower left", fontsize="small")
    told = [
        f"{unit_style(unit)['label']}, {name}: {curves[0][-1]:.1g} and {curves[1][-1]:.1g}"
        for unit, settings in results.items()
        for name, curves in settings.items()
    ]
    return with_alt(ax, f"Gradient and upper bound at {depths[-1]} layers. {'; '.join(told)}.")


def ratio_histogram(lower: NDArray, upper: NDArray) -> Axes:
    """Draw how log₁₀ of lower and upper bound / gradient are spread; −16 stands for all below."""
    ax = plt.subplots()[1]
    span = [f"from {side.min():.1f} to {side.max():.1f}" for side in (lower, upper)]
    lower = np.maximum(lower, -15.75)
    bins = np.arange(-16, np.ceil(upper.max()) + 0.25, 0.5).tolist()
    ax.hist(lower, bins=bins, color=BLUE, label="lower bound")
    ax.hist(upper, bins=bins, label="upper bound", **HATCHED)
    ax.axvline(0, color="black", linewidth=1.2)
    ax.set(xlabel="$\\log_{10}$ (bound / true gradient)", ylabel="networks per half power of ten")
    ticks = np.arange(-16, bins[-1] + 1, 4)
    ax.set_xticks(ticks, ["≤ −16", *(f"{tick:g}".replace("-", "−") for tick in ticks[1:])])
    ax.legend()
    told = f"lower bounds {span[0]}, upper bounds {span[1]}"
    return with_alt(ax, f"Histograms of the logarithm of bound / gradient: {told}.")


def drawn_and_law(drawn: Mapping[tuple[int, int], NDArray]) -> Axes:
    """Draw histograms of singular values by (fan_in, fan_out), variance 1/fan_in, under the law."""
    _, axes = plt.subplots(1, len(drawn), figsize=(3.2 * len(drawn), 3.0), squeeze=False)
    told = []
    for ax, ((n, m), seen) in zip(axes[0], drawn.items(), strict=True):
        low, high = spectra.edges(n, m, 1 / n)
        ax.hist(seen.ravel(), 25, range=(low, high), density=True, color=PALE_BLUE, label="drawn")
        s = np.linspace(low, high, 400)[1:-1]
        ax.plot(s, spectra.density(s, n, m, 1 / n), color="black", label="law")
        ends, floor = [seen.min(), seen.max()], ax.get_xaxis_transform()
        ax.plot(ends, [0.04, 0.04], "|", color=ORANGE, markersize=14, transform=floor)
        ax.set(xlabel="singular value", title=f"{m}×{n}", ylabel="density")
        found = f"drawn from {seen.min():.2f} to {seen.max():.2f}"
        told.append(f"{m}×{n}: {found}, law from {low:.2f} to {high:.2f}")
    axes[0, len(drawn) // 2].legend()
    return with_alt(ax, f"Histograms of singular values under the law. {'; '.join(told)}.")


def product_spectra(products: Named) -> Axes:
    """Draw singular values (number of factors, width) of products of matrices, by their label."""
    curves: dict[str, NDArray] = {}
    for label, values in products.items():
        curves |= {f"{label}, largest": values[:, :1], f"{label}, median": values}
    settings: dict[str, Any] = {"yscale": "log", "ylim": (1e-12, 30)}
    settings |= {"xlabel": "number of layers multiplied", "ylabel": "singular value of the product"}
    return medians_and_ranges(1 + np.arange(len(values)), curves, **settings)


def medians_and_ranges(
    x: NDArray, curves: Named, ax: Axes | None = None, direct: bool = True, **settings: Any
) -> Axes:
    """Draw the median and range of each name's values (T, runs) against T steps or layers x.

    Labels stand beside the lines' ends or, unless `direct`, in a legend.
    """
    ax = ax or plt.subplots()[1]
    for k, (name, values) in enumerate(curves.items()):
        look = STARTS.get(name, LOOKS[k % len(LOOKS)])
        ax.plot(x, np.median(values, 1), label=name, **look)
        low, high = values.min(1), values.max(1)
        ax.fill_between(x, low, high, color=look["color"], alpha=0.13, linewidth=0)
    ax.set(**settings)
    if direct:
        _label_at_the_right(ax, x)
    else:
        ax.set_xlim(x[0], x[-1])
        ax.legend()
    middles = np.array([np.median(values, 1) for values in curves.values()])
    if len(middles) > 1 and np.allclose(middles, middles[0], rtol=1e-3):
        ax.text(0.05, 0.05, f"all {len(middles)} coincide", transform=ax.transAxes)
    ends = zip(curves, middles[:, -1], strict=True)
    last = ", ".join(f"{name} {middle:.2g}" for name, middle in ends)
    return with_alt(ax, f"{_axes(ax)}: medians and ranges; at the right end {last}.")


def range_panels(
    x: NDArray, contents: Mapping[str, Named], sharey: bool = True, **settings: Any
) -> Axes:
    """Draw `medians_and_ranges` once for each title, side by side, with one scale or their own."""
    count, told = len(contents), []
    _, axes = plt.subplots(1, count, figsize=(1.5 + 3.8 * count, 3.5), sharey=sharey)
    for ax, (title, curves) in zip(axes, contents.items(), strict=True):
        medians_and_ranges(x, curves, ax, title=title, **settings)
        middles = {name: np.median(values, 1) for name, values in curves.items()}
        told += [f"{title}: {_ends(middles)}"]
    names = _axes(ax)
    for ax in axes[1:]:
        ax.set_ylabel("")
    return with_alt(ax, f"{names}: medians, from the left end to the right one. {'. '.join(told)}.")


def loss_curves(losses: Named, **settings: Any) -> Axes:
    """Draw the median and range of losses (steps + 1, seeds); diverged runs count as infinite."""
    finite = {name: np.where(np.isfinite(run), run, 1e12) for name, run in losses.items()}
    step = 1 + np.arange(len(next(iter(losses.values()))))
    names = {"xlabel": "step + 1", "ylabel": "training loss"}
    return medians_and_ranges(step, finite, **{"xscale": "log", "yscale": "log"} | names | settings)


def decision_regions(logits: Named, titles: Sequence[str], data: tuple[NDArray, NDArray]) -> Axes:
    """Draw the data, and what logits at `PLANE` predict: one row a name, one column a title."""
    size = (1.65 * len(titles) + 0.4, 1.6 * len(logits) + 0.3)
    _, axes = plt.subplots(len(logits), len(titles), figsize=size, squeeze=False)
    for row, (name, values) in zip(axes, logits.items(), strict=True):
        for ax, value in zip(row, values, strict=True):
            plane_image(ax, value)
            points(ax, *data)
            ax.set(xticks=[], yticks=[], aspect="equal")
        row[0].set_ylabel(name)
    for ax, title in zip(axes[0], titles, strict=True):
        ax.set_title(title, fontsize="medium", loc="center")
    return axes[-1, -1]


def points(ax: Axes, x: NDArray, y: NDArray) -> None:
    """Draw the data: circles for class 0, crosses for class 1."""
    ax.scatter(x[y == 0, 0], x[y == 0, 1], 9, facecolors="none", edgecolors=[text_color(ORANGE)])
    ax.scatter(x[y == 1, 0], x[y == 1, 1], 10, color=BLUE, marker="x", linewidths=0.8)


def plane_image(ax: Axes, logits: NDArray, shift: float = 0.0) -> AxesImage:
    """Draw the plane, `shift` to the right, coloured by class (a NaN or 0 gives class 0)."""
    edge = GRID[-1] + (GRID[1] - GRID[0]) / 2  # of the outermost pixels
    extent = (shift - edge, shift + edge, -edge, edge)
    colours, classes = ListedColormap([PALE_ORANGE, PALE_BLUE]), logits.reshape(len(GRID), -1) > 0
    return ax.imshow(classes, origin="lower", extent=extent, cmap=colours, vmin=0, vmax=1)


def histogram_grid(
    values: Mapping[str, Sequence[NDArray]], times: Sequence[str], xlabel: str, log: bool = False
) -> Axes:
    """Draw histograms of the middle 94 % of all values, an outline a time and a panel a name.

    Shares are drawn from 0 on, or on a `log` axis, where a rare value can be seen beside many 0s.
    """
    figure, axes = plt.subplots(1, len(values), figsize=(2.0 * len(values), 2.6))
    looks = [(SHADE, "-", 3.2), (BLUE, "-", 1.8), (ORANGE, "--", 1.8)]
    told = []
    for ax, (name, samples) in zip(axes, values.items(), strict=True):
        finite = [sample[np.isfinite(sample)].ravel() for sample in samples]
        low, high = np.quantile(np.concatenate(finite), [0.03, 0.97])
        margin = 0.08 * (high - low) or 0.5
        bins = np.linspace(low - margin, high + margin, 25)
        for sample, time, (color, style, width) in zip(finite, times, looks, strict=False):
            share = np.histogram(sample, bins)[0] / max(len(sample), 1)
            ax.stairs(share, bins, color=color, linestyle=style, linewidth=width, label=time)
        ax.set(title=name, xlabel=xlabel)
        ax.set(yscale="log", ylim=(3e-4, 2)) if log else ax.set_ylim(0)
        spread = " to ".join(f"{np.std(sample):.2g}" for sample in (finite[0], finite[-1]))
        told.append(f"{name}, deviation from {spread}, exactly 0 {np.mean(finite[-1] == 0):.0%}")
    axes[0].set_ylabel("share of the values")
    figure.legend(handles=axes[0].patches, loc="outside upper right", ncols=len(times))
    span = f"{_plain(xlabel)}, from {times[0]} to {times[-1]}"
    return with_alt(ax, f"Histograms of the {span}: {'; '.join(told)}.")


def _label_at_the_right(ax: Axes, x: Sequence | NDArray) -> None:
    """Let the axis end with the lines, and label them beyond it."""
    ax.set_xlim(x[0], x[-1])
    label_lines(ax)


def _axes(ax: Axes) -> str:
    """Say in words what is drawn against what."""
    against = f"against {_plain(ax.get_xlabel())}"
    return f"{_plain(ax.get_ylabel())} {against}" if ax.get_ylabel() else f"Curves {against}"


def _plain(label: str) -> str:
    """Return a label without the marks of mathematical type."""
    for mark, read in (("\\|", "‖"), ("\\partial", "∂"), ("∂ ", "∂"), ("\\mathcal{L}", "L")):
        label = label.replace(mark, read)
    return label.translate(str.maketrans("", "", "${}^"))


def _ends(series: Mapping[str, ArrayLike]) -> str:
    """Say each curve's first and last value, and its least where that lies between."""
    told = []
    for name, given in series.items():
        v = np.ravel(given)
        least = f" (least {v.min():.2g})" if v.min() < 0.9 * min(v[0], v[-1]) else ""
        told.append(f"{name} {v[0]:.2g} to {v[-1]:.2g}{least}")
    return ", ".join(told)
