"""Digits that stand in where MNIST cannot be had: drawn from fonts and bent.

An image shows a digit of matplotlib's fonts under a random affine map and displacement (P. Simard,
D. Steinkraus and J. Platt, Best practices for convolutional neural networks, 2003). All is done in
float64, so that the same generator gives the same images on any platform.
"""

from functools import cache
from pathlib import Path

import matplotlib
import numpy as np
from matplotlib.font_manager import FontProperties
from matplotlib.textpath import TextPath

# Fonts whose ten digits look as one writes them: no old-style figures, no dot inside the zero.
FONTS = (
    *("DejaVuSans", "DejaVuSans-Oblique", "DejaVuSerif", "STIXGeneral"),
    *("cmss10", "STIXGeneralItalic", "cmtt10"),
)
SIDE = 28  # pixels
HEIGHT = 18.0  # pixels: stretched by up to SCALE it fills 21 of the 28 rows; in MNIST it is 20
STROKES = (0.0, 0.4, 0.8)  # pixels by which the outline is moved outwards
ROTATION = 0.18  # radians, to either side
SHEAR = 0.25  # pixels sideways for each pixel up, to either side
SCALE = 0.18  # each axis is stretched by a factor within 1 ± SCALE
SHIFT = 1.0  # pixels along each axis, to either side
BEND = 1.4  # pixels: standard deviation of the displacement at each knot
KNOTS = 4  # knots along each axis
COARSE, FINE = 2, 8  # samples for each pixel: of the distances to an outline, of a large picture
BATCH = 500  # images drawn at once, so that the arrays stay in the cache


def draw(count: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Return images (uint8, 0–255, shape (count, 28, 28)) and their labels (int64, 0–9)."""
    pictures = _pictures()
    labels = rng.integers(10, size=count, dtype=np.int64)
    styles = rng.integers(len(pictures), size=count)
    images = np.empty((count, SIDE, SIDE), dtype=np.uint8)
    for start in range(0, count, BATCH):
        part = slice(start, start + BATCH)
        places = (_warped(len(labels[part]), rng) + SIDE / 2) * FINE
        columns, rows = np.clip(places, 0, SIDE * FINE - 1).astype(np.intp)
        style, label = styles[part, None, None], labels[part, None, None]
        images[part] = pictures[style, label, rows, columns]
    return images, labels


def _warped(count: int, rng: np.random.Generator) -> np.ndarray:
    """Return what each pixel shows: x and y in pixels from the middle, (2, count, 28, 28)."""
    knots = rng.normal(0, BEND, (2, count, KNOTS, KNOTS))
    away = np.linspace(0, KNOTS - 1, SIDE)[:, None] - np.arange(KNOTS)
    bells = np.where(abs(away) < 1, (1 + np.cos(np.pi * away)) / 2, 0)  # (28, KNOTS), rows sum to 1
    bend_x, bend_y = bells @ knots @ bells.T
    angle = rng.uniform(-ROTATION, ROTATION, (count, 1, 1))
    shear = rng.uniform(-SHEAR, SHEAR, (count, 1, 1))
    width, height = rng.uniform(1 - SCALE, 1 + SCALE, (2, count, 1, 1))
    shift_x, shift_y = rng.uniform(-SHIFT, SHIFT, (2, count, 1, 1))
    middle = np.arange(SIDE) - (SIDE - 1) / 2
    x = bend_x + (middle[None, None, :] - shift_x)
    y = bend_y + (middle[None, :, None] - shift_y)
    cos, sin = np.cos(angle), np.sin(angle)
    turned_x, turned_y = cos * x + sin * y, cos * y - sin * x
    return np.stack([(turned_x + shear * turned_y) / width, turned_y / height])


@cache
def _pictures() -> np.ndarray:
    """Return each digit, large, in each style (font and stroke): uint8 (styles, 10, 224, 224)."""
    folder = Path(matplotlib.get_data_path()) / "fonts" / "ttf"
    files = [folder / f"{font}.ttf" for font in FONTS]
    depth = np.stack([[_depth(file, str(digit)) for digit in range(10)] for file in files])
    near = [np.interp(_places(FINE), _places(COARSE), one) for one in np.eye(SIDE * COARSE)]
    inside = np.transpose(near) @ depth @ near
    shades = [np.clip(0.5 + inside + stroke, 0, 1) * 255 for stroke in STROKES]
    return np.rint(np.concatenate(shades)).astype(np.uint8)


def _depth(font: Path, digit: str) -> np.ndarray:
    """Return how deep inside a digit points lie, in pixels, negative outside: shape (56, 56)."""
    path = TextPath((0, 0), digit, size=HEIGHT, prop=FontProperties(fname=str(font)))
    polygons = [np.asarray(polygon) for polygon in path.to_polygons()]
    start = np.concatenate([polygon[:-1] for polygon in polygons])
    end = np.concatenate([polygon[1:] for polygon in polygons])
    low, high = start.min(axis=0), start.max(axis=0)
    pieces = (start != end).any(axis=1)
    scale = np.array([1, -1]) * HEIGHT / (high[1] - low[1])  # y points down
    start, end = ((ends[pieces] - (low + high) / 2) * scale for ends in (start, end))
    points = _places(COARSE)
    x, y = points[None, :, None], points[:, None, None]
    (x0, y0), (dx, dy) = start.T, (end - start).T
    along = np.clip(((x - x0) * dx + (y - y0) * dy) / (dx * dx + dy * dy), 0, 1)
    squared = (x - x0 - along * dx) ** 2 + (y - y0 - along * dy) ** 2
    spans = (y0 <= y) != (y0 + dy <= y)  # the pieces that a ray to the right may cross
    crossed = spans & (x < x0 + (y - y0) * dx / np.where(dy == 0, 1, dy))
    sign = np.where(crossed.sum(axis=-1) % 2 == 1, 1, -1)
    return sign * np.sqrt(squared.min(axis=-1))


def _places(samples: int) -> np.ndarray:
    return (np.arange(SIDE * samples) + 0.5) / samples - SIDE / 2
