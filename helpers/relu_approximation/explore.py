"""The explorer of notebook 01: hinges to place by hand against x², a pair of sliders a unit."""

import ipywidgets as widgets
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, MaxNLocator

from helpers.explorer import Explorer
from helpers.relu_approximation import plots
from helpers.relu_approximation.nets import ReluNet, best_net, hinges, sup_error

MOST_UNITS = 6
FIRST = hinges([0, 0.2, 0.6], [0.2, 0.6, 0.8])  # the assignment's net


def hinges_explorer() -> Explorer:
    """Return sliders for up to six hinges, over the net, x², the band and the exact sup error."""
    controls = _controls()
    figure = Figure(figsize=(8.2, 3.3), dpi=100, layout="constrained")
    left, right = figure.subplots(1, 2)
    plots.fit(FIRST, left).set_title("x² (grey), the band, and the net")
    plots.residual(FIRST, right, 0.1, sup_error(FIRST)).set_title("what is left over")
    for axis in (left.xaxis, left.yaxis, right.xaxis):
        axis.set_major_locator(FixedLocator([0, 0.5, 1]))  # each tick costs a millisecond or two
    right.yaxis.set_major_locator(MaxNLocator(6, steps=[1, 2, 4, 10]))
    drawn = {(ax, line.get_label()): line for ax in (left, right) for line in ax.lines}

    def redraw(units: int, offset: float, **sliders: float) -> str:
        for name in sliders:
            controls[name].layout.display = "" if int(name[-1]) <= units else "none"
        numbers = range(1, units + 1)
        places, slopes = ([sliders[f"{name}{i}"] for i in numbers] for name in ("place", "slope"))
        net = hinges(places, slopes, offset)
        error, x, knots = sup_error(net), plots.sample(net, 201), plots.bends(net)
        for name, at in (("_net", x), ("_bends", knots)):
            drawn[left, name].set_data(at, net(at))
        for name, at in (("_net", x), ("_bends", knots), ("_reached", error.points)):
            drawn[right, name].set_data(at, at**2 - net(at))
        limit = 0.1
        while limit < 1.05 * error.value:
            limit *= 2  # in large steps: new limits mean that the axes are drawn anew
        right.set_ylim(-limit, limit)
        verdict = "inside" if error.value <= plots.TOLERANCE + 1e-9 else "outside"
        where = ", ".join(f"{x:.3f}" for x in error.points)
        return (
            f"{units} unit{'s' * (units > 1)}: sup error {error.value:.4f}, reached at x = {where};"
            f" {verdict} the band of ±{plots.TOLERANCE:g}. The best that so many units can do is"
            f" {1 / (2 * (2 * units + 1) ** 2):.4f}."
        )

    optimum = {"Show optimum": lambda: _settings(best_net(controls["units"].value))}
    return Explorer(figure, redraw, controls, optimum)


def _settings(net: ReluNet) -> dict[str, float]:
    """Return the sliders' values for a net whose units all have w = 1."""
    places = {f"place{i}": float(-b) for i, b in enumerate(net.b1, start=1)}
    slopes = {f"slope{i}": float(k) for i, k in enumerate(net.W2[0], start=1)}
    return {"offset": float(net.b2[0]), **places, **slopes}


def _controls() -> dict[str, widgets.Widget]:
    look = {"layout": {"width": "46%", "min_width": "290px"}}
    units = widgets.IntSlider(FIRST.units, 1, MOST_UNITS, description="Units N", **look)
    controls = {"units": units}
    ranges = {"offset": ("Offset b₂", 0.0, -0.2, 0.2)}
    for i, index in zip(range(1, MOST_UNITS + 1), "₁₂₃₄₅₆", strict=True):
        ranges[f"place{i}"] = (f"Breakpoint p{index}", i / MOST_UNITS, 0.0, 1.0)
        ranges[f"slope{i}"] = (f"Slope k{index}", 0.0, -1.0, 2.0)
    for name, (label, value, low, high) in ranges.items():
        first = _settings(FIRST).get(name, value)
        span = {"min": low, "max": high, "step": 0.001, "readout_format": ".3f"}
        controls[name] = widgets.FloatSlider(first, description=label, **span, **look)
    return controls
