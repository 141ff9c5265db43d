"""Explorer of notebook 04: what becomes of a signal, by unit, initialisation, depth and width."""

from collections.abc import Sequence

import ipywidgets as widgets
import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from helpers import activations, initialization, palette
from helpers.explorer import Explorer, unit_menu
from helpers.numerical_stability import depth
from helpers.plotting import text_color

MAX_DEPTH, MAX_WIDTH, BATCH, BINS = 50, 128, 8, 40
ENDS = np.array([1, 3, 6, 12, 30, 60, 150])  # where an axis may end


def _outward(value: float) -> float:
    # the next of the values ±ENDS away from 0: axes that seldom change redraw fast
    size = ENDS[min(int(np.searchsorted(ENDS, abs(value))), len(ENDS) - 1)]
    return float(np.copysign(size, value))


def log_histograms(signals: Sequence[NDArray]) -> tuple[NDArray, float, float]:
    """Return each layer's histogram of log₁₀|a|, and the two ends of a range with 99 % or more.

    The counts are over each layer's tallest bar, (BINS, layers); zeros are in no bar.
    """
    with np.errstate(divide="ignore"):
        logs = np.log10(np.abs([np.ravel(a) for a in signals]))
    low, high = map(_outward, np.quantile(logs[np.isfinite(logs)][::4], [0.01, 1]))
    counts = np.array([np.histogram(layer, BINS, (low, high))[0] for layer in logs])
    return (counts / counts.max(axis=1, keepdims=True).clip(1)).T, low, high


def through_layers(seed: int = 0) -> Explorer:
    """Return the explorer: activations by layer as histograms, both mean squares beside theory.

    `seed` fixes inputs, gradient at the top and the matrices, which every setting then scales.
    """
    rng = np.random.default_rng(seed)
    inputs, top = rng.standard_normal((2, MAX_WIDTH, BATCH))
    matrices = {
        name: depth.unit_matrices(MAX_DEPTH, MAX_WIDTH, rng, name).astype(float)
        for name in ("normal", "uniform")
    }
    figure = Figure(figsize=(8.0, 3.2), dpi=100, layout="constrained")
    left, right = figure.subplots(1, 2, width_ratios=[1, 1.2])
    left.set_title("each layer's histogram of log₁₀ |a|", fontsize=10)
    left.grid(visible=False)
    right.grid(visible=True, color=palette.GRID)
    for ax, name in ((left, "log₁₀ |a|"), (right, "log₁₀ of a mean square")):
        ax.xaxis.set_major_locator(MaxNLocator(4, integer=True))
        ax.yaxis.set_major_locator(MaxNLocator(4, integer=True))
        # until the first redraw, room for the longest labels in the layout
        ax.set(xlabel="layer", ylabel=name, xlim=(-0.5, MAX_DEPTH + 0.5), ylim=(-100, 0))
    blank = np.zeros((BINS, 2))
    image = left.imshow(blank, cmap="Blues", vmin=0, vmax=1, origin="lower", aspect="auto")
    lines = {}
    for name, label, x, ha, color in (
        ("activations", "activations a²", 0, "left", palette.BLUE),
        ("gradients", "gradients δ²", 1, "right", palette.ORANGE),
    ):
        right.text(x, 1.03, label, color=text_color(color), ha=ha, transform=right.transAxes)
        lines[name] = [
            *right.plot([], [], color=color, lw=2.2),
            *right.plot([], [], color=palette.BLACK, lw=1.2, ls=(0, (3, 2))),
        ]
    right.text(0.5, 1.03, "- - theory", ha="center", transform=right.transAxes)

    def redraw(unit: str, method: str, scale: float, layers: int, width: int) -> str:
        family, distribution = method.split("_")
        gain = depth.GAINS[family] * scale**2
        chosen = matrices[distribution][:layers, :width, :width]
        std, ends = np.sqrt(gain / width), (inputs[:width], top[:width])
        signals, deltas = depth.forward_backward(unit, chosen, std, *ends)
        back = depth.mean_squares(deltas)
        found = depth.Signal(depth.mean_squares(signals), back / back[-1])
        theory = depth.mean_field(unit, gain, layers)
        counts, low, high = log_histograms(signals)
        image.set_data(np.sqrt(counts))
        image.set_extent((-0.5, layers + 0.5, low, high))
        left.set_ylim(low, high)
        drawn = [0.0]
        for name, pair in lines.items():
            for line, signal in zip(pair, (found, theory), strict=True):
                logs = np.log10(getattr(signal, name))
                line.set_data(np.arange(layers + 1)[-len(logs) :], logs)
                drawn += [*logs]
        right.set_ylim(_outward(min(drawn) - 0.1), _outward(max(drawn) + 0.1))
        factor = f" times {scale:g}" if scale != 1 else ""
        return (
            f"{activations.get(unit).label}, {initialization.LABELS[method]}{factor}: over "
            f"{layers} layers of {width} units the mean of a² goes from {found.activations[0]:.2g} "
            f"to {found.activations[-1]:.2g} (theory {theory.activations[-1]:.2g}), and the mean "
            f"of δ², going back, to {found.gradients[0]:.2g} times what it was at the top (theory "
            f"{theory.gradients[0]:.2g}). {np.mean(signals[-1] == 0):.0%} of the last layer is "
            f"exactly 0 and stands in no histogram."
        )

    methods = [(label, name) for name, label in initialization.LABELS.items()]
    scales, widths = [0.25, 0.5, 0.75, 1, 1.25, 1.5, 2, 4], [8, 16, 32, 64, 128]
    controls = {
        "unit": unit_menu(activations.UNITS),
        "method": widgets.Dropdown(options=methods, value="xavier_normal", description="Weights"),
        "scale": widgets.SelectionSlider(options=scales, value=1, description="Scale of weights"),
        "layers": widgets.IntSlider(value=MAX_DEPTH, min=2, max=MAX_DEPTH, description="Depth"),
        "width": widgets.SelectionSlider(options=widths, value=MAX_WIDTH, description="Width"),
    }
    return Explorer(figure, redraw, controls)
