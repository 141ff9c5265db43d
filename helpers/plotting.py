"""What all figures share: the style sheet, units' colours, direct labels; showing figure or table.

One module a notebook stands beside this one. A plotting function receives computed data and
`ax=None`, draws, labels its axes and returns the Axes; it knows nothing about training.
"""

import base64
import html
import io
import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from statistics import fmean
from typing import Any, TypeVar

import matplotlib.pyplot as plt
import numpy as np
from IPython.display import display
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.typing import ColorType

from helpers import activations
from helpers.settings import looked_at

Drawn = TypeVar("Drawn", Axes, Figure)


def use_style() -> None:
    """Apply the course's style sheet to every figure made from now on."""
    plt.style.use(os.fspath(Path(__file__).with_name("course.mplstyle")))


def with_alt(drawn: Drawn, sentence: str) -> Drawn:
    """Return the figure or axes; the sentence becomes its alternative text, as its label."""
    plt.setp(drawn.get_figure(root=True), label=sentence)
    return drawn


def unit_style(name: str) -> dict:
    """Return the colour, line style and label that the named unit has in every figure."""
    unit = activations.get(name)
    return {"color": unit.color, "linestyle": unit.linestyle, "label": unit.label}


def contrast_on_white(color: ColorType) -> float:
    """Return the contrast of a colour with white, from 1 (white) to 21 (black), as in WCAG 2."""
    parts = np.array(to_rgb(color))
    linear = np.where(parts <= 0.04045, parts / 12.92, ((parts + 0.055) / 1.055) ** 2.4)
    return float(1.05 / (linear @ [0.2126, 0.7152, 0.0722] + 0.05))


def text_color(color: ColorType) -> tuple[float, float, float]:
    """Return the colour, darkened where it takes that to have text's contrast on white, 4.5."""
    rgb = to_rgb(color)
    while contrast_on_white(rgb) < 4.5:
        rgb = 0.98 * rgb[0], 0.98 * rgb[1], 0.98 * rgb[2]
    return rgb


def label_lines(ax: Axes, lines: Sequence[Line2D] | None = None, pad: float = 6) -> None:
    """Write each line's label beside its last finite point, apart enough to be read.

    Args:
        ax: axes whose lines are labelled; its limits should be final, its layout need not be.
        lines: the lines to label, by default all that have a label.
        pad: distance from the line's end to its label, in points.
    """
    ax.get_xlim(), ax.get_ylim()  # settles pending limits
    points = 72 / ax.figure.dpi
    ends = []
    for line in lines or ax.lines:
        data: np.ndarray = np.ma.filled(np.ma.asarray(line.get_xydata(), dtype=float), np.nan)
        place = line.get_transform().transform(data)
        drawn = np.flatnonzero(np.isfinite(place).all(axis=1))
        if drawn.size and not str(line.get_label()).startswith("_"):
            ends.append((place[drawn[-1], 1] * points, data[drawn[-1]], line))
    ends.sort(key=lambda end: end[0])
    heights = _apart([end[0] for end in ends], needed=1.15 * plt.rcParams["font.size"])
    for (own, xy, line), height in zip(ends, heights, strict=True):
        ax.annotate(
            str(line.get_label()),
            xy=(xy[0], xy[1]),
            xycoords=line.get_transform(),
            xytext=(pad, height - own),
            textcoords="offset points",
            color=text_color(line.get_color()),
            va="center",
            annotation_clip=False,
        )


def _apart(heights: Sequence[float], needed: float) -> list[float]:
    # The places `needed` apart that are nearest, in squares, to the ascending heights. Less
    # i * needed, they need only ascend: isotonic regression, which pools neighbours.
    pools: list[list[float]] = []
    for i, height in enumerate(heights):
        pools.append([height - i * needed])
        while len(pools) > 1 and fmean(pools[-2]) > fmean(pools[-1]):
            pools[-2:] = [pools[-2] + pools[-1]]
    levels = [fmean(pool) for pool in pools for _ in pool]
    return [level + i * needed for i, level in enumerate(levels)]


def png(figure: Figure, dpi: float | None = None) -> bytes:
    """Return the figure as the bytes of a PNG file."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=dpi or figure.dpi)
    return buffer.getvalue()


def show(figure: Figure | Axes, alt: str = "") -> None:
    """Display a figure in the notebook with its alternative text, and close it.

    Args:
        figure: the figure, or any of its axes.
        alt: one or two sentences that say what the figure shows; by default the figure's label,
            which its plotting function may set from the data. A ValueError if there are none.
    """
    whole: Any = figure.get_figure(root=True)
    alt = alt or whole.get_label()
    if not alt.strip():
        raise ValueError("alt is empty; say in a sentence what the figure shows")
    code = base64.b64encode(png(whole)).decode("ascii")
    data = {"image/png": code, "text/plain": alt}
    if looked_at():
        # JupyterLab passes over an image's `alt`; saved outputs do without this second copy.
        data["text/html"] = f'<img src="data:image/png;base64,{code}" alt="{html.escape(alt)}">'
    display(data, raw=True, metadata={"image/png": {"alt": alt}})
    plt.close(whole)


def table(rows: Iterable[Sequence], header: Sequence[str], forms: str | Sequence[str] = "") -> None:
    """Display rows under a header: an HTML table in the page, aligned text elsewhere.

    Args:
        rows: the cells of each row, strings or numbers; the first names the row.
        header: a name for each column.
        forms: how numbers are written, such as `.3f`; one for all columns, or one a column.

    Raises:
        ValueError: a row is not as long as the header.
    """
    each = [forms] * len(header) if isinstance(forms, str) else forms
    lines = [list(header)]
    for row in rows:
        if len(row) != len(header):
            raise ValueError(f"a row has {len(row)} cells; the header has {len(header)}")
        cells = zip(row, each, strict=True)
        lines.append([one if isinstance(one, str) else format(one, form) for one, form in cells])
    wide = [max(map(len, column)) for column in zip(*lines, strict=True)]
    text = "\n".join(
        "  ".join([line[0].ljust(wide[0]), *map(str.rjust, line[1:], wide[1:])]).rstrip()
        for line in lines
    )
    marked = [
        "".join(
            f'<{tag} style="text-align: {"right" if i else "left"}">{html.escape(cell)}</{tag}>'
            for i, cell in enumerate(line)
        )
        for tag, line in zip(["th", *["td"] * len(lines)], lines, strict=False)
    ]
    page = f"<table><tr>{'</tr><tr>'.join(marked)}</tr></table>"
    display({"text/plain": text, "text/html": page}, raw=True)
