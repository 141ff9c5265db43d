"""Notebook 05's explorers: bounds layer by layer, and training from five initialisations."""

from collections.abc import Mapping, Sequence

import ipywidgets as widgets
import numpy as np
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from matplotlib.patches import StepPatch
from matplotlib.ticker import LogLocator, MaxNLocator, NullLocator
from numpy.typing import NDArray

from helpers import activations
from helpers.explorer import Explorer
from helpers.gradient_bounds import bounds as bounding
from helpers.gradient_bounds import plots, spectra, toy
from helpers.gradient_bounds import toy_plots as pictures
from helpers.plotting import text_color

RULES = {
    "Xavier, 2/(n_in + n_out)": "2/(n_in + n_out)",
    "He, 2/n_in": "2/n_in",
    "orthogonal": "orthogonal",
}
WIDTH = 32  # units in every layer of the explorer's networks
MOST_LAYERS = 20


def three_sizes(
    activation: str, rule: str, scale: float, depth: int, seed: int = 0
) -> tuple[list[NDArray], NDArray, NDArray, NDArray]:
    """Return singular values by layer, then lower bound, gradient norm and upper bound by layer.

    Args:
        activation: name of the hidden layers' unit.
        rule: as for `helpers.gradient_bounds.spectra.layers`.
        scale: factor on every weight.
        depth: number of layers, at least 1.
        seed: fixes weights, input and ∂L/∂ŷ, a vector of length 1.
    """
    rng = np.random.default_rng(seed)
    x, g = rng.normal(size=(2, WIDTH))
    g /= np.linalg.norm(g)
    weights = spectra.layers([WIDTH] * (depth + 1), rule, rng, scale)
    passed = bounding.forward(weights, x, activation)
    sizes = (bounding.lower_bounds, bounding.gradient_norms, bounding.upper_bounds)
    lower, true, upper = (size(weights, passed, g) for size in sizes)
    return list(spectra.singular_values(np.stack(weights))), lower, true, upper


def bounds() -> Explorer:
    """Return the explorer of singular values, and of the bounds they lead to."""
    figure = Figure(figsize=(8.4, 3.5), dpi=100)
    figure.set_layout_engine("none")
    grid = figure.add_gridspec(1, 2, left=0.08, right=0.98, bottom=0.15, top=0.9, wspace=0.27)
    left, right = figure.add_subplot(grid[0]), figure.add_subplot(grid[1])
    (dots,) = left.plot([], [], ".", color=plots.GREY, markersize=2.5)
    (largest,) = left.plot([], [], **{**plots.UPPER, "label": "largest"})
    (smallest,) = left.plot([], [], **{**plots.LOWER, "label": "smallest"})
    left.axhline(1, color="black", linewidth=0.8)
    left.set(xlabel="layer $l$", ylabel="singular value")
    left.set_title("weights $W^{(l)}$", y=1.0)
    lines = [
        right.plot([], [], label=label, **look)[0]
        for label, look in (
            ("upper bound", plots.UPPER),
            ("true gradient", plots.TRUE),
            ("lower bound", plots.LOWER),
        )
    ]
    right.set(xlabel="layer $l$", yscale="log")
    right.set_title("$\\|\\partial\\mathcal{L}/\\partial W^{(l)}\\|$", y=1.0)
    for ax in (left, right):
        ax.set_xlim(0.5, MOST_LAYERS + 0.5)
        ax.xaxis.set_major_locator(MaxNLocator(4, integer=True))
    _few_ticks(left.yaxis, right.yaxis)
    left.legend(fontsize="small", loc="upper left", ncols=2)
    right.legend(fontsize="small", loc="lower right")

    def redraw(unit: str, rule: str, scale: float, depth: int) -> str:
        values, lower, true, upper = three_sizes(unit, rule, scale, depth)
        layer = np.arange(1, depth + 1)
        dots.set_data(np.repeat(layer, WIDTH), np.concatenate(values))
        largest.set_data(layer, [s[0] for s in values])
        smallest.set_data(layer, [s[-1] for s in values])
        for line, sizes in zip(lines, (upper, true, lower), strict=True):
            line.set_data(layer, np.where(sizes > 0, sizes, np.nan))
        # Limits move in large steps: while they stay, a redraw does not draw ticks and labels.
        left.set_ylim(0, _next_size(1.25 * max(1.0, max(s[0] for s in values))))
        shown = np.log10(np.concatenate([sizes[sizes > 0] for sizes in (upper, true, lower)]))
        low, high = (np.floor((shown.min() - 0.5) / 6) * 6, np.ceil((shown.max() + 0.5) / 6) * 6)
        right.set_ylim(10**low, 10**high)
        below = "is 0" if lower[0] == 0 else f"is {lower[0]:.1e}"
        if true[0] == 0:
            return f"Layer 1: all paths are dead, the gradient is 0; upper bound {upper[0]:.1e}."
        spread = min(s[-1] for s in values), max(s[0] for s in values)
        return (
            f"Layer 1: the gradient is {true[0]:.2g}, the upper bound {upper[0] / true[0]:.2g} "
            f"times that; the lower bound {below}. Singular values run from {spread[0]:.2g} to "
            f"{spread[1]:.2g}."
        )

    controls = {
        "unit": widgets.Dropdown(
            options=[(unit.label, name) for name, unit in activations.ACTIVATIONS.items()],
            value="tanh",
            description="Unit",
        ),
        "rule": widgets.Dropdown(options=list(RULES.items()), description="Weights"),
        "scale": widgets.FloatSlider(min=0.25, max=3, step=0.05, value=1.0, description="Scale"),
        "depth": widgets.IntSlider(min=2, max=MOST_LAYERS, value=12, description="Layers"),
    }
    ideal = {"unit": "identity", "rule": "orthogonal", "scale": 1.0}
    return Explorer(figure, redraw, controls, {"Bounds meet": lambda: ideal})


def training(
    history: toy.History, runs: Mapping[str, Sequence[int]], data: tuple[NDArray, NDArray]
) -> Explorer:
    """Return the explorer of training time, for the runs that `history` holds.

    Args:
        history: what `helpers.gradient_bounds.toy.train` returned, of networks with ReLU.
        runs: name of each initialisation to its runs in `history`, one a seed.
        data: the training points and classes.

    Raises:
        ValueError: the initialisations have different numbers of runs.
    """
    counts = {len(indices) for indices in runs.values()}
    if len(counts) != 1:
        raise ValueError(f"runs has {sorted(counts)} runs a name; give every name as many")
    names = list(runs)
    figure = Figure(figsize=(8.4, 4.3), dpi=100)
    figure.set_layout_engine("none")
    grid = figure.add_gridspec(
        2, 1, left=0.07, right=0.98, bottom=0.12, top=0.93, hspace=0.32, height_ratios=(1, 1.1)
    )
    bottom = grid[1].subgridspec(1, 3, wspace=0.36)
    images = _regions(figure.add_subplot(grid[0]), names, data)
    loss_ax, weight_ax, unit_ax = (figure.add_subplot(bottom[k]) for k in range(3))
    step_axis = 1 + np.arange(len(history.losses))
    curves = {
        name: loss_ax.plot(step_axis, step_axis, label=name, **pictures.STYLES.get(name, {}))[0]
        for name in names
    }
    loss_ax.set(xscale="log", yscale="log", xlabel="step + 1")
    drawn = history.losses[:, [index for indices in runs.values() for index in indices]]
    finite = np.log10(np.clip(drawn[np.isfinite(drawn)], 1e-5, 1e6))
    loss_ax.set_ylim(10 ** np.floor(finite.min() - 0.1), 10 ** np.ceil(finite.max() + 0.1))
    marker = loss_ax.axvline(1, color="black", linewidth=1.0)
    loss_ax.set_title("training loss", y=1.0)
    for ax in (loss_ax, weight_ax, unit_ax):
        _few_ticks(ax.xaxis, ax.yaxis)
    edges = np.linspace(-1, 1, 26)
    bars = [
        ax.stairs(edges[1:] * 0, edges, fill=True, color="#3A8FC4") for ax in (weight_ax, unit_ax)
    ]
    weight_ax.set_ylabel("share")
    weight_ax.set_title("weights $W^{(2)}$", y=1.0)
    unit_ax.set_title("activations $a^{(3)}$", y=1.0)

    def redraw(time: int, start: str, seed: int) -> str:
        index = int(np.flatnonzero(history.steps == time)[0])
        chosen = [runs[name][seed - 1] for name in names]
        weights = [W[index, chosen] for W in history.weights]
        biases = [b[index, chosen] for b in history.biases]
        logits = toy.evaluate(weights, biases, pictures.PLANE, "relu")[-1]
        for image, values in zip(images, logits, strict=True):
            image.set_data((values > 0).reshape(len(pictures.GRID), -1))
        losses = history.losses[:, chosen]
        for name, values in zip(names, losses.T, strict=True):
            curves[name].set_ydata(np.where(np.isfinite(values), values, 1e12))
        marker.set_xdata([time + 1, time + 1])
        k = names.index(start)
        hidden = toy.evaluate(weights, biases, data[0], "relu")[-2][k]
        _histogram(weight_ax, bars[0], weights[1][k], history.weights[1][:, chosen[k]])
        _histogram(unit_ax, bars[1], hidden, hidden)
        difference = toy.largest_difference(weights[1][k])
        told = ", ".join(
            f"{name} {value:.3g}" for name, value in zip(names, losses[time], strict=True)
        )
        return (
            f"After {time} steps the losses are: {told}. From '{start}', neurons of the second "
            f"layer differ by up to {difference:.2g}; {np.mean(hidden == 0):.0%} of the last "
            "activations are 0."
        )

    steps = [int(step) for step in history.steps]
    controls = {
        "time": widgets.SelectionSlider(
            options=steps, value=steps[2 * len(steps) // 3], description="Step"
        ),
        "start": widgets.Dropdown(
            options=names,
            value="right" if "right" in names else names[0],
            description="Histograms of",
        ),
        "seed": widgets.IntSlider(min=1, max=counts.pop(), value=1, description="Seed"),
    }
    return Explorer(figure, redraw, controls)


def _few_ticks(*axes: Axis) -> None:
    """Have few ticks on linear and logarithmic axes: drawing them is most of a redraw."""
    for axis in axes:
        log = axis.get_scale() == "log"
        axis.set_major_locator(
            LogLocator(numticks=5) if log else MaxNLocator(4, steps=[1, 2, 5, 10])
        )
        axis.set_minor_locator(NullLocator())


def _regions(ax: Axes, names: Sequence[str], data: tuple[NDArray, NDArray]) -> list[AxesImage]:
    """Return one image a name, side by side on one Axes: each Axes more would cost its time."""
    x, y = data
    width = 1.06 * (pictures.GRID[-1] - pictures.GRID[0])
    shifts = width * np.arange(len(names))
    blank = np.zeros((len(pictures.GRID),) * 2)
    images = [pictures.plane_image(ax, blank, shift) for shift in shifts]
    everywhere = np.concatenate([x + [shift, 0] for shift in shifts])
    pictures.points(ax, everywhere, np.tile(y, len(names)))
    for name, shift in zip(names, shifts, strict=True):
        color = pictures.STYLES.get(name, {}).get("color", "black")
        ax.text(
            shift, 1.06 * pictures.GRID[-1], name, color=text_color(color), ha="center", va="bottom"
        )
    ax.set(xlim=(pictures.GRID[0], shifts[-1] + pictures.GRID[-1]), aspect="equal")
    ax.set_axis_off()
    return images


def _histogram(ax: Axes, bars: StepPatch, values: NDArray, scale: NDArray) -> None:
    finite = scale[np.isfinite(scale)]
    low, high = (finite.min(), finite.max()) if finite.size else (0.0, 0.0)
    low = -_next_size(-low) if low < 0 else 0.0
    high = _next_size(max(high, 0.05))
    edges = np.linspace(low, high, 31)
    shares = np.histogram(values[np.isfinite(values)], edges)[0] / values.size
    bars.set_data(shares, edges)
    ax.set(xlim=(low, high), ylim=(0, _next_size(1.05 * max(shares.max(), 0.1))))


def _next_size(value: float) -> float:
    """Return the next of … 0.1, 0.2, 0.5, 1, 2, 5, 10 … that is at least `value` > 0."""
    power = 10.0 ** np.floor(np.log10(value))
    return float(next(step * power for step in (1, 2, 5, 10) if step * power >= value * (1 - 1e-9)))
