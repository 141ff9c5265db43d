"""Notebook 05's explorers: bounds layer by layer, and training from five initialisations."""

from collections.abc import Mapping
from functools import partial

import ipywidgets as widgets
import numpy as np
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from matplotlib.patches import StepPatch
from matplotlib.ticker import LogLocator, MaxNLocator, NullLocator
from numpy.typing import NDArray

from helpers import activations, initialization
from helpers.explorer import Explorer
from helpers.gradient_bounds import bounds as bounding
from helpers.gradient_bounds import plots, toy
from helpers.palette import GREY, SKY
from helpers.plotting import text_color

RULES: dict[str, initialization.Draw] = {
    "Xavier, 2/(n_in + n_out)": initialization.xavier_normal,
    "He, 2/n_in": partial(initialization.kaiming_normal, mode="fan_in"),
    "orthogonal": initialization.orthogonal,
}
WIDTH = 32  # units in every layer of the explorer's networks
MOST_LAYERS = 20


def three_sizes(
    activation: str, draw: initialization.Draw, scale: float, depth: int
) -> tuple[NDArray, dict[str, NDArray]]:
    """Return the weights' singular values (depth, `WIDTH`), and bounds and gradient by layer."""
    rng = np.random.default_rng(0)
    x, g = rng.normal(size=(2, WIDTH))
    weights = [scale * W for W in initialization.draw_layers([WIDTH] * (depth + 1), draw, rng)]
    network = weights, bounding.forward(weights, x, activation), g / np.linalg.norm(g)
    sizes = bounding.upper_bounds, bounding.gradient_norms, bounding.lower_bounds
    found = {name: size(*network) for name, size in zip(plots.BOUNDS, sizes, strict=True)}
    return np.linalg.svdvals(np.stack(weights)), found


def bounds() -> Explorer:
    """Return the explorer of singular values, and of the bounds they lead to."""
    figure = Figure(figsize=(8.4, 3.5), dpi=100)
    figure.set_layout_engine("none")
    grid = figure.add_gridspec(1, 2, left=0.08, right=0.98, bottom=0.15, top=0.9, wspace=0.27)
    left, right = figure.add_subplot(grid[0]), figure.add_subplot(grid[1])
    (dots,) = left.plot([], [], ".", color=GREY, markersize=2.5)
    (largest,) = left.plot([], [], label="largest", **plots.BOUNDS["upper bound"])
    (smallest,) = left.plot([], [], label="smallest", **plots.BOUNDS["lower bound"])
    left.axhline(1, color="black", linewidth=0.8)
    left.set(xlabel="layer $l$", ylabel="singular value")
    left.set_title("weights $W^{(l)}$", y=1.0)
    lines = [right.plot([], [], label=name, **look)[0] for name, look in plots.BOUNDS.items()]
    right.set(xlabel="layer $l$", yscale="log")
    right.set_title(plots.GRADIENT, y=1.0)
    for ax in (left, right):
        ax.set_xlim(0.5, MOST_LAYERS + 0.5)
        ax.xaxis.set_major_locator(MaxNLocator(4, integer=True))
    _few_ticks(left.yaxis, right.yaxis)
    left.legend(fontsize="small", loc="upper left", ncols=2)
    right.legend(fontsize="small", loc="lower right")

    def redraw(unit: str, rule: initialization.Draw, scale: float, depth: int) -> str:
        values, sizes = three_sizes(unit, rule, scale, depth)
        layer = np.arange(1, depth + 1)
        dots.set_data(np.repeat(layer, WIDTH), values.ravel())
        largest.set_data(layer, values[:, 0])
        smallest.set_data(layer, values[:, -1])
        for line, size in zip(lines, sizes.values(), strict=True):
            line.set_data(layer, np.where(size > 0, size, np.nan))
        # Limits move in large steps: while they stay, a redraw does not draw ticks and labels.
        left.set_ylim(0, _next_size(1.25 * max(1.0, values.max())))
        every = np.concatenate([*sizes.values()])
        shown = np.log10(every[every > 0])
        low, high = (np.floor((shown.min() - 0.5) / 6) * 6, np.ceil((shown.max() + 0.5) / 6) * 6)
        right.set_ylim(10**low, 10**high)
        upper, true, lower = (size[0] for size in sizes.values())
        if true == 0:
            return f"Layer 1: all paths are dead, the gradient is 0; upper bound {upper:.1e}."
        return (
            f"Layer 1: the gradient is {true:.2g}, the upper bound {upper / true:.2g} times that; "
            f"the lower bound is {f'{lower:.1e}' if lower else 0}. Singular values run from "
            f"{values.min():.2g} to {values.max():.2g}."
        )

    units = [(unit.label, name) for name, unit in activations.ACTIVATIONS.items()]
    controls = {
        "unit": widgets.Dropdown(options=units, value="tanh", description="Unit"),
        "rule": widgets.Dropdown(options=list(RULES.items()), description="Weights"),
        "scale": widgets.FloatSlider(min=0.25, max=3, step=0.05, value=1.0, description="Scale"),
        "depth": widgets.IntSlider(min=2, max=MOST_LAYERS, value=12, description="Layers"),
    }
    ideal = {"unit": "identity", "rule": RULES["orthogonal"], "scale": 1.0}
    return Explorer(figure, redraw, controls, {"Bounds meet": lambda: ideal})


def training(histories: Mapping[str, toy.History], data: tuple[NDArray, NDArray]) -> Explorer:
    """Return the explorer of training time, for networks with ReLU and three hidden layers.

    The histories, one for each initialisation, hold one run a seed and the same recorded steps.

    Raises:
        ValueError: the initialisations have different numbers of runs.
    """
    counts = {history.losses.shape[1] for history in histories.values()}
    if len(counts) != 1:
        raise ValueError(f"histories have {sorted(counts)} runs; give every name as many")
    names, recorded = list(histories), next(iter(histories.values())).steps.tolist()
    figure = Figure(figsize=(8.4, 4.3), dpi=100)
    figure.set_layout_engine("none")
    grid = figure.add_gridspec(
        2, 1, left=0.07, right=0.98, bottom=0.12, top=0.93, hspace=0.32, height_ratios=(1, 1.1)
    )
    bottom = grid[1].subgridspec(1, 3, wspace=0.36)
    images = _regions(figure.add_subplot(grid[0]), names, data)
    loss_ax, weight_ax, unit_ax = (figure.add_subplot(bottom[k]) for k in range(3))
    step_axis = 1 + np.arange(recorded[-1] + 1)
    curves = {
        name: loss_ax.plot(step_axis, step_axis, label=name, **plots.STARTS.get(name, {}))[0]
        for name in names
    }
    loss_ax.set(xscale="log", yscale="log", xlabel="step + 1")
    drawn = np.concatenate([history.losses for history in histories.values()])
    finite = np.log10(np.clip(drawn[np.isfinite(drawn)], 1e-5, 1e6))
    loss_ax.set_ylim(10 ** np.floor(finite.min() - 0.1), 10 ** np.ceil(finite.max() + 0.1))
    marker = loss_ax.axvline(1, color="black", linewidth=1.0)
    loss_ax.set_title("training loss", y=1.0)
    for ax in (loss_ax, weight_ax, unit_ax):
        _few_ticks(ax.xaxis, ax.yaxis)
    edges = np.linspace(-1, 1, 26)
    bars = [ax.stairs(edges[1:] * 0, edges, fill=True, color=SKY) for ax in (weight_ax, unit_ax)]
    weight_ax.set_ylabel("share")
    weight_ax.set_title("weights $W^{(2)}$", y=1.0)
    unit_ax.set_title("activations $a^{(3)}$", y=1.0)

    def redraw(time: int, start: str, seed: int) -> str:
        index = recorded.index(time)
        one = {name: history.part(slice(seed - 1, seed)) for name, history in histories.items()}
        for image, history in zip(images, one.values(), strict=True):
            logits = toy.evaluate(*history.at(index), plots.PLANE)[-1]
            image.set_data(plots.plane_classes(logits[0]))
        for name, history in one.items():
            losses = history.losses[:, 0]
            curves[name].set_ydata(np.where(np.isfinite(losses), losses, 1e12))
        marker.set_xdata([time + 1, time + 1])
        weights, biases = one[start].at(index)
        hidden = toy.evaluate(weights, biases, data[0])[-2]
        _histogram(weight_ax, bars[0], weights[1], one[start].weights[1])
        _histogram(unit_ax, bars[1], hidden, hidden)
        difference = toy.largest_difference(weights[1][0])
        told = ", ".join(f"{name} {run.losses[time, 0]:.3g}" for name, run in one.items())
        return (
            f"After {time} steps the losses are: {told}. From '{start}', neurons of the second "
            f"layer differ by up to {difference:.2g}; {np.mean(hidden == 0):.0%} of the last "
            "activations are 0."
        )

    later, first = recorded[2 * len(recorded) // 3], "right" if "right" in names else names[0]
    controls = {
        "time": widgets.SelectionSlider(options=recorded, value=later, description="Step"),
        "start": widgets.Dropdown(options=names, value=first, description="Histograms of"),
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


def _regions(ax: Axes, names: list[str], data: tuple[NDArray, NDArray]) -> list[AxesImage]:
    """Return one image a name, side by side on one Axes: each Axes more would cost its time."""
    x, y = data
    width = 1.06 * (plots.GRID[-1] - plots.GRID[0])
    shifts = width * np.arange(len(names))
    images = [plots.plane_image(ax, np.zeros(len(plots.PLANE)), shift) for shift in shifts]
    everywhere = np.concatenate([x + [shift, 0] for shift in shifts])
    plots.points(ax, everywhere, np.tile(y, len(names)))
    for name, shift in zip(names, shifts, strict=True):
        color = text_color(plots.STARTS.get(name, {}).get("color", "black"))
        ax.text(shift, 1.06 * plots.GRID[-1], name, color=color, ha="center", va="bottom")
    ax.set(xlim=(plots.GRID[0], shifts[-1] + plots.GRID[-1]), aspect="equal")
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
