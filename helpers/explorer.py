"""The shell of every explorer: controls above one figure that is redrawn when they change.

One module a notebook stands beside this one, each a few lines over that notebook's computing and
plotting functions. Where no front end runs the first figure stands there as a picture. While a
slider is dragged the page sends a new value when the kernel has drawn the last one, so none waits;
once the hand rests the figure is drawn for fine screens, and saved in the notebook as it is.

What keeps a redraw short: a figure's artists are made once and given new data after that, and each
axes keeps a picture of its ticks, labels and titles, over which only the data are drawn, wherever
limits, scales, ticks and names are what they were before.
"""

import asyncio
import base64
import html
import io
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import ipywidgets as widgets
import numpy as np
from IPython.display import DisplayHandle
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.transforms import Bbox
from PIL import Image
from traitlets import Unicode

from helpers import activations
from helpers.settings import looked_at
from helpers.verdict import listen

KEPT = 16  # frames of an axes, about half a megabyte each, or two
REST, DENSITY = 0.3, 2  # seconds without a change until a figure is drawn with more pixels a point

# The saved picture is for the day when the explorer's widgets are gone, with a message of theirs.
STYLE = """<style>.explorer-saved { display: none; }
.jp-OutputArea:not(:has(.explorer-live)) .explorer-saved { display: block; }
.jp-OutputArea:has(.explorer-live) .jp-OutputArea-child:has(.explorer-saved),
.jp-OutputArea:has(.explorer-saved) .jp-OutputArea-output.jupyter-widgets:not(:has(*)) {
display: none; }</style>"""


class Picture(widgets.Image):
    """An image whose tooltip, its `title` in the page, says what is to be seen.

    An ipywidgets image has no `alt`; its tooltip takes that place, but only where the widget has a
    description, if an empty one.
    """

    description = Unicode("").tag(sync=True)


class Explorer(widgets.VBox):
    """Controls, actions and a figure; display it as the last line of a cell.

    Attributes:
        controls: the controls by name; setting a `.value` redraws, as a reader's hand does.
        sentence: what the figure now shows, in words.
    """

    def __init__(
        self,
        figure: Figure,
        redraw: Callable[..., str],
        controls: Mapping[str, widgets.Widget],
        actions: Mapping[str, Callable[[], Mapping[str, Any]]] | None = None,
    ) -> None:
        """Show `figure` under the controls and draw its first state.

        Args:
            figure: a figure whose artists `redraw` changes; not one of pyplot's.
            redraw: called with every control's value by name; changes the artists' data and
                returns one sentence, with numbers, that says what the figure shows.
            controls: widgets with a `value` and a `description`, by the names `redraw` knows.
            actions: label of a button to a function that returns the values it sets.

        Raises:
            ValueError: a control has no description, so that no reader would know what it does.
        """
        for name, control in controls.items():
            if not control.description:
                raise ValueError(f"control {name!r} has no description; name it for its readers")
        self.controls = dict(controls)
        self._redraw = redraw
        self._painter = Painter(figure)
        first = {name: control.value for name, control in controls.items()}
        layout = {"width": f"{figure.bbox.width:.0f}px", "max_width": "100%", "height": "auto"}
        self._picture = Picture(format="png", layout={**layout, "align_self": "flex-start"})
        self._words = widgets.HTML()
        self._setting = False
        self._saved: Any = None  # the handle of the saved picture, where a browser looks on
        self._rest: Any = None  # the timer that runs until the hand rests
        listen()
        for control in self.controls.values():
            control.style.description_width = "initial"
            control.tooltip = control.description  # else its label is said to mean "null"
            control.observe(self._changed, names="value")
        row = [*self.controls.values()]
        for label, act in {**(actions or {}), "Reset": lambda: first}.items():
            row.append(widgets.Button(description=label))
            row[-1].on_click(lambda _, act=act: self.set(**act()))
        layout = {"flex_flow": "row wrap", "align_items": "center"}
        super().__init__([widgets.HBox(row, layout=layout), self._picture, self._words])
        self.add_class("explorer-live")
        self.update()

    @property
    def sentence(self) -> str:
        """What the figure now shows, or the error that the last change met."""
        return html.unescape(self._words.value)

    def update(self) -> None:
        """Redraw the figure for the controls' values; an error is told below the figure."""
        values = {name: control.value for name, control in self.controls.items()}
        if self._rest:
            self._rest.cancel()
        try:
            sentence = self._redraw(**values)
            self._words.value = html.escape(sentence)
            self._picture.tooltip = sentence
            self._picture.value = self._painter.png()
            if self._saved:
                self._rest = asyncio.get_running_loop().call_later(REST, self._save)
        except Exception as error:  # noqa: BLE001 - a callback's error has only the reader to tell
            self._words.value = html.escape(f"! {type(error).__name__}: {error}")

    def _save(self) -> None:
        """Show the figure with more pixels, and keep it in the notebook."""
        self._picture.value = self._painter.png(DENSITY)
        self._saved.update(self._page(), raw=True)

    def _page(self) -> dict[str, str]:
        code = base64.b64encode(self._picture.value).decode("ascii")
        look = f"width: {self._picture.layout.width}; max-width: 100%"
        said = self._words.value
        page = (
            f'<div class="explorer-saved"><img src="data:image/png;base64,{code}" alt="{said}" '
            f'style="{look}"><p>{said}</p><p><em>As it was when the notebook was saved. To move '
            f"it again: Run &gt; Run All Cells.</em></p></div>"
        )
        return {"text/plain": self.sentence, "text/html": STYLE + page}

    def drawn(self, density: float = DENSITY, **values: Any) -> tuple[str, bytes]:
        """Return sentence and picture, a PNG file's bytes, for values by name; controls stay."""
        shown = {name: control.value for name, control in self.controls.items()}
        return self._redraw(**{**shown, **values}), self._painter.png(density)

    def set(self, **values: Any) -> None:
        """Set several controls and redraw once."""
        self._setting = True
        try:
            for name, value in values.items():
                self.controls[name].value = value
        finally:
            self._setting = False
        self.update()

    def _changed(self, change: Mapping) -> None:
        if not self._setting:
            self.update()

    def _repr_mimebundle_(self, **kwargs: Any) -> Any:
        data = {**super()._repr_mimebundle_(**kwargs), "text/plain": self.sentence}
        if looked_at():
            self._saved = DisplayHandle()
            self._saved.display(self._page(), raw=True)
            self._save()
            return data
        data["image/png"] = base64.b64encode(self._picture.value).decode("ascii")
        return data, {"image/png": {"alt": self.sentence}}


def unit_menu(units: Iterable[str], value: str | None = None) -> widgets.Dropdown:
    """Return a menu of activation units; their names are its values, the first by default."""
    options = [(activations.get(name).label, name) for name in units]
    return widgets.Dropdown(options=options, value=value or options[0][1], description="Unit")


class Painter:
    """Draws one figure again and again; a redraw gives what drawing it whole would give.

    The figure is not one of pyplot's, and its layout stays what it is at the first drawing. After
    that an axes' data, limits, scales, ticks, titles and names may change, not the rest of its
    frame.
    """

    def __init__(self, figure: Figure) -> None:
        self._figure, self._dpi = figure, figure.dpi
        self._canvas = FigureCanvasAgg(figure)
        self._frames: dict[Axes, dict[tuple, Any]] = {}  # by state; None where drawn just once

    def png(self, density: float = 1) -> bytes:
        """Return the figure as it now is, as the bytes of a PNG file, `density` times as wide."""
        if not self._frames:
            self._canvas.draw()
            self._figure.set_layout_engine("none")  # again and again it would cost every redraw
        self._figure.set_dpi(density * self._dpi)
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
