"""The shell of every explorer: controls above one figure that is redrawn when they change.

One module a notebook stands beside this one, each a few lines over that notebook's computing and
plotting functions. A figure's artists are made once and given new data after that, which is what
keeps a redraw short. Where no front end runs the first figure stands there as a picture.
"""

import base64
import html
from collections.abc import Callable, Mapping
from typing import Any

import ipywidgets as widgets
from matplotlib.figure import Figure
from traitlets import Unicode

from helpers.painting import Painter


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
        self._first = {name: control.value for name, control in controls.items()}
        self._picture = Picture(format="png", layout={"max_width": "100%", "object_fit": "contain"})
        self._words = widgets.HTML()
        self._setting = False
        for control in self.controls.values():
            if control.has_trait("continuous_update"):
                control.continuous_update = False
            control.style.description_width = "initial"
            control.tooltip = control.description  # else its label is said to mean "null"
            control.observe(self._changed, names="value")
        buttons = [
            self._button(label, act)
            for label, act in {**(actions or {}), "Reset": self._reset}.items()
        ]
        row = widgets.HBox(
            [*self.controls.values(), *buttons],
            layout={"flex_flow": "row wrap", "align_items": "center"},
        )
        super().__init__([row, self._picture, self._words])
        self.update()

    @property
    def sentence(self) -> str:
        """What the figure now shows, or the error that the last change met."""
        return html.unescape(self._words.value)

    def update(self) -> None:
        """Redraw the figure for the controls' values; an error is told below the figure."""
        values = {name: control.value for name, control in self.controls.items()}
        try:
            sentence = self._redraw(**values)
            self._words.value = html.escape(sentence)
            self._picture.tooltip = sentence
            self._picture.value = self._painter.png()
        except Exception as error:  # noqa: BLE001 - a callback's error has only the reader to tell
            self._words.value = html.escape(f"! {type(error).__name__}: {error}")

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

    def _reset(self) -> Mapping[str, Any]:
        return self._first

    def _button(self, label: str, act: Callable[[], Mapping[str, Any]]) -> widgets.Button:
        button = widgets.Button(description=label)
        button.on_click(lambda _: self.set(**act()))
        return button

    def _repr_mimebundle_(self, **kwargs: Any) -> Any:
        bundle = super()._repr_mimebundle_(**kwargs)
        data, metadata = bundle if isinstance(bundle, tuple) else (bundle, {})
        data = {**data, "image/png": base64.b64encode(self._picture.value).decode("ascii")}
        return data, {**metadata, "image/png": {"alt": self.sentence}}
