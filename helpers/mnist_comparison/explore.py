"""Explorers of notebook 03: the runs of the search, and a pad on which one draws a digit."""

from collections.abc import Mapping
from typing import Any

import ipywidgets as widgets
import numpy as np
import torch
from ipycanvas import Canvas, hold_canvas
from matplotlib import colormaps
from matplotlib.figure import Figure
from numpy.typing import NDArray
from PIL import Image, ImageDraw
from torch import Tensor, nn

from helpers import activations
from helpers.explorer import Explorer, unit_menu
from helpers.mnist_comparison.plots import CLIP, by_unit, clipped
from helpers.mnist_comparison.search import Runs
from helpers.networks import MNIST_SIZES
from helpers.palette import BLUE, GREY, OCHRE, ORANGE

PAD = 280  # pixels of the pad, ten for each of the image's
STROKE = 22  # width of a stroke on the pad: about two pixels of the image
INK_BOX = 20  # MNIST scales a digit's ink into a box of 20 by 20 pixels


def runs(runs: Runs, x: Tensor, y: Tensor, chosen: Mapping[str, float]) -> Explorer:
    """Return an explorer of a search: the curves of one run and its confusion matrix.

    The runs are of one seed, `x` is (n, 784), `y` (n,); a unit's `chosen` rate is shown first.
    """
    found = {(unit, rate): run for (unit, rate, _), run in runs.items()}
    units, rates = (list(dict.fromkeys(part)) for part in zip(*found, strict=True))
    epochs = next(iter(runs.values())).history.epochs
    figure = Figure(figsize=(9.2, 3.1), dpi=90, layout="constrained")
    losses, shares, matrix = figure.subplots(1, 3, width_ratios=(1, 1, 0.85))
    losses.set(title="loss in nats", yscale="log", ylim=(1e-4, CLIP * 1.2))
    shares.set(title="accuracy", ylim=(0, 1.02))
    lines = []  # in the order of `History.curves`
    for label, style in (("train", "-"), ("validation", "--")):
        for ax in (losses, shares):
            lines += ax.plot(epochs, np.ones(len(epochs)), style, label=label, color=BLUE)
            ax.set(xlabel="epoch", xlim=(0, epochs[-1]))
    shares.legend(loc="lower right")
    picture = matrix.imshow(np.zeros((10, 10)), cmap="Blues", vmin=0, vmax=1)
    matrix.set(title="digit (row) taken for (column)", xticks=range(10), yticks=range(10))
    matrix.grid(visible=False)

    def redraw(unit: str, rate: float) -> str:
        run = found[unit, rate]
        for line, curve in zip(lines, run.history.curves(), strict=True):
            line.set_ydata(clipped(curve) if line.axes is losses else curve)
            line.set_color(activations.get(unit).color)
        pairs = 10 * y + run.answers(x)
        counts = np.bincount(pairs.numpy(), minlength=100).reshape(10, 10)
        picture.set_data(counts / np.maximum(counts.sum(1, keepdims=True), 1))
        errors = counts - np.diag(np.diag(counts))
        digit, taken = np.unravel_index(errors.argmax(), errors.shape)
        return (
            f"{activations.get(unit).label} at {rate:.4f}: {run.outcome}; final validation "
            f"accuracy {run.history.validation_accuracy[-1]:.4f}. Most frequent confusion: "
            f"{digit} taken for {taken}, {errors.max()} times of {counts[digit].sum()}."
            + (f" Recorded on {run.recorded}." if run.recorded else "")
        )

    steps = [(f"{rate:.4f}", rate) for rate in sorted(rates)]
    slider = widgets.SelectionSlider(options=steps, description="Learning rate")
    slider.value = chosen[units[0]]
    return Explorer(figure, redraw, {"unit": unit_menu(units), "rate": slider})


def neurons(recorded: Mapping[str, NDArray]) -> Explorer:
    """Return an explorer of hidden neurons as they die or saturate, from `tools/record_runs.py`.

    Blue is the share of images on which a neuron lets a gradient through, orange is none at all.
    """
    starts, units, epochs = (recorded[name].tolist() for name in ("starts", "units", "epochs"))
    rates, first = recorded["rates"].tolist(), MNIST_SIZES[1]
    figure = Figure(figsize=(8.2, 3.1), dpi=90, layout="constrained")
    shares, *grids = figure.subplots(1, 3, width_ratios=(1.5, 1.6, 0.8))
    shares.set(xscale="symlog", xlim=(0, epochs[-1]), ylim=(-0.03, 1.03))
    shares.set(xlabel="steps taken", ylabel="share")
    shares.set_xticks([0, 1, 10, 100], ["0", "1", "10", "100"])
    looks = {"layer 1 shut": ORANGE, "layer 2 shut": OCHRE, "accuracy": BLUE}
    lines = [
        shares.plot(epochs, epochs, ".-", color=color, label=label)[0]
        for label, color in looks.items()
    ]
    (marker,) = shares.plot([0, 0], [-1, 2], color=GREY, linewidth=0.9)
    figure.legend(handles=lines, loc="outside upper left", ncols=3)
    images = []
    colors = colormaps["Blues"].with_extremes(under=ORANGE)
    for ax, shape, title in zip(grids, ((10, 20), (8, 8)), ("layer 1", "layer 2"), strict=True):
        images.append(ax.imshow(np.zeros(shape), cmap=colors, vmin=1 / 510, vmax=1))
        ax.set(title=title, xticks=[], yticks=[])
        ax.grid(visible=False)

    def redraw(unit: str, start: str, rate: float, epoch: int) -> str:
        run = starts.index(start), units.index(unit), rates.index(rate)
        passing, now = recorded["neurons"][run] / 255, epochs.index(epoch)
        layers = passing[:, :first], passing[:, first:]
        shut = [(layer == 0).mean(axis=1) for layer in layers]
        accuracy = recorded["accuracy"][run]
        for line, curve in zip(lines, (*shut, accuracy), strict=True):
            line.set_ydata(np.where(np.isnan(accuracy), np.nan, curve))
        marker.set_xdata([epoch, epoch])
        for image, layer in zip(images, layers, strict=True):
            shown = layer[now] if np.isfinite(accuracy[now]) else np.full(len(layer[now]), np.nan)
            image.set_data(shown.reshape(image.get_array().shape))
        if np.isnan(accuracy[now]):
            return (
                f"{activations.get(unit).label} from {start}, rate {rate:g}, after {epoch} steps: "
                "diverged, all its numbers are NaN; none of its neurons is dead or alive."
            )
        word = "saturated" if unit in ("sigmoid", "tanh") else "dead"
        one, two = (int((layer[now] == 0).sum()) for layer in layers)
        return (
            f"{activations.get(unit).label} from {start}, rate {rate:g}, after {epoch} steps: "
            f"{one} of {first} neurons of layer 1 and {two} of {MNIST_SIZES[2]} of layer 2 are "
            f"{word}: on no image do they let a gradient through. The mean neuron lets one through "
            f"on {layers[0][now].mean():.0%} of the images in layer 1, on "
            f"{layers[1][now].mean():.0%} in layer 2. Validation accuracy {accuracy[now]:.3f}."
        )

    controls = {
        "unit": unit_menu(units),
        "start": widgets.Dropdown(options=starts, description="Start"),
        "rate": widgets.SelectionSlider(options=rates, value=rates[1], description="Learning rate"),
        "epoch": widgets.SelectionSlider(options=epochs, value=epochs[-1], description="Steps"),
    }
    return Explorer(figure, redraw, controls)


def centred(drawing: Image.Image) -> NDArray[np.float32]:
    """Return a drawing, white on black, as MNIST has it (LeCun et al. 1998): (28, 28), 0 to 255."""
    image = np.zeros((28, 28), np.float32)
    if not (box := drawing.getbbox()):
        return image
    ink = drawing.crop(box)
    width, height = (max(1, round(side * INK_BOX / max(ink.size))) for side in ink.size)
    small = np.asarray(ink.resize((width, height), Image.Resampling.BOX), np.float32)
    centre = (np.indices(small.shape) * small).sum((1, 2)) / small.sum()
    top, left = np.round(13.5 - centre).clip(0, [28 - height, 28 - width]).astype(int)
    image[top : top + height, left : left + width] = small
    return image


class DigitPad(Explorer):
    """A canvas to draw a digit on, and what each network, (n, 784) to (n, 10), says it is.

    It begins with the first of the test images `x`, (n, 784), of labels `y`, (n,); the networks see
    `pixels`, (28, 28), 0 to 255.
    """

    def __init__(self, models: Mapping[str, nn.Module], x: Tensor, y: Tensor) -> None:
        self._models, self._x, self._y = dict(models), x, y
        self._point: tuple[float, float] | None = None  # where the stroke is, if there is one
        figure = Figure(figsize=(5.4, 3.1), dpi=90, layout="constrained")
        seen, says = figure.subplots(1, 2, width_ratios=(1, 2.2))
        self._seen = seen.imshow(np.zeros((28, 28)), cmap="gray_r", vmin=0, vmax=255)
        seen.set(title="what they see", xticks=[], yticks=[])
        shares = np.zeros((len(models), 10))
        self._shares = says.imshow(shares, cmap="Blues", vmin=0, vmax=1, aspect="auto")
        says.set_yticks(range(len(models)), [activations.get(unit).label for unit in models])
        says.set(title="share given to each digit", xticks=range(10))
        for ax in (seen, says):
            ax.grid(visible=False)
        middle = {"ha": "center", "va": "center", "fontsize": "small"}
        self._marks = [says.text(0, i, "", **middle) for i in range(len(models))]
        self.canvas = Canvas(width=PAD, height=PAD, layout={"border": "1px solid gray"})
        self.canvas.on_mouse_down(self.press)
        self.canvas.on_mouse_move(self.move)
        self.canvas.on_mouse_up(self.release)
        self.canvas.on_mouse_out(self.release)
        self.canvas.on_touch_start(lambda fingers: self.press(*fingers[0]))
        self.canvas.on_touch_move(lambda fingers: self.move(*fingers[0]))
        self.canvas.on_touch_end(self.release)
        self.canvas.on_touch_cancel(self.release)
        choice = widgets.BoundedIntText(min=0, max=len(y) - 1, description="Test image")
        choice.observe(lambda change: self._show(change["new"]), names="value")  # before a redraw
        self._show(choice.value)
        actions = {
            "Another test image": lambda: {"image": (choice.value + 1) % len(y)},
            "Clear": self._clear,
        }
        super().__init__(figure, self._answer, {"image": choice}, actions)
        row, picture, words = self.children  # type: ignore[has-type]
        self.children = (row, widgets.HBox([self.canvas, picture], layout=row.layout), words)

    def press(self, x: float, y: float) -> None:
        """Begin a stroke; the first one takes the test image off the pad."""
        if self._drawing is None or not self._drawing.getbbox():
            self._wipe(Image.new("L", (PAD, PAD)))
        self._point = (x, y)
        self.move(x, y)

    def move(self, x: float, y: float) -> None:
        """Go on with the stroke while the button is down."""
        if self._point is None or self._drawing is None:
            return
        pen, half = ImageDraw.Draw(self._drawing), STROKE / 2
        pen.line([*self._point, x, y], fill=255, width=STROKE)
        pen.ellipse([x - half, y - half, x + half, y + half], fill=255)
        with hold_canvas():
            self.canvas.stroke_line(*self._point, x, y)
            self.canvas.fill_circle(x, y, half)
        self._point = (x, y)

    def release(self, *_: Any) -> None:
        """End the stroke and ask the networks."""
        if self._point is not None:
            self._point = None
            self.update()

    def set(self, **values: int) -> None:
        """Set the test image, which takes a drawing off the pad; "Clear" sets nothing."""
        if values:
            self._show(values["image"])
        super().set(**values)

    def _clear(self) -> Mapping[str, int]:
        self._wipe(Image.new("L", (PAD, PAD)))
        with hold_canvas():
            self.canvas.font, self.canvas.text_align = "24px sans-serif", "center"
            self.canvas.fill_text("draw here", PAD / 2, PAD / 2)
        return {}

    def _show(self, image: int) -> None:
        self._wipe(None)
        large = np.kron(self._x[image].reshape(28, 28).numpy(), np.ones((PAD // 28, PAD // 28)))
        self.canvas.put_image_data(np.repeat(large[..., None], 3, axis=2).astype(np.uint8))

    def _wipe(self, drawing: Image.Image | None) -> None:
        self._drawing = drawing  # None while a test image is on the pad
        with hold_canvas():
            self.canvas.fill_style = "black"
            self.canvas.fill_rect(0, 0, PAD, PAD)
            self.canvas.stroke_style = self.canvas.fill_style = "white"
            self.canvas.line_width = STROKE
            self.canvas.line_cap = "round"

    def _answer(self, image: int) -> str:
        shown = self._x[image].reshape(28, 28).numpy()
        self.pixels = centred(self._drawing) if self._drawing else shown
        self._seen.set_data(self.pixels)
        flat = torch.tensor(self.pixels).reshape(1, 784)
        with torch.no_grad():
            answers = [model(flat).softmax(1) for model in self._models.values()]
        shares = torch.cat(answers).numpy()
        self._shares.set_data(shares)
        digits = dict(zip(self._models, shares.argmax(1), strict=True))
        for mark, row, digit in zip(self._marks, shares, digits.values(), strict=True):
            color = "white" if row[digit] > 0.6 else "black"
            mark.set(text=f"{row[digit]:.2f}", x=digit, color=color)
        if not self.pixels.any():
            return "The pad is empty: draw a digit, or choose a test image."
        what = "Your digit" if self._drawing else f"Test image {image}, a {int(self._y[image])}"
        return f"{what}; the networks say: {by_unit(digits)}."
