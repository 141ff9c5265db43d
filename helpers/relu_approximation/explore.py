"""The explorer of notebook 01: hinges to place by hand against x².

One pair of sliders a unit, its breakpoint and its slope; only those in use are shown. It draws
what `helpers.relu_approximation.plots` draws, and moves its lines instead of drawing anew.
"""

from typing import Any

import ipywidgets as widgets
import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, MaxNLocator

from helpers.explorer import Explorer
from helpers.relu_approximation import plots
from helpers.relu_approximation.nets import ReluNet, best_net, hinges, sup_error

MOST_UNITS = 6
FIRST = hinges([0, 0.2, 0.6], [0.2, 0.6, 0.8])  # the assignment's net


def hinges_explorer(tolerance: float = 0.04) -> Explorer:
    """Return sliders for up to six hinges, over the net, x², the band and the exact sup error.

    Args:
        tolerance: half the height of the band around x².
    """
    controls = _controls()
    figure, draw = _picture(tolerance)

    def redraw(units: int, offset: float, **sliders: float) -> str:
        for i in range(1, MOST_UNITS + 1):
            for name in (f"beta{i}", f"alpha{i}"):
                controls[name].layout.display = "" if i <= units else "none"
        beta = [sliders[f"beta{i}"] for i in range(1, units + 1)]
        alpha = [sliders[f"alpha{i}"] for i in range(1, units + 1)]
        return draw(hinges(beta, alpha, offset))

    def show_optimum() -> dict[str, float]:
        return _settings(best_net(controls["units"].value))

    return Explorer(figure, redraw, controls, {"Show optimum": show_optimum})


def _settings(net: ReluNet) -> dict[str, float]:
    """Return the sliders' values for a net whose units all have w = 1."""
    values = {"offset": float(net.b2[0])}
    for i in range(net.units):
        values[f"beta{i + 1}"] = float(-net.b1[i])
        values[f"alpha{i + 1}"] = float(net.W2[0, i])
    return values


def _controls() -> dict[str, widgets.Widget]:
    half = {"width": "46%", "min_width": "290px"}
    first = {f"beta{i}": i / MOST_UNITS for i in range(1, MOST_UNITS + 1)}
    first |= {f"alpha{i}": 0.0 for i in range(1, MOST_UNITS + 1)} | _settings(FIRST)

    def slider(name: str, label: str, low: float, high: float) -> widgets.FloatSlider:
        return widgets.FloatSlider(
            first[name],
            min=low,
            max=high,
            step=0.001,
            readout_format=".3f",
            description=label,
            layout=half,
        )

    controls: dict[str, widgets.Widget] = {
        "units": widgets.IntSlider(
            FIRST.units, min=1, max=MOST_UNITS, description="Units N", layout=half
        ),
        "offset": slider("offset", "Offset b₂", -0.2, 0.2),
    }
    for i in range(1, MOST_UNITS + 1):
        controls[f"beta{i}"] = slider(f"beta{i}", f"Breakpoint β{_low(i)}", 0, 1)
        controls[f"alpha{i}"] = slider(f"alpha{i}", f"Slope α{_low(i)}", -1, 2)
    return controls


def _picture(tolerance: float) -> tuple[Figure, Any]:
    figure = Figure(figsize=(8.2, 3.3), dpi=100, layout="constrained")
    left, right = figure.subplots(1, 2)
    plots.fit(FIRST, tolerance, ax=left)
    plots.residual(FIRST, tolerance, sup_error(FIRST), limit=0.1, ax=right)
    left.set_title("x² (grey), the band, and the net")
    right.set_title("what is left over")
    for axis in (left.xaxis, left.yaxis, right.xaxis):
        axis.set_major_locator(FixedLocator([0, 0.5, 1]))  # each tick costs a millisecond or two
    right.yaxis.set_major_locator(MaxNLocator(6, steps=[1, 2, 4, 10]))
    net_line, bends = (_line(left, name) for name in ("_net", "_bends"))
    rest_line, rest_bends, reached = (_line(right, name) for name in ("_net", "_bends", "_reached"))

    def draw(net: ReluNet) -> str:
        error = sup_error(net)
        x, knots = plots.sample(net, 201), plots.bends(net)
        net_line.set_data(x, net(x))
        bends.set_data(knots, net(knots))
        rest_line.set_data(x, x**2 - net(x))
        rest_bends.set_data(knots, knots**2 - net(knots))
        reached.set_data(error.points, error.points**2 - net(error.points))
        limit = 0.1
        while limit < 1.05 * error.value:
            limit *= 2  # in large steps: new limits mean that the axes are drawn anew
        right.set_ylim(-limit, limit)
        return _sentence(net, error.value, error.points, tolerance)

    return figure, draw


def _line(ax: Any, label: str) -> Any:
    return next(line for line in ax.lines if line.get_label() == label)


def _sentence(net: ReluNet, value: float, points: np.ndarray, tolerance: float) -> str:
    verdict = "inside" if value <= tolerance + 1e-9 else "outside"
    where = ", ".join(f"{x:.3f}" for x in points)
    best = 1 / (2 * (2 * net.units + 1) ** 2)
    who = "1 unit" if net.units == 1 else f"{net.units} units"
    return (
        f"{who}: sup error {value:.4f}, reached at x = {where}; {verdict} the band of "
        f"±{tolerance:g}. The best that so many units can do is {best:.4f}."
    )


def _low(number: int) -> str:
    return "₀₁₂₃₄₅₆₇₈₉"[number]
