"""Explorers of notebook 02: a tangent that moves along a unit, and products of slopes in depth."""

from functools import cache

import ipywidgets as widgets
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullLocator

from helpers import activations
from helpers.activations import UNITS
from helpers.explorer import Explorer
from helpers.plotting import unit_style

INK = "#333333"
DEPTHS = np.arange(31)
NORMAL = np.linspace(-6, 6, 4000)  # standard deviations; even in number, so none is a kink
WEIGHT = np.exp(-(NORMAL**2) / 2) / np.exp(-(NORMAL**2) / 2).sum()


def _unit_menu(first: str) -> widgets.Dropdown:
    options = [(activations.get(name).label, name) for name in UNITS]
    return widgets.Dropdown(options=options, value=first, description="Unit")


def _settle(ax: Axes, title: str, **names: str) -> None:
    """Name the axes at fixed places; to search for places would cost half of every redraw."""
    ax.set_title(title, loc="left", y=1.0)
    ax.set(**names)
    ax.grid(color="#e6e6e6")
    ax.spines[["top", "right"]].set_visible(False)
    ax.xaxis.set_label_coords(0.5, -0.11)
    ax.yaxis.set_label_coords(-0.27 if ax.get_yscale() == "log" else -0.16, 0.5)


def tangents() -> Explorer:
    """Return the explorer of one unit: move z, see the tangent and its slope."""
    grid = np.linspace(-8, 8, 641)
    figure = Figure(figsize=(8, 3.3), dpi=100, layout="constrained")
    left, right = figure.subplots(1, 2)
    (value_line,) = left.plot(grid, grid)
    (slope_line,) = right.plot(grid, grid)
    (tangent,) = left.plot([0, 1], [0, 1], color=INK, linewidth=1.4)
    points = [ax.plot([0], [0], "o", color=INK)[0] for ax in (left, right)]
    right.set_ylim(-0.2, 1.2)
    for ax in (left, right):
        ax.set_xlim(-8, 8)
        ax.locator_params(nbins=5)
    _settle(left, "value and tangent", xlabel="pre-activation $z$", ylabel=r"$f(z)$")
    _settle(right, "slope of the tangent", xlabel="pre-activation $z$", ylabel=r"$f\,'(z)$")

    def redraw(unit: str, z: float, beta: float) -> str:
        chosen = activations.get(unit)
        options = {"beta": beta} if unit == "swish" else {}
        height = float(chosen.value(z, **options))
        slopes = chosen.derivative(grid, **options)
        slope = float(chosen.derivative(z, **options))
        for line in (value_line, slope_line):
            line.set(color=chosen.color, linestyle=chosen.linestyle)
        value_line.set_ydata(chosen.value(grid, **options))
        slope_line.set_ydata(
            np.where(np.abs(np.diff(slopes, prepend=slopes[0])) > 0.5, np.nan, slopes)
        )
        left.set_ylim((-1.3, 1.3) if unit in ("sigmoid", "tanh") else (-1, 4))
        reach = np.array([-2, 2]) / np.hypot(1, slope)
        tangent.set_data(z + reach, height + slope * reach)
        points[0].set_data([z], [height])
        points[1].set_data([z], [slope])
        name = chosen.label + (f" with β = {beta:g}" if unit == "swish" else "")
        return (
            f"{name} at z = {z:g}: value {height:.4g}, slope {slope:.4g}. Of a gradient that "
            f"arrives here, {slope:.4g} times its size goes on; at best, {slopes.max():.4g} times."
        )

    controls = {
        "unit": _unit_menu("sigmoid"),
        "z": widgets.FloatSlider(value=4, min=-8, max=8, step=0.1, description="z"),
        "beta": widgets.FloatSlider(value=1, min=0, max=5, step=0.1, description="β (Swish only)"),
    }
    return Explorer(figure, redraw, controls)


@cache
def _largest_slope(name: str) -> float:
    return float(activations.get(name).derivative(np.linspace(-6, 6, 120_001)).max())


def typical_slope(name: str, spread: float) -> float:
    """Return the root mean square slope of a unit whose z is normal with this spread.

    Args:
        name: a unit's name.
        spread: standard deviation γ of z, positive.
    """
    slope = activations.get(name).derivative(spread * NORMAL)
    return float(np.sqrt(WEIGHT @ slope**2))


def depth() -> Explorer:
    """Return the explorer of depth: what a chain of layers leaves of a gradient."""
    grid = np.linspace(-8, 8, 641)
    figure = Figure(figsize=(8, 3.5), dpi=100, layout="constrained")
    left, right = figure.subplots(1, 2)
    (slope_line,) = left.plot(grid, grid, label="slope")
    density = left.fill_between(grid, 0 * grid, 1, color="#bbbbbb", alpha=0.6, label="where z is")
    others = {
        name: right.plot(DEPTHS, DEPTHS + 1.0, **unit_style(name), linewidth=1.2)[0]
        for name in UNITS
    }
    (marker,) = right.plot([0], [1], "o", color=INK)
    left.set(xlim=(-8, 8), ylim=(-0.2, 1.2))
    left.locator_params(nbins=5)
    right.set(xlim=(0, 30), yscale="log")
    right.axhline(1, color=INK, linewidth=0.8)
    right.yaxis.set_major_locator(LogLocator(numticks=8))
    right.yaxis.set_major_formatter(lambda factor, _: f"{factor:.0e}")
    right.yaxis.set_minor_locator(NullLocator())
    right.legend(loc="center left", bbox_to_anchor=(1, 0.5), frameon=False, fontsize=9)
    _settle(left, "slopes, and where $z$ lies", xlabel="pre-activation $z$", ylabel=r"$f\,'(z)$")
    _settle(
        right, "what is left of a gradient", xlabel="number of layers", ylabel="factor on its size"
    )

    def redraw(unit: str, layers: int, spread: float, scale: float) -> str:
        chosen = activations.get(unit)
        slope_line.set(color=chosen.color, linestyle=chosen.linestyle)
        slopes = chosen.derivative(grid)
        slope_line.set_ydata(
            np.where(np.abs(np.diff(slopes, prepend=slopes[0])) > 0.5, np.nan, slopes)
        )
        bell = np.exp(-((grid / spread) ** 2) / 2)
        density.set_data(grid, 0 * grid, bell)
        rates = {name: scale * typical_slope(name, spread) for name in UNITS}
        for name, line in others.items():
            line.set_ydata(rates[name] ** DEPTHS)
            line.set(linewidth=2.8 if name == unit else 1.0, alpha=1.0 if name == unit else 0.55)
        ends = [rate**30 for rate in rates.values()]
        right.set_ylim(min([0.1, *ends]) / 10, max([10, *ends]) * 10)
        left_over = rates[unit] ** layers
        marker.set_data([layers], [left_over])
        return (
            f"{chosen.label}, z of standard deviation {spread:.3g}, weight scale {scale:.3g}: each "
            f"layer multiplies a gradient by about {rates[unit]:.3g}, so {layers} layers leave "
            f"{left_over:.2g} of it. With the largest slope, {_largest_slope(unit):.4g}, "
            f"everywhere it would be {(scale * _largest_slope(unit)) ** layers:.2g}."
        )

    controls = {
        "unit": _unit_menu("sigmoid"),
        "layers": widgets.IntSlider(value=10, min=1, max=30, description="layers"),
        "spread": widgets.FloatLogSlider(
            value=1, min=-1, max=1.5, step=0.05, description="spread γ of z", readout_format=".2f"
        ),
        "scale": widgets.FloatLogSlider(
            value=1,
            base=2,
            min=-2,
            max=4,
            step=0.25,
            description="weight scale g",
            readout_format=".2f",
        ),
    }
    return Explorer(figure, redraw, controls)
