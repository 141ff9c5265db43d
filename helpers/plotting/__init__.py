"""What all figures share: the style sheet, units' colours, direct labels, and showing a figure.

One module a notebook stands beside this one. A plotting function receives computed data and
`ax=None`, draws, labels its axes and returns the Axes; it knows nothing about training.
"""

import base64
import io
import os
from collections.abc import Sequence
from pathlib import Path

import matplotlib.pyplot as plt
from IPython.display import display
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from helpers import activations

STYLE_SHEET = Path(__file__).with_name("course.mplstyle")


def use_style() -> None:
    """Apply the course's style sheet to every figure made from now on."""
    plt.style.use(os.fspath(STYLE_SHEET))


def axes_or_new(ax: Axes | None) -> Axes:
    """Return `ax`, or the axes of a new figure where it is None."""
    return plt.subplots()[1] if ax is None else ax


def unit_style(name: str) -> dict:
    """Return the colour, line style and label that the named unit has in every figure.

    Raises:
        ValueError: no unit is called so.
    """
    unit = activations.get(name)
    return {"color": unit.color, "linestyle": unit.linestyle, "label": unit.label}


def label_lines(ax: Axes, lines: Sequence[Line2D] | None = None, pad: float = 6) -> None:
    """Write each line's label beside its last point, apart enough to be read.

    Args:
        ax: axes whose lines are labelled; its limits should be final.
        lines: the lines to label, by default all that have a label.
        pad: distance from the line's end to its label, in points.
    """
    chosen = [line for line in (lines or ax.lines) if not line.get_label().startswith("_")]
    ends = []
    for line in chosen:
        x, y = line.get_transform().transform(line.get_xydata()[-1])
        ends.append((y, x, line))
    needed = 1.15 * plt.rcParams["font.size"] * ax.figure.dpi / 72  # pixels from label to label
    height = float("-inf")
    for y, x, line in sorted(ends, key=lambda end: end[0]):
        height = max(y, height + needed)
        ax.annotate(
            line.get_label(),
            xy=(x, y),
            xycoords="figure pixels",
            xytext=(pad * ax.figure.dpi / 72, height - y),
            textcoords="offset pixels",
            color=line.get_color(),
            va="center",
            annotation_clip=False,
        )


def png(figure: Figure, dpi: float | None = None) -> bytes:
    """Return the figure as the bytes of a PNG file."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=dpi or figure.dpi)
    return buffer.getvalue()


def show(figure: Figure | Axes, alt: str) -> None:
    """Display a figure in the notebook with its alternative text, and close it.

    Args:
        figure: the figure, or any of its axes.
        alt: one or two sentences that say what the figure shows, for readers who cannot see it.

    Raises:
        ValueError: `alt` is empty.
    """
    if not alt.strip():
        raise ValueError("alt is empty; say in a sentence what the figure shows")
    if isinstance(figure, Axes):
        figure = figure.get_figure(root=True)
    data = {"image/png": base64.b64encode(png(figure)).decode("ascii"), "text/plain": alt}
    display(data, raw=True, metadata={"image/png": {"alt": alt}})
    plt.close(figure)
