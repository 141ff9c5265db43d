"""Explorer of notebook 04: what becomes of a signal, by unit, initialisation, depth and width."""

from collections.abc import Sequence

import ipywidgets as widgets
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from helpers import activations, initialization, palette
from helpers.explorer import Explorer
from helpers.numerical_stability import depth
from helpers.plotting import text_color

MAX_DEPTH, MAX_WIDTH, BATCH, BINS = 50, 128, 8, 40
ENDS = np.array([1, 3, 6, 12, 30, 60, 150])  # where an axis may end


def _outward(value: float) -> float:
    # the next of the values ±ENDS away from 0: axes that seldom change redraw fast
    size = ENDS[min(int(np.searchsorted(ENDS, abs(value))), len(ENDS) - 1)]
    return float(np.copysign(size, value))


def log_histograms(signals: Sequence[NDArray]) -> tuple[NDArray, float, float, float]:
    """Return a histogram of log₁₀|a| for each layer, over one range that holds 99 % or more.

    Args:
        signals: each layer's activations, equally many.

    Returns:
        Counts over each layer's tallest bar (BINS, layers), the range's two ends, and which part
        of the last layer is exactly 0 and so in no bar.
    """
    sizes = np.abs([np.ravel(a) for a in signals]).astype(np.float64)
    with np.errstate(divide="ignore"):
        logs = np.log10(sizes)
    low, high = map(_outward, np.quantile(logs[np.isfinite(logs)][::4], [0.01, 1]))
    bins = ((logs.clip(low - 1, high) - low) / (high - low) * BINS).astype(int)
    inside = (logs >= low) & (bins >= 0) & (bins < BINS)
    places = (np.arange(len(signals))[:, None] * BINS + bins)[inside]
    counts = np.bincount(places, minlength=len(signals) * BINS).reshape(len(signals), BINS)
    shares = counts / counts.max(axis=1, keepdims=True).clip(1)
    return shares.T, low, high, float(np.mean(sizes[-1] == 0))


def _axes(figure: Figure) -> tuple[Axes, Axes]:
    left, right = figure.subplots(1, 2, width_ratios=[1, 1.2])
    left.set(xlabel="layer", ylabel="log₁₀ |a|", title="each layer's histogram of log₁₀ |a|")
    right.set(xlabel="layer", ylabel="log₁₀ of a mean square")
    left.grid(visible=False)
    right.grid(visible=True, color=palette.GRID)
    for ax in (left, right):
        ax.xaxis.set_major_locator(MaxNLocator(4, integer=True))
        ax.yaxis.set_major_locator(MaxNLocator(4, integer=True))
        ax.title.set_fontsize(10)
        ax.set(xlim=(0, MAX_DEPTH), ylim=(-100, 0))  # room for the longest labels in the layout
    return left, right


def through_layers(seed: int = 0) -> Explorer:
    """Return the explorer: activations by layer as histograms, both mean squares beside theory.

    Args:
        seed: fixes inputs, gradient at the top and the matrices, which every setting then scales.
    """
    rng = np.random.default_rng(seed)
    inputs, top = rng.standard_normal((2, MAX_WIDTH, BATCH))
    matrices = {
        name: depth.unit_matrices(MAX_DEPTH, MAX_WIDTH, rng, name).astype(float)
        for name in ("normal", "uniform")
    }
    figure = Figure(figsize=(8.0, 3.2), dpi=100, layout="constrained")
    left, right = _axes(figure)
    image = left.imshow(
        np.zeros((BINS, 2)),
        cmap="Blues",
        vmin=0,
        vmax=1,
        origin="lower",
        aspect="auto",
        interpolation="nearest",
    )
    lines, theories = {}, {}
    for name, label, x, ha, color in (
        ("activations", "activations a²", 0, "left", palette.BLUE),
        ("gradients", "gradients δ²", 1, "right", palette.ORANGE),
    ):
        right.text(x, 1.03, label, color=text_color(color), ha=ha, transform=right.transAxes)
        (lines[name],) = right.plot([], [], color=color, lw=2.2)
        (theories[name],) = right.plot([], [], color=palette.BLACK, lw=1.2, ls=(0, (3, 2)))
    right.text(0.5, 1.03, "- - theory", ha="center", transform=right.transAxes)

    def redraw(unit: str, method: str, scale: float, layers: int, width: int) -> str:
        family, distribution = method.split("_")
        gain = depth.GAINS[family] * scale**2
        chosen = matrices[distribution][:layers, :width, :width]
        signals, deltas = depth.forward_backward(
            unit, chosen, np.sqrt(gain / width), inputs[:width], top[:width]
        )
        back = depth.mean_squares(deltas)
        found = {"activations": depth.mean_squares(signals), "gradients": back / back[-1]}
        theory = depth.mean_field(unit, gain, layers)
        counts, low, high, zeros = log_histograms(signals)
        image.set_data(np.sqrt(counts))
        image.set_extent((-0.5, layers + 0.5, low, high))
        left.set(xlim=(-0.5, MAX_DEPTH + 0.5), ylim=(low, high))
        drawn = [0.0]
        for name, values in found.items():
            x = np.arange(layers + 1)[-len(values) :]
            for line, squares in ((lines[name], values), (theories[name], getattr(theory, name))):
                line.set_data(x, np.log10(squares))
                drawn += [*np.log10(squares)]
        right.set_ylim(_outward(min(drawn) - 0.1), _outward(max(drawn) + 0.1))
        return (
            f"{activations.get(unit).label}, {initialization.LABELS[method]}"
            f"{f' times {scale:g}' if scale != 1 else ''}: over {layers} layers of {width} units "
            f"the mean of a² goes from {found['activations'][0]:.2g} to "
            f"{found['activations'][-1]:.2g} (theory {theory.activations[-1]:.2g}), and the mean "
            f"of δ², going back, to {found['gradients'][0]:.2g} times what it was at the top "
            f"(theory {theory.gradients[0]:.2g}). {zeros:.0%} of the last layer is exactly 0 and "
            f"stands in no histogram."
        )

    names = [(activations.get(name).label, name) for name in activations.UNITS]
    methods = [(label, name) for name, label in initialization.LABELS.items()]
    scales, widths = [0.25, 0.5, 0.75, 1, 1.25, 1.5, 2, 4], [8, 16, 32, 64, 128]
    controls = {
        "unit": widgets.Dropdown(options=names, value="relu", description="Unit"),
        "method": widgets.Dropdown(options=methods, value="xavier_normal", description="Weights"),
        "scale": widgets.SelectionSlider(options=scales, value=1, description="Scale of weights"),
        "layers": widgets.IntSlider(value=30, min=2, max=MAX_DEPTH, description="Depth"),
        "width": widgets.SelectionSlider(options=widths, value=MAX_WIDTH, description="Width"),
    }
    return Explorer(figure, redraw, controls)
