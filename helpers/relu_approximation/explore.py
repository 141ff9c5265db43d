"""The explorer of notebook 01: hinges to place by hand against x².

One pair of sliders a unit, its breakpoint and its slope; only those in use are shown. It moves the
lines that `plots` has drawn, since to draw anew would take longer.
"""

import ipywidgets as widgets
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
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
    figure = Figure(figsize=(8.2, 3.3), dpi=100, layout="constrained")
    left, right = figure.subplots(1, 2)
    plots.fit(FIRST, tolerance, ax=left).set_title("x² (grey), the band, and the net")
    plots.residual(FIRST, tolerance, sup_error(FIRST), limit=0.1, ax=right)
    right.set_title("what is left over")
    for axis in (left.xaxis, left.yaxis, right.xaxis):
        axis.set_major_locator(FixedLocator([0, 0.5, 1]))  # each tick costs a millisecond or two
    right.yaxis.set_major_locator(MaxNLocator(6, steps=[1, 2, 4, 10]))
    net_line, bends = (_line(left, name) for name in ("_net", "_bends"))
    rest_line, rest_bends, reached = (_line(right, name) for name in ("_net", "_bends", "_reached"))

    def redraw(units: int, offset: float, **sliders: float) -> str:
        for name in sliders:
            controls[name].layout.display = "" if int(name[-1]) <= units else "none"
        numbers = range(1, units + 1)
        beta, alpha = ([sliders[f"{name}{i}"] for i in numbers] for name in ("beta", "alpha"))
        net = hinges(beta, alpha, offset)
        error, x, knots = sup_error(net), plots.sample(net, 201), plots.bends(net)
        net_line.set_data(x, net(x))
        bends.set_data(knots, net(knots))
        for line, at in ((rest_line, x), (rest_bends, knots), (reached, error.points)):
            line.set_data(at, at**2 - net(at))
        limit = 0.1
        while limit < 1.05 * error.value:
            limit *= 2  # in large steps: new limits mean that the axes are drawn anew
        right.set_ylim(-limit, limit)
        verdict = "inside" if error.value <= tolerance + 1e-9 else "outside"
        where = ", ".join(f"{x:.3f}" for x in error.points)
        return (
            f"{units} unit{'s' * (units > 1)}: sup error {error.value:.4f}, reached at x = {where};"
            f" {verdict} the band of ±{tolerance:g}. The best that so many units can do is"
            f" {1 / (2 * (2 * units + 1) ** 2):.4f}."
        )

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
    ranges = {"offset": ("Offset b₂", -0.2, 0.2)}
    first = _settings(FIRST)
    for i, low in zip(range(1, MOST_UNITS + 1), "₁₂₃₄₅₆", strict=True):
        ranges[f"beta{i}"] = (f"Breakpoint β{low}", 0.0, 1.0)
        ranges[f"alpha{i}"] = (f"Slope α{low}", -1.0, 2.0)
        first = {f"beta{i}": i / MOST_UNITS, f"alpha{i}": 0.0, **first}
    look = {"step": 0.001, "readout_format": ".3f", "layout": half}
    units = {"value": FIRST.units, "min": 1, "max": MOST_UNITS, "description": "Units N"}
    return {"units": widgets.IntSlider(**units, layout=half)} | {
        name: widgets.FloatSlider(first[name], min=low, max=high, description=label, **look)
        for name, (label, low, high) in ranges.items()
    }


def _line(ax: Axes, label: str) -> Line2D:
    return next(line for line in ax.lines if line.get_label() == label)
