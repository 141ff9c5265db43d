"""Explorers of notebook 02: a tangent that moves along a unit, and products of slopes in depth."""

from functools import partial

import ipywidgets as widgets
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullLocator

from helpers import activations
from helpers.activation_derivatives import plots
from helpers.activations import UNITS
from helpers.explorer import Explorer, unit_menu
from helpers.palette import INK, LIGHT
from helpers.plotting import unit_style

Z = np.linspace(-8, 8, 641)
DEPTHS = np.arange(31)
NORMAL = np.linspace(-6, 6, 4000)  # standard deviations; even in number, so none is a kink
WEIGHT = np.exp(-(NORMAL**2) / 2)


def _panels(height: float, *titles: str) -> tuple[Figure, Axes, Axes]:
    figure = Figure(figsize=(8, height), dpi=100)
    left, right = figure.subplots(1, 2)
    for ax, title in zip((left, right), titles, strict=True):
        ax.set(xlim=(-8, 8), xlabel=plots.PRE_ACTIVATION, ylabel=plots.SLOPE, ylim=(-0.2, 1.2))
        ax.set_title(title, y=1.0)
        ax.locator_params(nbins=5)
        ax.xaxis.set_label_coords(0.5, -0.11)  # set, as to find them takes long
        ax.yaxis.set_label_coords(-0.16, 0.5)
    return figure, left, right


def tangents() -> Explorer:
    """Return the explorer of one unit: move z, see the tangent and its slope."""
    figure, left, right = _panels(3.3, "value and tangent", "slope of the tangent")
    left.set_ylabel(plots.VALUE)
    (value_line,), (slope_line,) = left.plot(Z, Z), right.plot(Z, Z)
    (tangent,) = left.plot([0, 1], [0, 1], color=INK, linewidth=1.4)
    points = [ax.plot([0], [0], "o", color=INK)[0] for ax in (left, right)]

    def redraw(unit: str, z: float, beta: float) -> str:
        controls["beta"].disabled = unit != "swish"
        chosen = activations.get(unit)
        options = {"beta": beta} if unit == "swish" else {}
        height, slope = (float(f(z, **options)) for f in (chosen.value, chosen.derivative))
        values, slopes = chosen.value(Z, **options), chosen.derivative(Z, **options)
        best = chosen.derivative(Z).max() if beta else slopes.max()  # the same for every β > 0
        for line, y in ((value_line, values), (slope_line, plots.with_gaps(slopes))):
            line.set(ydata=y, color=chosen.color, linestyle=chosen.linestyle)
        left.set_ylim((-1.3, 1.3) if unit in ("sigmoid", "tanh") else (-1, 4))
        reach = np.array([-2, 2]) / np.hypot(1, slope)
        tangent.set_data(z + reach, height + slope * reach)
        for point, place in zip(points, (height, slope), strict=True):
            point.set_data([z], [place])
        name = chosen.label + (f" with β = {beta:g}" if unit == "swish" else "")
        return (
            f"{name} at z = {z:g}: value {height:.4g}, slope {slope:.4g}. Of a gradient that "
            f"arrives here, {slope:.4g} times its size goes on; at best, {best:.4g} times."
        )

    controls = {
        "unit": unit_menu(UNITS, "sigmoid"),
        "z": widgets.FloatSlider(value=4, min=-8, max=8, step=0.1, description="z"),
        "beta": widgets.FloatSlider(value=1, min=0, max=5, step=0.1, description="β (Swish only)"),
    }
    return Explorer(figure, redraw, controls)


def typical_slope(name: str, spread: float) -> float:
    """Return the root mean square slope of a unit whose z is normal with standard deviation γ."""
    slope = activations.get(name).derivative(spread * NORMAL)
    return float(np.sqrt(np.average(slope**2, weights=WEIGHT)))


def depth() -> Explorer:
    """Return the explorer of depth: what a chain of layers leaves of a gradient."""
    figure, left, right = _panels(3.5, "slope; grey: where $z$ lies", "what is left of a gradient")
    (slope_line,) = left.plot(Z, Z)
    density = left.fill_between(Z, 0 * Z, 1, color=LIGHT, alpha=0.6)
    lines = {name: right.plot(DEPTHS, DEPTHS, **unit_style(name), lw=1.2)[0] for name in UNITS}
    (marker,) = right.plot([0], [1], "o", color=INK)
    right.set(xlim=(0, 30), yscale="log", xlabel="number of layers", ylabel="factor on its size")
    right.axhline(1, color=INK, linewidth=0.8)
    right.yaxis.set(major_locator=LogLocator(numticks=8), minor_locator=NullLocator())
    right.yaxis.set_major_formatter(lambda factor, _: f"{factor:.0e}")
    right.yaxis.set_label_coords(-0.27, 0.5)
    right.legend(loc="center left", bbox_to_anchor=(1, 0.5), frameon=False, fontsize=9)

    def redraw(unit: str, layers: int, spread: float, scale: float) -> str:
        chosen = activations.get(unit)
        largest = chosen.derivative(NORMAL).max()
        slope_line.set(color=chosen.color, linestyle=chosen.linestyle)
        slope_line.set_ydata(plots.with_gaps(chosen.derivative(Z)))
        density.set_data(Z, 0 * Z, np.exp(-((Z / spread) ** 2) / 2))
        rates = {name: scale * typical_slope(name, spread) for name in UNITS}
        for name, line in lines.items():
            width, alpha = (2.8, 1.0) if name == unit else (1.0, 0.55)
            line.set(ydata=rates[name] ** DEPTHS, linewidth=width, alpha=alpha)
        ends = [rate**30 for rate in rates.values()]
        right.set_ylim(min([0.1, *ends]) / 10, max([10, *ends]) * 10)
        left_over = rates[unit] ** layers
        marker.set_data([layers], [left_over])
        return (
            f"{chosen.label}, z of standard deviation {spread:.3g}, weight scale {scale:.3g}: each "
            f"layer multiplies a gradient by about {rates[unit]:.3g}, so {layers} layers leave "
            f"{left_over:.2g} of it. With the largest slope, {largest:.4g}, "
            f"everywhere it would be {(scale * largest) ** layers:.2g}."
        )

    log_slider = partial(widgets.FloatLogSlider, value=1, readout_format=".2f")
    controls = {
        "unit": unit_menu(UNITS, "sigmoid"),
        "layers": widgets.IntSlider(value=10, min=1, max=30, description="layers"),
        "spread": log_slider(min=-1, max=1.5, step=0.05, description="spread γ of z"),
        "scale": log_slider(base=2, min=-2, max=4, step=0.25, description="weight scale c"),
    }
    return Explorer(figure, redraw, controls)
