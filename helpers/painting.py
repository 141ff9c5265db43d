"""Redraws of a figure in which little changes: what an explorer does at every touch of a control.

Three quarters of the time that Matplotlib takes to draw one of the explorers' figures goes into
ticks, labels and titles. Here each axes keeps a picture of these, and only the data are drawn
over it, wherever limits, scales, ticks and names are what they were before.
"""

import io
from typing import Any

import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.transforms import Bbox
from PIL import Image

KEPT = 16  # frames of an axes, about half a megabyte each


class Painter:
    """Draws one figure again and again; a redraw gives what drawing it whole would give."""

    def __init__(self, figure: Figure) -> None:
        """Take over the figure; its layout is settled at the first drawing and then kept.

        Args:
            figure: a figure that is not one of pyplot's. Between drawings an axes' data, limits,
                scales, ticks, title and names of axes may change, and no other part of its frame.
        """
        self._figure = figure
        self._canvas = FigureCanvasAgg(figure)
        self._frames: dict[Axes, dict[tuple, Any]] = {}  # by state; None where drawn just once
        self._settled = False

    def png(self) -> bytes:
        """Return the figure as it now is, as the bytes of a PNG file."""
        if not self._settled:
            self._canvas.draw()
            self._figure.set_layout_engine("none")  # again and again it would cost every redraw
            self._settled = True
        renderer = self._canvas.get_renderer()
        renderer.clear()
        self._figure.patch.draw(renderer)
        for ax in self._figure.axes:
            self._frame(ax)
        on_top = [*self._figure.texts, *self._figure.legends]
        for artist in [artist for ax in self._figure.axes for artist in data_of(ax)] + on_top:
            artist.draw(renderer)
        buffer = io.BytesIO()
        pixels = np.asarray(self._canvas.buffer_rgba())[..., :3]  # the page is opaque
        Image.fromarray(np.ascontiguousarray(pixels)).save(buffer, "png", compress_level=1)
        return buffer.getvalue()

    def _frame(self, ax: Axes) -> None:
        ax.apply_aspect()
        state = frame_state(ax)
        frames = self._frames.setdefault(ax, {})
        if picture := frames.get(state):
            self._canvas.restore_region(picture)
            return
        shown = [artist for artist in data_of(ax) if artist.get_visible()]
        for artist in shown:
            artist.set_visible(False)
        renderer = self._canvas.get_renderer()
        ax.draw(renderer)
        if state in frames:  # the second time it pays to find out where the frame ends
            box = ax.get_tightbbox(renderer)
            inside = Bbox.intersection(box.padded(2), self._figure.bbox) if box else None
            picture = self._canvas.copy_from_bbox(inside or self._figure.bbox)
        for artist in shown:
            artist.set_visible(True)
        frames.pop(state, None)
        frames[state] = picture
        if len(frames) > KEPT:
            del frames[next(iter(frames))]  # the oldest


def data_of(ax: Axes) -> list[Artist]:
    """Return an axes' artists that are drawn anew each time, the lowest first.

    A legend without a box, in a fixed place, belongs to the frame; one with a box must cover data.
    """
    artists = [*ax.images, *ax.collections, *ax.patches, *ax.lines, *ax.texts, *ax.artists]
    legend = ax.get_legend()
    boxes = [legend] if legend is not None and legend.get_frame_on() else []
    spines = ax.spines.values() if ax.axison and ax.get_frame_on() else []
    return sorted([*artists, *spines, *boxes], key=Artist.get_zorder)


def frame_state(ax: Axes) -> tuple:
    """Return all that the picture of an axes' frame depends on."""
    titles = tuple(ax.get_title(loc) for loc in ("left", "center", "right"))
    ticks = tuple(
        tuple(axis.get_ticklocs(minor=minor)) + (axis.get_scale(), axis.get_label_text())
        for axis in (ax.xaxis, ax.yaxis)
        for minor in (False, True)
    )
    return ax.get_xlim(), ax.get_ylim(), ax.bbox.bounds, titles, ticks
