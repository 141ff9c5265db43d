"""What a reader sees of a figure: visible curves, words, pictures and bars, however they were made.

The checks of plotting exercises look through these functions, so that any style that shows the
same counts as the same: `plot` or `scatter`, `ax.legend`, `figure.legend` or a text beside a line,
`imshow` or `pcolormesh` either way up, `hist`, `stairs` or `bar`.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.collections import PathCollection, PolyCollection, QuadMesh
from matplotlib.colors import to_rgba
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.text import Annotation, Text
from matplotlib.transforms import Transform
from numpy.typing import NDArray

from helpers.differences import describe, malformed, wrong

NOTHING = ("None", "none", "", " ", None)


@dataclass(frozen=True)
class Curve:
    """A visible line or cloud of points."""

    xy: NDArray[np.float64]  # the points, (n, 2), in data coordinates
    look: tuple  # line style and marker; equal for two that look alike without colour
    label: str  # what the reader is told of it, by legend or a text beside it; "" if nothing
    joined: bool  # by a line
    marked: bool  # by a marker at each point


def on_new_axes(call: Callable, answer: Callable, given: Any) -> Axes:
    """Return new axes, the answer's first argument, as it drew on them; it has to return them."""
    figure = Figure()
    FigureCanvasAgg(figure)
    ax = figure.add_subplot()
    returned = call(lambda *args: answer(ax, *args), *given.args)  # `call` hands over copies
    if not ax.axison:
        wrong("the axes are switched off, with their labels")
    if not ax.has_data():
        wrong("nothing is drawn on the axes given; use ax.plot, not plt.plot or a new figure")
    if returned is not ax:
        got = describe(returned)
        malformed(f"expected the axes to be returned, received {got}; end with `return ax`")
    return ax


def demand(*rows: tuple[Any, str]) -> None:
    """Call an answer wrong, in the words of the first row whose condition does not hold."""
    for holds, otherwise in rows:
        if not holds:
            wrong(otherwise)


def through(ax: Axes, xy: NDArray) -> list[Curve]:
    """Return the visible curves that go through these points, (n, 2), and no others."""
    return [c for c in curves(ax) if c.xy.shape == xy.shape and np.allclose(c.xy, xy)]


def curves(ax: Axes) -> list[Curve]:
    """Return the visible lines and clouds of the axes, in the order in which they were drawn."""
    found, artist = [], None  # type: list[Curve], Any
    for artist in [*ax.lines, *(c for c in ax.collections if isinstance(c, PathCollection))]:
        if isinstance(artist, Line2D):
            xy = artist.get_xydata()
            joined = artist.get_linestyle() not in NOTHING and artist.get_linewidth() > 0.2
            marked = artist.get_marker() not in NOTHING and artist.get_markersize() > 0.5
            colors = [artist.get_color()] * joined
            colors += [artist.get_markerfacecolor(), artist.get_markeredgecolor()] * marked
            marker, own = artist.get_marker(), artist.get_transform()
        else:
            xy, joined, marked = artist.get_offsets(), False, np.max(artist.get_sizes()) > 0.3
            colors = [*artist.get_facecolor(), *artist.get_edgecolor()] * bool(marked)
            marker, own = artist.get_paths()[0].vertices.round(2).tobytes(), ax.transData
        points: NDArray = np.ma.filled(np.ma.asarray(xy, dtype=float), np.nan)
        shown = (
            artist.get_visible()
            and ax.get_visible()
            and any(_stands_out(c, artist, ax) for c in colors)
        )
        if shown and own.contains_branch(ax.transData) and _in_view(points, ax):
            look = _dashes(artist) if joined else None, marker if marked else None
            found.append(Curve(points, look, _label(artist, ax), joined, bool(marked)))
    return found


def _dashes(line: Any) -> str:
    # "--", (0, (5, 5)) and "dashed" are styles that differ only in name.
    return str(getattr(line, "_unscaled_dash_pattern", None) or line.get_linestyle())


def _stands_out(color: Any, artist: Any, ax: Axes) -> bool:
    if isinstance(color, str) and color in NOTHING:
        return False
    *rgb, alpha = to_rgba(color)
    alpha = min(alpha, float(np.max(1 if artist.get_alpha() is None else artist.get_alpha())))
    return bool(alpha * np.abs(np.subtract(rgb, to_rgba(ax.get_facecolor())[:3])).max() > 0.08)


def _in_view(xy: NDArray, ax: Axes) -> bool:
    low, high = np.sort([ax.get_xlim(), ax.get_ylim()]).T
    slack = 1e-6 * (high - low)
    inside = ((xy >= low - slack) & (xy <= high + slack)).all(axis=1)
    finite = np.isfinite(xy).all(axis=1)
    return bool(finite.any() and inside[finite].mean() > 0.9)


def legend(ax: Axes) -> list[tuple[str, Any]]:
    """Return the texts of all visible legends that speak of the axes, each with its sample."""
    figure: Any = ax.get_figure()
    legends = [ax.get_legend(), *(figure.legends if figure else [])]
    return [
        (text.get_text().strip(), handle)
        for one in legends
        if one is not None and one.get_visible()
        for text, handle in zip(one.get_texts(), one.legend_handles, strict=False)
    ]


def _label(artist: Any, ax: Axes) -> str:
    own, entries = str(artist.get_label()), legend(ax)
    if not own.startswith("_") and own.strip() in dict(entries):
        return own.strip()
    for text, handle in entries:
        if text and handle is not None:
            same = _style(handle) == _style(artist)
            only_color = not isinstance(handle, Line2D | PathCollection)  # such as a patch
            if same or (only_color and _rgb(handle) == _rgb(artist)):
                return text
    near = [text for text in ax.texts if text.get_visible() and text.get_text().strip()]
    near = [text for text in near if _rgb(text) == _rgb(artist)] or near
    if len(near) > 1:  # of several, as where all are black, the nearest to one of its points
        xy = artist.get_xydata() if isinstance(artist, Line2D) else artist.get_offsets()
        points = ax.transData.transform(np.asarray(xy, dtype=float))
        near.sort(key=lambda text: np.nanmin(np.hypot(*(points - _place(text, ax)).T)))
    return near[0].get_text().strip() if near else ""


def _place(text: Any, ax: Axes) -> NDArray:
    """Return the pixel that a text was put at, or the one an annotation is about."""
    if not isinstance(text, Annotation):
        return text.get_transform().transform(text.get_unitless_position())
    if isinstance(text.xycoords, Transform):
        return text.xycoords.transform(text.xy)
    if text.xycoords == "data":
        return ax.transData.transform(text.xy)
    return text.get_window_extent().get_points().mean(axis=0)


def _rgb(artist: Any) -> tuple[float, ...]:
    if isinstance(artist, Line2D | Text):
        color = artist.get_color()
    else:  # one colour or several; a hollow marker has none inside
        faces = np.atleast_2d(artist.get_facecolor())
        color = (faces if faces.size else np.atleast_2d(artist.get_edgecolor()))[0]
    return tuple(np.round(to_rgba(color)[:3], 2))


def _style(artist: Any) -> tuple:
    if not isinstance(artist, Line2D):
        return (_rgb(artist),)
    marker = artist.get_marker()
    return _rgb(artist), _dashes(artist), None if marker in NOTHING else marker


def title(ax: Axes) -> str:
    """Return the axes' titles, left to right; a figure's is not one axes' own."""
    return " ".join(ax.get_title(loc) for loc in ("left", "center", "right")).strip()


def pictures(ax: Axes) -> list[NDArray]:
    """Return the images on the axes as they are seen: row 0 on top, column 0 on the left."""
    found = []
    image: Any
    for image in [*ax.images, *(c for c in ax.collections if isinstance(c, QuadMesh))]:
        alpha = image.get_alpha()
        if not (image.get_visible() and ax.get_visible() and np.any(1 if alpha is None else alpha)):
            continue
        array: NDArray = np.ma.filled(np.ma.asarray(image.get_array(), dtype=float), np.nan)
        if array.ndim == 3 and (array[..., :3] == array[..., :1]).all():
            array = array[..., 0]  # a grey picture, given as a coloured one
        if image in ax.images:
            left, right, bottom, top = image.get_extent()
            rows = (top, bottom) if image.origin == "upper" else (bottom, top)
            columns = (left, right)
        else:
            corners = image.get_coordinates()
            size = corners.shape[0] - 1, corners.shape[1] - 1
            array = array.reshape(size) if array.size == np.prod(size) else array
            rows, columns = corners[[0, -1], 0, 1], corners[0, [0, -1], 0]
        if (rows[0] < rows[1]) != ax.yaxis_inverted():
            array = array[::-1]
        if (columns[1] < columns[0]) != ax.xaxis_inverted():
            array = array[:, ::-1]
        seen = image.to_rgba(array)[..., :3] if array.ndim == 2 else array
        if np.ptp(seen) > 0.05 or np.ptp(array) == 0:
            found.append(array)
    return found


def histogram(ax: Axes) -> tuple[NDArray, NDArray] | None:
    """Return the places and the heights of the histogram on the axes; None where there is none."""
    outlines = []
    area: Any
    for area in [*ax.patches, *(c for c in ax.collections if isinstance(c, PolyCollection))]:
        paints = np.vstack([area.get_facecolor(), area.get_edgecolor()])
        if area.get_visible() and any(_stands_out(paint, area, ax) for paint in paints):
            many = isinstance(area, PolyCollection)
            move = np.array if many else area.get_patch_transform().transform
            outlines.append(move((area.get_paths()[0] if many else area.get_path()).vertices))
    if outlines:  # each starts and ends at height 0, so only their upper edges have an area below
        xy = np.concatenate(outlines)
        below = np.abs(np.diff(xy[:, 0]) * (xy[1:, 1] + xy[:-1, 1]))
        return ((xy[1:, 0] + xy[:-1, 0]) / 2)[below > 0], below[below > 0]
    lines = [curve.xy for curve in curves(ax) if curve.joined]
    return (lines[0][:, 0], lines[0][:, 1]) if lines else None
