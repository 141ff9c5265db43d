"""Notebook 05's explorers: bounds layer by layer, and training from five initialisations."""

from collections.abc import Mapping
from functools import partial
from typing import Any

import ipywidgets as widgets
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from matplotlib.patches import StepPatch
from matplotlib.ticker import LogLocator, MaxNLocator
from numpy.typing import NDArray

from helpers import activations, initialization
from helpers.explorer import Explorer, unit_menu
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
    layers = {"xlabel": "layer $l$", "xlim": (0.5, MOST_LAYERS + 0.5)}
    looks = {
        "weights $W^{(l)}$": {**layers, "ylabel": "singular value"},
        plots.GRADIENT: {**layers, "yscale": "log"},
    }
    figure, left, right = _figure(3.5, "AB", looks)
    (dots,) = left.plot([], [], ".", color=GREY, markersize=2.5)
    (largest,) = left.plot([], [], label="largest", **plots.BOUNDS["upper bound"])
    (smallest,) = left.plot([], [], label="smallest", **plots.BOUNDS["lower bound"])
    left.axhline(1, color="black", linewidth=0.8)
    lines = [right.plot([], [], label=name, **look)[0] for name, look in plots.BOUNDS.items()]
    left.legend(fontsize="small", loc="upper left", ncols=2)
    right.legend(fontsize="small", loc="lower right")

    def redraw(unit: str, rule: initialization.Draw, scale: float, depth: int) -> str:
        values, sizes = three_sizes(unit, rule, scale, depth)
        layer = np.arange(1, depth + 1)
        dots.set_data(np.repeat(layer, WIDTH), values.ravel())
        heights = values[:, 0], values[:, -1], *sizes.values()
        for line, height in zip([largest, smallest, *lines], heights, strict=True):
            line.set_data(layer, np.where(height > 0, height, np.nan))
        # Limits move in large steps: while they stay, a redraw does not draw ticks and labels.
        left.set_ylim(0, np.ceil(1.25 * max(1.0, values.max())))
        shown = np.log10([size for size in np.concatenate([*sizes.values()]) if size > 0])
        low, high = np.floor((shown.min() - 0.5) / 6), np.ceil((shown.max() + 0.5) / 6)
        right.set_ylim(1e6**low, 1e6**high)
        upper, true, lower = (size[0] for size in sizes.values())
        times = f"{upper / true:.2g} times that" if true else f"{upper:.1e} (all paths are dead)"
        return (
            f"Layer 1: the gradient is {true:.2g}, the upper bound {times}; the lower bound is "
            f"{f'{lower:.1e}' if lower else 0}. Singular values run from {values.min():.2g} to "
            f"{values.max():.2g}."
        )

    controls = {
        "unit": unit_menu(activations.ACTIVATIONS, "tanh"),
        "rule": widgets.Dropdown(options=list(RULES.items()), description="Weights"),
        "scale": widgets.FloatSlider(min=0.25, max=3, step=0.05, value=1.0, description="Scale"),
        "depth": widgets.IntSlider(min=2, max=MOST_LAYERS, value=12, description="Layers"),
    }
    ideal = {"unit": "identity", "rule": RULES["orthogonal"], "scale": 1.0}
    return Explorer(figure, redraw, controls, {"Bounds meet": lambda: ideal})


def training(histories: Mapping[str, toy.History], data: tuple[NDArray, NDArray]) -> Explorer:
    """Return the explorer of training time, for three ReLU layers from each of `plots.STARTS`."""
    recorded = next(iter(histories.values())).steps.tolist()
    drawn = np.stack([history.losses for history in histories.values()])  # start, step, seed
    finite = np.log10(np.clip(drawn[np.isfinite(drawn)], 1e-5, 1e6))
    ends = 10 ** np.floor(finite.min() - 0.1), 10 ** np.ceil(finite.max() + 0.1)
    looks: dict[str, dict[str, Any]] = {
        "": {},
        "training loss": {"xscale": "log", "yscale": "log", "xlabel": "step + 1", "ylim": ends},
        "weights $W^{(2)}$": {"ylabel": "share"},
        "activations $a^{(3)}$": {},
    }
    figure, plane, loss_ax, *histograms = _figure(4.3, "AAA;BCD", looks)
    images = _regions(plane, [*histories], data)
    steps = 1 + np.arange(drawn.shape[1])
    curves = [loss_ax.plot(steps, steps, **plots.STARTS[name])[0] for name in histories]
    marker = loss_ax.axvline(1, color="black", linewidth=1.0)
    bars = [ax.stairs([0.0], [0, 1], fill=True, color=SKY) for ax in histograms]

    def redraw(time: int, start: str, seed: int) -> str:
        index = recorded.index(time)
        one = {name: history.part(slice(seed, seed + 1)) for name, history in histories.items()}
        for image, curve, run in zip(images, curves, one.values(), strict=True):
            logits = toy.evaluate(*run.at(index), plots.PLANE)[-1]
            image.set_data(logits.reshape(image.get_size()) > 0)
            curve.set_ydata(np.where(np.isfinite(run.losses), run.losses, 1e12)[:, 0])
        marker.set_xdata([time + 1, time + 1])
        weights, biases = one[start].at(index)
        hidden = toy.evaluate(weights, biases, data[0])[-2]
        _histogram(histograms[0], bars[0], weights[1], one[start].weights[1])
        _histogram(histograms[1], bars[1], hidden, hidden)
        told = ", ".join(f"{name} {run.losses[time, 0]:.3g}" for name, run in one.items())
        return (
            f"After {time} steps the losses are: {told}. From '{start}', neurons of the second "
            f"layer differ by up to {toy.largest_difference(weights[1][0]):.2g}; "
            f"{np.mean(hidden == 0):.0%} of the last activations are 0."
        )

    later = recorded[2 * len(recorded) // 3]
    controls = {
        "time": widgets.SelectionSlider(options=recorded, value=later, description="Step"),
        "start": widgets.Dropdown(options=[*histories], value="right", description="Histograms of"),
        "seed": widgets.IntSlider(max=drawn.shape[2] - 1, description="Seed"),
    }
    return Explorer(figure, redraw, controls)


def _figure(height: float, mosaic: str, looks: Mapping[str, Mapping]) -> tuple:
    """Return a figure and its axes, by title, which stay in place whatever their ticks' labels."""
    figure = Figure(figsize=(8.4, height), dpi=100)
    figure.set_layout_engine("none")
    places = {"left": 0.075, "bottom": 0.52 / height, "right": 0.98, "top": 1 - 0.34 / height}
    axes = figure.subplot_mosaic(mosaic, gridspec_kw={**places, "wspace": 0.33, "hspace": 0.32})
    for ax, (title, settings) in zip(axes.values(), looks.items(), strict=True):
        ax.set(**settings)
        ax.set_title(title, y=1.0)
        ax.minorticks_off()  # and few others: drawing ticks is most of a redraw
        for axis in (ax.xaxis, ax.yaxis):
            few = MaxNLocator(4, steps=[1, 2, 5, 10])
            axis.set_major_locator(few if axis.get_scale() == "linear" else LogLocator(numticks=5))
    return figure, *axes.values()


def _regions(ax: Axes, names: list[str], data: tuple[NDArray, NDArray]) -> list[AxesImage]:
    """Return one image a name, side by side on one Axes: each Axes more would cost its time."""
    images, edge = [], plots.GRID[-1]
    shifts = 2.12 * edge * np.arange(len(names))
    everywhere = np.concatenate([data[0] + [shift, 0] for shift in shifts])
    plots.points(ax, everywhere, np.tile(data[1], len(names)))
    for name, shift in zip(names, shifts, strict=True):
        images.append(plots.plane_image(ax, np.zeros(len(plots.PLANE)), shift))
        color = text_color(plots.STARTS[name]["color"])
        ax.text(shift, 1.06 * edge, name, color=color, ha="center", va="bottom")
    ax.set(xlim=(-edge, shift + edge), aspect="equal")
    ax.set_axis_off()
    return images


def _histogram(ax: Axes, bars: StepPatch, values: NDArray, scale: NDArray) -> None:
    finite = np.append(scale[np.isfinite(scale)], 0)
    low, high = -_next_size(-finite.min()), _next_size(max(finite.max(), 0.05))
    edges = np.linspace(low, high, 31)
    shares = np.histogram(values[np.isfinite(values)], edges)[0] / values.size
    bars.set_data(shares, edges)
    ax.set(xlim=(low, high), ylim=(0, _next_size(1.05 * max(shares.max(), 0.1))))


def _next_size(value: float) -> float:
    """Return the next of 0, … 0.1, 0.2, 0.5, 1, 2, 5, 10 … that is at least `value`."""
    power = 10.0 ** np.floor(np.log10(value)) if value > 0 else 0.0
    return float(next(step * power for step in (1, 2, 5, 10) if step * power >= value * (1 - 1e-9)))
