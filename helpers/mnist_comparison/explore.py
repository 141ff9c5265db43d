"""Explorers of notebook 03: the runs of the search, and a pad on which one draws a digit."""

from collections.abc import Mapping

import ipywidgets as widgets
import numpy as np
import torch
from ipycanvas import Canvas, hold_canvas
from matplotlib.figure import Figure
from numpy.typing import NDArray
from PIL import Image, ImageDraw
from torch import Tensor, nn

from helpers import activations
from helpers.explorer import Explorer
from helpers.mnist_comparison.plots import CLIP, clipped
from helpers.mnist_comparison.search import Runs

PAD = 280  # pixels of the pad, ten for each of the image's
STROKE = 22  # width of a stroke on the pad: about two pixels of the image
INK_BOX = 20  # MNIST scales a digit's ink into a box of 20 by 20 pixels


def confusion_counts(model: nn.Module, x: Tensor, y: Tensor) -> NDArray[np.int64]:
    """Return a (10, 10) table of how often digit `row` was taken for digit `column`."""
    with torch.no_grad():
        said = model(x).argmax(1)
    return np.bincount((10 * y + said).numpy(), minlength=100).reshape(10, 10)


def runs(runs: Runs, x: Tensor, y: Tensor, chosen: Mapping[str, float]) -> Explorer:
    """Return an explorer of a search: the curves of one run and its confusion matrix.

    Args:
        runs: finished runs of one seed, by (unit, rate, seed).
        x: (n, 784) images for the confusion matrix.
        y: (n,) their labels.
        chosen: unit's name to the rate that is shown first.
    """
    runs = dict(runs)
    units = list(dict.fromkeys(unit for unit, _, _ in runs))
    rates = sorted({rate for _, rate, _ in runs})
    seed = next(iter(runs))[2]
    figure = Figure(figsize=(9.2, 3.1), dpi=90, layout="constrained")
    losses, shares, matrix = figure.subplots(1, 3, width_ratios=(1, 1, 0.85))
    epochs = next(iter(runs.values())).history.epochs
    lines = {}
    for ax, kind in ((losses, "loss"), (shares, "accuracy")):
        for part, style in (("train", "-"), ("validation", "--")):
            (line,) = ax.plot(epochs, np.ones(len(epochs)), style, label=part, color="#0072B2")
            lines[f"{part}_{kind}"] = line
        ax.set(xlabel="epoch", xlim=(0, epochs[-1]))
    losses.set(title="loss in nats", yscale="log", ylim=(1e-4, CLIP * 1.2))
    shares.set(title="accuracy", ylim=(0, 1.02))
    shares.legend(loc="lower right")
    picture = matrix.imshow(np.zeros((10, 10)), cmap="Blues", vmin=0, vmax=1)
    matrix.set(title="digit (row) taken for (column)", xticks=range(10), yticks=range(10))
    matrix.grid(visible=False)

    def redraw(unit: str, rate: float) -> str:
        run = runs[unit, rate, seed]
        for name, line in lines.items():
            values = getattr(run.history, name)
            line.set_ydata(clipped(values) if name.endswith("loss") else values)
            line.set_color(activations.get(unit).color)
        counts = confusion_counts(run.model(), x, y)
        picture.set_data(counts / np.maximum(counts.sum(1, keepdims=True), 1))
        errors = counts - np.diag(np.diag(counts))
        digit, taken = np.unravel_index(errors.argmax(), errors.shape)
        return (
            f"{activations.get(unit).label} at {rate:.4f}: {run.outcome}; final validation "
            f"accuracy {run.history.validation_accuracy[-1]:.4f}. Most frequent confusion: "
            f"{digit} taken for {taken}, {errors.max()} times of {counts[digit].sum()}."
        )

    controls = {
        "unit": widgets.Dropdown(
            options=[(activations.get(unit).label, unit) for unit in units], description="Unit"
        ),
        "rate": widgets.SelectionSlider(
            options=[(f"{rate:.4f}", rate) for rate in rates],
            value=chosen[units[0]],
            description="Learning rate",
        ),
    }
    return Explorer(figure, redraw, controls)


def centred(drawing: Image.Image) -> NDArray[np.float32]:
    """Return a drawing, white ink on black, as MNIST would have it: (28, 28), 0 to 255.

    The ink is scaled into a box of 20 by 20 pixels and its centre of mass put into the middle
    (LeCun et al. 1998). A blank drawing gives zeros.
    """
    box = drawing.getbbox()
    if box is None:
        return np.zeros((28, 28), np.float32)
    ink = drawing.crop(box)
    factor = INK_BOX / max(ink.size)
    size = [max(1, round(side * factor)) for side in ink.size]
    small = np.asarray(ink.resize((size[0], size[1]), Image.Resampling.BOX), np.float32)
    rows, columns = np.indices(small.shape)
    mass = small.sum()
    top = round(14 - float((rows * small).sum() / mass) - 0.5)
    left = round(14 - float((columns * small).sum() / mass) - 0.5)
    top, left = (
        int(np.clip(corner, 0, 28 - side))
        for corner, side in zip((top, left), small.shape, strict=True)
    )
    image = np.zeros((28, 28), np.float32)
    image[top : top + small.shape[0], left : left + small.shape[1]] = small
    return image


class DigitPad(Explorer):
    """A canvas to draw a digit on, and what each network says it is.

    Attributes:
        canvas: the canvas; its mouse callbacks are `press`, `move` and `release`.
        pixels: (28, 28) what the networks see, 0 to 255.
    """

    def __init__(self, models: Mapping[str, nn.Module], x: Tensor, y: Tensor) -> None:
        """Show the first test image and the networks' answers.

        Args:
            models: unit's name to a trained network from (n, 784) to (n, 10).
            x: (n, 784) test images, to put on the pad.
            y: (n,) their labels.
        """
        self._models, self._x, self._y = dict(models), x, y
        self._drawing = Image.new("L", (PAD, PAD))
        self._point: tuple[float, float] | None = None
        self._drawn = False
        figure = Figure(figsize=(7.4, 2.9), dpi=90, layout="constrained")
        seen, says = figure.subplots(1, 2, width_ratios=(1, 2.4))
        self._seen = seen.imshow(np.zeros((28, 28)), cmap="gray_r", vmin=0, vmax=255)
        seen.set(title="what the networks see", xticks=[], yticks=[])
        seen.grid(visible=False)
        self._shares = says.imshow(
            np.zeros((len(models), 10)), cmap="Blues", vmin=0, vmax=1, aspect="auto"
        )
        says.set_yticks(range(len(models)), [activations.get(unit).label for unit in models])
        says.set(title="share given to each digit", xticks=range(10))
        says.grid(visible=False)
        self._marks = [
            says.text(0, i, "", ha="center", va="center", fontsize="small")
            for i in range(len(models))
        ]
        self.canvas = Canvas(width=PAD, height=PAD, layout={"border": "1px solid gray"})
        self.canvas.on_mouse_down(self.press)
        self.canvas.on_mouse_move(self.move)
        self.canvas.on_mouse_up(self.release)
        self.canvas.on_mouse_out(self.release)
        last = len(y) - 1
        choice = widgets.BoundedIntText(value=0, min=0, max=last, description="Test image")
        self._blank()
        super().__init__(figure, self._answer, {"image": choice}, {"Clear": self._clear})
        buttons, picture, words = self.children  # type: ignore[has-type]
        wrap = {"flex_flow": "row wrap", "align_items": "center"}
        self.children = (buttons, widgets.HBox([self.canvas, picture], layout=wrap), words)

    def press(self, x: float, y: float) -> None:
        """Begin a stroke; the first one takes the test image off the pad."""
        if not self._drawn:
            self._drawn = True
            self._drawing = Image.new("L", (PAD, PAD))
            self._blank()
        self._point = (x, y)
        self._stroke(x, y)

    def move(self, x: float, y: float) -> None:
        """Go on with the stroke while the button is down."""
        if self._point is not None:
            self._stroke(x, y)

    def release(self, x: float, y: float) -> None:
        """End the stroke and ask the networks."""
        if self._point is not None:
            self._point = None
            self.update()

    @property
    def pixels(self) -> NDArray[np.float32]:
        """What the networks see, (28, 28), 0 to 255."""
        if self._drawn:
            return centred(self._drawing)
        return self._x[self.controls["image"].value].reshape(28, 28).numpy()

    def _changed(self, change: Mapping) -> None:
        self._drawn = False
        self._blank()
        super()._changed(change)

    def _reset(self) -> Mapping[str, int]:
        self._drawn = False
        self._blank()
        return super()._reset()

    def _clear(self) -> Mapping[str, int]:
        self._drawn, self._drawing = True, Image.new("L", (PAD, PAD))
        self._blank()
        return {}

    def _blank(self) -> None:
        with hold_canvas():
            self.canvas.fill_style = "black"
            self.canvas.fill_rect(0, 0, PAD, PAD)
            self.canvas.stroke_style = self.canvas.fill_style = "white"
            self.canvas.line_width = STROKE
            self.canvas.line_cap = "round"

    def _stroke(self, x: float, y: float) -> None:
        assert self._point is not None
        pen, half = ImageDraw.Draw(self._drawing), STROKE / 2
        pen.line([*self._point, x, y], fill=255, width=STROKE)
        pen.ellipse([x - half, y - half, x + half, y + half], fill=255)
        with hold_canvas():
            self.canvas.stroke_line(*self._point, x, y)
            self.canvas.fill_circle(x, y, half)
        self._point = (x, y)

    def _answer(self, image: int) -> str:
        pixels = self.pixels
        self._seen.set_data(pixels)
        flat = torch.from_numpy(np.ascontiguousarray(pixels)).reshape(1, 784)
        with torch.no_grad():
            shares = np.stack(
                [torch.softmax(model(flat), 1)[0].numpy() for model in self._models.values()]
            )
        self._shares.set_data(shares)
        answers = shares.argmax(1)
        for row, (mark, digit) in enumerate(zip(self._marks, answers, strict=True)):
            mark.set(text=f"{shares[row, digit]:.2f}", x=digit)
            mark.set_color("white" if shares[row, digit] > 0.6 else "black")
        if not pixels.any():
            return "The pad is empty: draw a digit, or choose a test image."
        what = "Your digit" if self._drawn else f"Test image {image}, a {int(self._y[image])}"
        said = ", ".join(
            f"{activations.get(unit).label} {digit}"
            for unit, digit in zip(self._models, answers, strict=True)
        )
        return f"{what}; the networks say: {said}."


def digit_pad(models: Mapping[str, nn.Module], x: Tensor, y: Tensor) -> DigitPad:
    """Return a pad to draw a digit on, with what every network in `models` says it is."""
    return DigitPad(models, x, y)
