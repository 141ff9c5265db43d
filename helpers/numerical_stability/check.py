"""Checks of notebook 04: floating point, random gradients, Xavier, Kaiming, signals in depth.

Random draws are compared with a reference's by statistics of many of them; the tolerances are five
standard errors and more, so that a right answer fails less than once in a million.
"""

import copy
import re
from collections.abc import Callable, Mapping
from functools import cache, partial
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import torch
from matplotlib.axes import Axes
from numpy.random import Generator
from numpy.typing import NDArray
from torch import Tensor, nn

from helpers import activations, drawn, initialization
from helpers.activations import relu
from helpers.differences import Finding, as_array, describe, malformed, wrong
from helpers.judge import Answer, Checklist, Given, Task, each, named
from helpers.networks import mlp
from helpers.numerical_stability import depth, gradients

checklist = Checklist("4 · Numerical stability and initialisation", torch=True)
progress = checklist.progress

INFINITY, SMALLEST, LARGEST = float("inf"), 5e-324, 1.7976931348623157e308
PRINTED = {"1e-10000": 0.0, "1e+10000": INFINITY, "c + d - d": 0.0, "c * c": 0.0, "d * d": INFINITY}
PRINTED["d * d - d * d"] = float("nan")
OVERLOOKED = {  # by the usual wrong guesses
    ("1e-10000", SMALLEST): "Half the smallest number and less is rounded to 0.",
    ("1e+10000", LARGEST): "Overflow does not stop at the largest number.",
    ("c + d - d", 1e-250): "So it is on paper. The machine stores c + d first, with 16 digits.",
    ("c + d - d", 1e250): "d is taken off.",
    ("c * c", SMALLEST): "1e-500 lies far below the smallest number, not at it.",
    ("d * d", LARGEST): "Overflow does not stop at the largest number either.",
    ("d * d", "nan"): "A product above the largest number has a sign and a size: infinite.",
    ("d * d - d * d", 0.0): "Both are infinite by then, and inf − inf is not 0.",
    ("d * d - d * d", INFINITY): "inf − inf is not inf either.",
}


def _foretold(received: Any, given: Given) -> None:
    if not isinstance(received, Mapping):
        malformed(f"expected a dictionary with six predictions, received {describe(received)}")
    if missing := [name for name in PRINTED if name not in received]:
        malformed(f"no prediction for {', '.join(missing)}")
    for name, value in PRINTED.items():
        try:
            one = received[name]
            guess = as_array(float(one) if type(one) is int else one)
        except OverflowError:
            malformed(f"{name}: no float is as large as this whole number")
        except Finding:
            guess = np.zeros(0)
        if guess.shape or guess.dtype.kind not in "iuf":
            malformed(f"{name}: expected a number, received {describe(received[name])}")
        if not np.array_equal(guess, value, equal_nan=True):
            hint = OVERLOOKED.get((name, "nan" if np.isnan(guess) else float(guess)), "")
            # The right value is the machine's to tell: the next cell prints it.
            wrong(f"{name} is not {describe(guess)}.\n{hint}".strip())


predictions = checklist.exercise(
    "4.1 What will it print?", PRINTED.copy, lambda rng: (), verify=_foretold
)

NAMES = ("L", "layer", "N", "slope", "weight", "output", "activation")


def _model(rng: Generator, L: int, layer: int, N: int, *stds: float, seeded: bool = False) -> Given:
    """Return arguments: the deviations up to 30 % larger, L if above 5, up to 2 more."""
    spread = zip(stds, rng.uniform(1, 1.3, len(stds)), strict=True)
    drawn = [float(f"{d * r:.3g}") if isinstance(d, float) else d for d, r in spread]
    numbers: Any = (L + int(rng.integers(3)) * (L > 5), layer, N, *drawn)
    return named(*[_seed(rng)] * seeded, **dict(zip(NAMES, numbers, strict=True)))


def _seed(rng: Generator) -> Generator:
    return np.random.default_rng(rng.integers(2**32))


def _logs(slopes: int = 0, weights: int = 0, **fixed: float) -> Answer:
    """Return the formula with so many factors more of a kind, and numbers replaced."""

    def answer(*numbers: float) -> float:
        L, layer, N, *deviations = (dict(zip(NAMES, numbers, strict=True)) | fixed).values()
        powers = L - layer + 1 + slopes, L - layer + weights, 1, 1
        return (L - layer) * np.log10(N) + 2 * np.dot(powers, np.log10(deviations))

    return answer


def _product(L: int, layer: int, N: int, *deviations: float) -> np.floating:
    slope, weight, output, activation = np.square(deviations)
    return np.float64(N * weight * slope) ** (L - layer) * slope * output * activation


LOGS = _logs()
LOG_MISTAKES = {
    "These are natural logarithms; log10 is asked for.": lambda *g: LOGS(*g) * np.log(10),
    "There are L − l + 1 slope matrices, one more than weight matrices.": _logs(slopes=-1),
    "There are L − l weight matrices, those of layers l + 1 to L.": _logs(weights=1),
    "N is missing: each weight matrix brings a sum of N terms.": _logs(N=1),
    "N to the power L − l, not 2(L − l).": lambda L, layer, N, *g: LOGS(L, layer, N * N, *g),
    "A layer is missing; the product runs from layer l to layer L.": lambda L, *g: LOGS(L - 1, *g),
    "The gradient ends in the activation: its variance is missing.": _logs(activation=1),
    "The gradient at the output is missing.": _logs(output=1),
    "That is the standard deviation's logarithm; the variance's is twice it.": (
        lambda *g: LOGS(*g) / 2
    ),
    "That is the variance itself; return its logarithm, base 10.": _product,
    "The product left float64's range: add logarithms.": lambda *g: np.log10(_product(*g)),
}

MODELS = (
    *((3, 2, 50, 0.3, 3.0, 6.0, 0.05), (7, 3, 64, 2.0, 0.2, 0.05, 6.0), (6, 4, 7, 2, 3, 5, 11)),
    *((6, 2, 1, 0.3, 3.0, 6.0, 0.2), (4, 2, 9, 0.5, 3.0, 1e-90, 1e-90)),  # one unit; tiny ends
    *((400, 2, 900, 1e7, 1e8, 2.0, 5.0), (400, 2, 3, 1e-7, 1e-8, 2.0, 5.0)),  # huge and tiny
)
log_variance = checklist.exercise(
    "4.4 The variance in logarithms",
    LOGS,
    each(_model, *MODELS),
    LOG_MISTAKES,
    near=(1e-6, 1e-6),
    hint="Take each number's logarithm, then multiply and add: any product may leave the range.",
    forbidden=[(gradients, "log10_variance")],
)


def _draws(
    call: Callable, answer: Callable, given: Given, shape: tuple[int, int], repeats: int
) -> NDArray[np.float64]:
    """Return draws in a row from one generator, on which alone they have to depend."""
    *sizes, rng = given.args
    later = _seed(copy.deepcopy(rng))  # one number on would not do: normal draws reject some
    first, again, other = (as_array(call(answer, *sizes, start)) for start in (rng, rng, later))
    if first.shape != shape:
        turned = ": it is transposed" * (first.shape == shape[::-1])
        malformed(f"for {given}: expected shape {shape}, received shape {first.shape}{turned}")
    if not np.array_equal(first, again) or (np.array_equal(first, other) and first.any()):
        wrong("The draw does not depend on rng alone: take every random number from rng.")

    def one_by_one(repeats: int, *args: Any) -> NDArray[np.float64]:
        return np.array([as_array(answer(*args)) for _ in range(repeats)], dtype=np.float64)

    return call(getattr(answer, "many", one_by_one), repeats, *sizes, rng)


def _sampler_of(many: Answer) -> Answer:
    """Return a function that draws once, from one that draws many at once; it keeps both."""

    def once(*args: Any) -> NDArray:
        return many(1, *args)[0]

    once.many = many  # type: ignore[attr-defined]
    return once


def _sampler(slip: str = "", layers: int = 0, power: int = 1, **fixed: float) -> Answer:
    """Return a sampler, or one with a slip: layers too many, powers of deviations, numbers set."""

    def many(repeats: int, *numbers: Any) -> NDArray:
        *settings, rng = numbers
        given = dict(zip(NAMES, settings, strict=True)) | fixed
        L, layer, N, slope, weight, output, activation = given.values()

        def normal(std: float, *size: int) -> Any:
            return rng.normal(0, std**power, (repeats, *size))

        D: Any = partial(normal, slope, 1 if slip == "one a layer" else N, 1)
        W: Any = partial(normal, weight, N, N)
        D, W = (cache(D) if slip == "the same D" else D, cache(W) if slip == "the same W" else W)
        delta = normal(output, N, 1) * (1 if slip == "no D on top" else D())
        for _ in range(L - layer + layers):
            delta = D() * (W() @ delta)
        gradients = delta * normal(activation, 1, N)
        return gradients.mT if slip == "transposed" else gradients

    return _sampler_of(many)


def _law(call: Callable, answer: Callable, given: Given) -> dict[str, Any]:
    """Return what shows the law of a gradient: size, spread, signs, rank and its factors' tails.

    One unit wide, every factor shows: each adds to the spread of the logarithm, and one that is
    used twice adds more than two of their own.
    """
    N = given.args[2]
    repeats, scale = (600, 3) if N > 1 else (4500, 1)
    g = _draws(call, answer, given, (N, N), repeats)
    if not g.any():
        wrong(f"for {given}: every entry is 0")
    logs = np.log10(np.mean(g**2, axis=(1, 2)))
    logs = logs[np.isfinite(logs)]  # a float32 generator draws a 0 now and then
    found: dict[str, Any] = {
        "log10 of the mean square, on average over many gradients": round(logs.mean(), 2),
        f"{scale} standard deviation(s) of that over the gradients": round(scale * logs.std(), 2),
        "the share of positive entries": round(np.mean(g > 0), 2),
    }
    if N > 1:
        small = 1e-4 * np.linalg.norm(g[0])  # float32 will do
        row, column = g[:, 0], g[:, :, 0]
        found |= {
            "rank": int(np.linalg.matrix_rank(g[0], tol=small)),
            "the sizes of the column's entries, δ": _tails(np.abs(column)),
            "the sizes of the row's entries, a": _tails(np.abs(row)),
            "signs of neighbouring rows": _balance(np.sign(column)),
            "signs of neighbouring columns": _balance(np.sign(row)),
        }
    return found


def _tails(sizes: NDArray) -> str:
    # The fourth moment over the squared second, of 24 entries: 2.8 for normal numbers, 2.1 where
    # they are cut off at two deviations, 5 for products of two.
    squares = sizes**2
    fourth = np.mean(np.mean(squares**2, axis=1) / np.mean(squares, axis=1) ** 2)
    kinds = "less spread out than of normal numbers", "as of normal numbers", "as of products"
    return kinds[int(fourth > 2.5) + int(fourth > 3.5)]


def _balance(signs: NDArray) -> str:
    products = signs[:, 1:] * signs[:, :-1]
    return "independent" if abs(products.mean()) < 0.1 else "dependent"


SAMPLE_MISTAKES = {
    "rng.normal takes a standard deviation, not a variance.": _sampler(power=2),
    "There are L − l + 1 slope matrices, one more than weight matrices.": _sampler("no D on top"),
    "There is a layer too many; draw L − l weight matrices.": _sampler(layers=1),
    "A layer is missing; draw L − l weight matrices.": _sampler(layers=-1),
    "The matrix is transposed: rows belong to δ, columns to a.": _sampler("transposed"),
    "Every layer has weights of its own; here all have the same.": _sampler("the same W"),
    "Every layer has slopes of its own; here all have the same.": _sampler("the same D"),
    "Every unit has a slope of its own; here one number is a layer's.": _sampler("one a layer"),
    "The topmost slopes have no weight matrix: L − l of these, one more of those.": (
        _sampler("no D on top", layers=1)
    ),
    "The output gradient's deviation is missing.": _sampler(output=1),
    "The activation's deviation is missing.": _sampler(activation=1),
}
WIDE, NARROW = (5, 3, 24, 0.35, 3.0, 20.0, 0.04), (3, 2, 1, 3.0, 0.15, 0.04, 20.0)
sample_gradient = checklist.exercise(
    "4.5 Sample the gradient",
    _sampler(),
    each(_model, WIDE, NARROW, (5, 2, 1, 2, 3, 5, 11), seeded=True),
    SAMPLE_MISTAKES,
    observe=_law,
    near=(0, 0.3),
    forbidden=[(gradients, "sample_gradient")],
)


def _magnitudes(
    rng: Generator, center: float, shape: tuple[int, ...], zeros: int, dtype: type = float
) -> Given:
    """Return a gradient: magnitudes grow along it, the large ones are positive."""
    size = int(np.prod(shape))
    logs = np.sort(rng.normal(center, 1.5, size))
    logs[: size // 3] = logs[size // 6]  # ties, and two entries far out
    logs[[0, -1]] += -3, 2
    values = np.where(np.arange(size) < size // 2, -1, 1) * 10.0**logs
    values[rng.choice(np.arange(5, size - 1), zeros, replace=False)] = 0
    said = f"a gradient of shape {shape} with {zeros} zeros, magnitudes around 1e{center:+g}"
    return Given((values.reshape(shape).astype(dtype),), said=said)


WHERE = (
    *("centre of the histogram of log10 |g|", "spread of the histogram of log10 |g|"),
    *("its left end", "its right end"),
)


def _seen(call: Callable, answer: Callable, given: Given) -> dict[str, Any]:
    """Return what a reader sees of the histogram, as exact as its bins are narrow."""
    gradient = given.args[0]
    figure, ax = plt.subplots()
    other = plt.figure()  # the current one
    returned = call(lambda gradient: answer(gradient, ax), gradient)
    if returned is not ax:
        malformed(f"for {given}: expected ax back, received {describe(returned)}")
    if (found := drawn.histogram(ax)) is None:
        malformed(f"for {given}: nothing is drawn on ax; use ax.hist, not plt.hist")
    places, heights = found
    low, high = sorted(ax.get_xlim())
    shown = (heights > 0) & (places >= low) & (places <= high)
    if not shown.any():
        malformed(f"for {given}: no bars are seen on ax")
    x, heights = places[shown], heights[shown]
    gaps = np.diff(np.unique(places))
    bin_width = gaps.min() if gaps.size else 0.0  # a single bar shows nothing
    center = np.average(x, weights=heights)
    spread = np.sqrt(np.average((x - center) ** 2, weights=heights))
    seen: dict[str, Any] = {"scale of the x-axis": ax.get_xscale()}
    measured = center, spread, x.min() - bin_width / 2, x.max() + bin_width / 2
    g = gradient[gradient != 0].astype(np.float64)
    for values in (*HISTOGRAM_MISTAKES.values(), lambda g: np.log10(np.abs(g))):
        v = values(g)
        exact = v.mean(), v.std(), v.min(), v.max()
        near = np.abs(np.subtract(measured, exact)) <= bin_width * np.array([0.8, 0.8, 1.1, 1.1])
        if near.all():
            break
    seen |= zip(WHERE, np.where(near, exact, measured).tolist(), strict=True)
    for used in (figure, other):
        plt.close(used)
    label, title, zeros = ax.get_xlabel(), drawn.title(ax), str(np.sum(gradient == 0))
    ten = re.search(r"10|₁₀|\bten\b|\blg\b|decimal|decade", label, re.IGNORECASE)
    told = zeros in ["0", *re.findall(r"\d+", title)]
    seen["label of the x-axis"] = "one that tells base 10" if ten else label
    seen["title"] = f"one with the number of zeros, {zeros}" if told else title
    return seen


def _histogram(values: Answer) -> Answer:
    def answer(gradient: NDArray, ax: Axes) -> Axes:
        ax.hist(values(gradient[gradient != 0].astype(np.float64)), bins=30)
        ax.set(xlabel="log10 |g|", title=f"{np.sum(gradient == 0)} zeros")
        return ax

    return answer


HISTOGRAM_MISTAKES: dict[str, Answer] = {
    "These are natural logarithms; base 10 is asked for.": lambda g: np.log(np.abs(g)),
    "Only positive entries are drawn; take the absolute value first.": lambda g: np.log10(g[g > 0]),
    "The squares are drawn, not the magnitudes.": lambda g: np.log10(g**2),
    "The magnitudes themselves are drawn; take their logarithm.": np.abs,
}

SMALL = -12, (2, 6), 0, np.float32
GRADIENTS = (-8, (50, 40), 67), (12, (4, 5, 6), 23), (-200, (1500,), 41), SMALL
plot_magnitudes = checklist.exercise(
    "4.6 A histogram of magnitudes",
    _histogram(lambda g: np.log10(np.abs(g))),
    each(_magnitudes, *GRADIENTS),
    {sentence: _histogram(values) for sentence, values in HISTOGRAM_MISTAKES.items()},
    observe=_seen,
    near=(0.02, 0.3),
    single=(0.02, 0.3),
)


def _problem(
    rng: Generator, make: Answer, scale: float = 0.7, examples: int = 12, arrives: bool = False
) -> Given:
    """Return a network and data; where it `arrives`, some other loss left its gradients."""
    network = make()
    for parameter in network.parameters():
        parameter.data = torch.tensor(rng.normal(0, scale, parameter.shape)).float()
    layers = _linear(network)
    ends = layers[0].in_features, layers[-1].out_features
    inputs, targets = (torch.tensor(rng.normal(size=(examples, n))).float() for n in ends)
    said = f"a network of {len(layers)} linear layers, {examples} examples, {ends[1]} output(s)"
    said += ", which arrives with gradients" if arrives else ""
    return Given((network, inputs, targets, arrives), said=said)


def _linear(network: nn.Module) -> list[nn.Linear]:
    return [layer for layer in network.modules() if isinstance(layer, nn.Linear)]


def _sine_network() -> nn.Module:
    return nn.Sequential(nn.Linear(2, 7, bias=False), *mlp([7, 7, 7, 1], "tanh", bias=False))


def _watched(call: Callable, answer: Callable, given: Given) -> dict[str, Any]:
    """Return what the answer says of one network, for two inputs; is the network as it was?"""
    network, inputs, targets, arrives = copy.deepcopy(given.args)
    if arrives:
        network(inputs).square().sum().backward()
    before = copy.deepcopy(network.state_dict())

    def ask(inputs: Tensor, targets: Tensor) -> Any:
        return answer(network, inputs, targets)

    first, again = call(ask, inputs, targets), call(ask, 0.2 - inputs, targets)
    same = all(torch.equal(before[name], value) for name, value in network.state_dict().items())
    kept = "as they were" if same else "changed"
    return {"first call": first, "the network's weights": kept, "a call with other inputs": again}


def _sizes(
    size: Callable[[Tensor], Any] = lambda grad: grad.abs().mean(),
    loss: Callable[[Tensor], Tensor] = lambda errors: errors.square().mean(),
    biases: bool = False,
) -> Answer:
    def answer(network: nn.Module, inputs: Tensor, targets: Tensor) -> NDArray:
        weights = [layer.weight for layer in _linear(network)]
        chosen = list(network.parameters()) if biases else weights
        found = torch.autograd.grad(loss(network(inputs) - targets), chosen)
        return np.array([float(size(grad)) for grad in found])

    return answer


def _accumulated(network: nn.Module, inputs: Tensor, targets: Tensor) -> NDArray:
    (network(inputs) - targets).square().mean().backward()
    return np.array([layer.weight.grad.abs().mean() for layer in _linear(network)])  # type: ignore[union-attr]


SIZE_MISTAKES = {
    "First the absolute value, then the mean: signs cancel.": _sizes(lambda g: g.mean()),
    "Take |·| before the mean, not after it: signs cancel.": _sizes(lambda g: g.mean().abs()),
    "That is the sum over the weights; the mean is asked for.": _sizes(lambda g: g.abs().sum()),
    "That is the norm; the mean absolute entry is asked for.": _sizes(lambda g: g.norm()),
    "That is the mean square; |g| is asked for.": _sizes(lambda g: g.square().mean()),
    "The layers are in reverse order; the first comes first.": lambda *g: _sizes()(*g)[::-1],
    "The loss is a mean, not a sum.": _sizes(loss=lambda e: e.square().sum()),
    "The mean squared error has no factor ½.": _sizes(loss=lambda e: e.square().mean() / 2),
    "Leave the biases out: one number a layer, of its weights.": _sizes(biases=True),
    "backward() adds to the gradients there are; empty them first.": _accumulated,
}

NETWORKS: tuple[tuple, ...] = (
    *((_sine_network,), (partial(mlp, [2, 6, 4, 3], "relu"),), (_sine_network, 0.0)),
    *((partial(mlp, [2, 3, 2], "swish"), 0.7, 1500), (partial(mlp, [3, 2], "relu"), 0.7, 1)),
    *((partial(mlp, [2, 4, 1], nn.PReLU),), (partial(mlp, [2, 4, 1], "tanh"), 0.7, 12, True)),
    (partial(mlp, [3] * 9, "sigmoid"), 0.4),  # its gradients vanish
)
layer_gradients = checklist.exercise(
    "4.8 The size of each layer's gradient",
    _sizes(),
    each(_problem, *NETWORKS),
    SIZE_MISTAKES,
    observe=_watched,
    single=(2e-4, 0),
)


def _weights(normal: bool, c: float, changed: Answer = lambda v, *_: v, low: float = -1) -> Answer:
    """Return a sampler of entries of variance c/(n_in + n_out), changed; uniform from low · d."""

    def many(repeats: int, fan_in: int, fan_out: int, rng: Generator) -> NDArray:
        std = np.sqrt(changed(c / (fan_in + fan_out), fan_in, fan_out))
        d, size = np.sqrt(3) * std, (repeats, fan_out, fan_in)
        return rng.normal(0, std, size) if normal else rng.uniform(low * d, d, size)

    return _sampler_of(many)


def _fans(rng: Generator, fan_in: int, fan_out: int) -> Given:
    return named(_seed(rng), fan_in=fan_in, fan_out=fan_out)


MOMENTS = (
    *("the mean, over the standard deviation", "the variance, times (n_in + n_out)"),
    *("the fourth moment, over the squared variance", "the correlation of neighbouring entries"),
)


def _moments(call: Callable, answer: Callable, given: Given) -> dict[str, float]:
    """Return what shows the law of the entries, in many matrices."""
    if exact := getattr(answer, "moments", None):
        return exact
    fan_in, fan_out, _ = given.args
    weights = _draws(call, answer, given, (fan_out, fan_in), 80_000 // (fan_in * fan_out))
    mean, std = weights.mean(), max(weights.std(), 1e-300)
    z = (weights - mean) / std
    swapped = (np.moveaxis(z, axis, 0) for axis in range(3) if z.shape[axis] > 1)
    neighbours = [np.mean(along[1:] * along[:-1]) for along in swapped]
    fourth = np.mean(np.square(z * z))
    found = mean / std, std**2 * (fan_in + fan_out), fourth, max(neighbours, key=abs)
    return {name: round(float(v), 2) + 0.0 for name, v in zip(MOMENTS, found, strict=True)}


FANS = (150, 250), (350, 45), (2, 5), (9, 9)
EITHER: dict[str, Answer] = {
    "Both fans enter: this divides by n_in, not their mean.": lambda v, i, o: v / 2 * (1 + o / i),
    "Both fans enter: this divides by n_out, not their mean.": lambda v, i, o: v / 2 * (1 + i / o),
    "n_in alone stands where n_in + n_out belongs.": lambda v, i, o: v * (1 + o / i),
}
NORMAL: dict[str, Answer] = {
    "rng.normal takes the standard deviation, not the variance.": lambda v, *_: v**2
}
UNIFORM: dict[str, Answer] = {
    "The half-width misses a factor √3: U(−h, h) has variance h²/3.": lambda v, *_: v / 3,
    "The interval is h wide; it should reach from −h to h.": lambda v, *_: v / 4,
    "The root is missing: U(−h, h) has variance h²/3.": lambda v, *_: 3 * v**2,
}


def _initialiser(name: str, c: int) -> Task:
    """Return the task of drawing normal or uniform entries of variance c/(n_in + n_out)."""
    normal = name.endswith("normal")
    changes = EITHER | (NORMAL if normal else UNIFORM)
    mistakes = {sentence: _weights(normal, c, changed) for sentence, changed in changes.items()}
    mistakes["This is the variance of the other initialisation."] = _weights(normal, 6 - c)
    other = "uniform; normal" if normal else "normal; uniform"
    mistakes[f"These entries are {other} ones are asked for."] = _weights(not normal, c)
    if c == 4:
        said = "The variance doubles from Xavier's, so the deviation grows by √2, not by 2."
        mistakes[said] = _weights(normal, 2 * c)
    if not normal:
        mistakes["The entries run from 0 upwards, not from −h to h."] = _weights(False, c, low=0)
    reference: Any = _weights(normal, c)
    law = 0.0, float(c), 3.0 if normal else 1.8, 0.0
    reference.moments = dict(zip(MOMENTS, law, strict=True))
    return Task(
        reference,
        each(_fans, *FANS),
        mistakes,
        observe=_moments,
        near=(0.05, 0.04),
        forbidden=[
            *((initialization, method) for method in initialization.METHODS),
            *((nn.init, method + "_") for method in initialization.METHODS),
        ],
        name=name,
    )


xavier = checklist.exercise(
    "4.11 Xavier's weights", _initialiser("xavier_normal", 2), _initialiser("xavier_uniform", 2)
)


def _meets_xavier(received: NDArray, given: Given) -> None:
    if received.shape != (2,):
        malformed(f"expected two numbers, (scale, shift), received {describe(received)}")
    scale, shift = received
    slope, middle = scale / 4, scale / 2 + shift
    if not np.allclose([slope, middle], [1, 0], atol=1e-5):
        wrong(
            f"{scale:g} s(z) + ({shift:g}) has the slope {slope:g} and the value {middle:g} at 0; "
            "expected the slope 1, and 0 as an odd function has it."
        )


sigmoid_map = checklist.exercise(
    "4.12 Scale and shift of the sigmoid",
    lambda: (4.0, -2.0),
    lambda rng: (),
    {
        "Odd it is, but its slope is not 1: the slope of s itself is ¼.": lambda: (1, -0.5),
        "The shift has to grow with the scale: scaled by 4, s(0) is 2.": lambda: (4, -0.5),
        "The slope is right; the shift is missing.": lambda: (4, 0),
        "The sign is turned round.": lambda: (-4, 2),
        "The scale comes first, then the shift.": lambda: (-2, 4),
    },
    observe=lambda call, answer, given: as_array(call(answer)),
    verify=_meets_xavier,
)


def _square(z: NDArray) -> Any:
    return np.mean(z**2)


def _ratios(
    second: Answer = _square, spread: Answer = np.var, size: Answer = _square, unit: Answer = relu
) -> Answer:
    return lambda z: np.array([second(unit(z)), spread(unit(z))]) / size(z)


RATIO_MISTAKES = {
    "The two ratios are in the wrong order; E[a²] comes first.": lambda z: _ratios()(z)[::-1],
    "That is a standard deviation, the root of the variance.": _ratios(spread=np.std),
    "E[a²] is the mean of squares, not the mean's square.": _ratios(lambda a: np.mean(a) ** 2),
    "½ and ½ − 1/(2π) are for large normal samples.": lambda z: np.array([0.5, 0.5 - 0.5 / np.pi]),
    "ReLU is missing: these are the ratios of z itself.": _ratios(unit=np.asarray),
    "Divide by the mean of z², not by the variance of z about its mean.": _ratios(size=np.var),
    "The division by the mean of z² is missing.": _ratios(size=lambda z: 1.0),
    "Both are E[a²]; a variance is taken about the mean.": _ratios(spread=_square),
}

SAMPLES: tuple[tuple, ...] = (
    *((5, [-3, -1, 0.5, 2, 4], 0.3, float), ((3, 4), 0.5, 2, float), ((2, 3, 4), -10, 1e4, float)),
    *((7, 0, 1e-4, float), (3000, 1, 3, float), (40, 0.5, 2, np.float32)),
)
SIGNS = (1, 5), (-1, 5), (1, 1)
relu_moments = checklist.exercise(
    "4.15 What ReLU leaves of a variance",
    _ratios(),
    {
        "normal": lambda rng: [(rng.normal(*law, n).astype(kind),) for n, *law, kind in SAMPLES],
        "one sign": lambda rng: [(sign * rng.uniform(1, 9, n),) for sign, n in SIGNS],
    },
    RATIO_MISTAKES,
    near=(1e-5, 1e-6),
)


kaiming = checklist.exercise(
    "4.16 Kaiming's weights", _initialiser("kaiming_normal", 4), _initialiser("kaiming_uniform", 4)
)


def _signal(rng: Generator, unit: str, g: float, depth: int, n: int, dtype: type = float) -> Given:
    g = round(g * rng.uniform(1, 1.3), 2)
    t: NDArray = rng.normal(0.2, 1.2, n).astype(dtype)
    said = f"sigma = {unit}, gain = {g}, depth = {depth}, t of {n} numbers"
    return Given((activations.get(unit).value, g, depth, t), said=said)


def _squares(q: Answer = np.multiply, of: Answer = _square, extra: int = 0) -> Answer:
    """Return the mean squares by layer, of activations whose z has the variance q(gain, last)."""

    def answer(sigma: Callable, gain: float, depth: int, t: NDArray) -> NDArray:
        squares = [1.0]
        for _ in range(depth + extra):
            squares.append(of(sigma(np.sqrt(q(gain, squares[-1])) * t)))
        return np.array(squares)

    return answer


SQUARES = {
    "q is a variance: z = √q · t, not q · t.": _squares(lambda g, last: (g * last) ** 2),
    "Take the mean of the squares, not the mean's square.": _squares(of=lambda a: a.mean() ** 2),
    "The mean of a² is asked for, not a's variance: ReLU's mean is not 0.": _squares(of=np.var),
    "The gain is missing.": _squares(lambda g, last: last),
    "The gain belongs under the root, too.": _squares(lambda g, last: g**2 * last),
    "Each layer starts from the last one's mean square.": _squares(lambda g, last: g),
    "The input's mean square, 1, comes first.": lambda *given: _squares()(*given)[1:],
    "There are depth + 1 numbers; here is one more.": _squares(extra=1),
    "The last layer is missing; there are depth + 1 numbers.": _squares(extra=-1),
}

SIGNALS = (
    *(("tanh", 1.4, 8, 4000), ("relu", 3.0, 5, 900), ("relu", 0.15, 40, 50)),
    *(("softplus", 0.5, 3, 5), ("sigmoid", 1.6, 1, 2000), ("tanh", 1.5, 4, 500, np.float32)),
)
predicted_squares = checklist.exercise(
    "4.17 Predict the mean square", _squares(), each(_signal, *SIGNALS), SQUARES, near=(2e-5, 0)
)


GRID = np.linspace(-12, 12, 4801)
WEIGHTS = np.exp(-(GRID**2) / 2) / np.exp(-(GRID**2) / 2).sum()


def _mean(values: NDArray) -> float:
    return float(WEIGHTS @ values)


def _unit(rng: Generator, name: str, shift: float = 0.0) -> Given:
    """Return a unit, scaled inside and outside, and shifted."""
    inner, outer = np.round(rng.uniform([0.7, 1.5], [1.4, 3.0]), 2)
    value: Callable = activations.get(name).value if name != "cube" else lambda z: 0.2 * z**3
    said = f"sigma(z) = {outer} {name}({inner} z) + {shift}"
    return Given((lambda z: outer * value(inner * np.asarray(z)) + shift,), said=said)


GAIN_MISTAKES: dict[str, Answer] = {
    "That is √κ, as PyTorch gives it; n Var W is asked for.": lambda e: 1 / np.sqrt(e(2)),
    "That is E[σ(z)²]; the gain has to undo it.": lambda e: e(2),
    "The mean of σ counts, too: take E[σ(z)²], not the variance.": lambda e: 1 / (e(2) - e(1) ** 2),
    "That is E[σ(z)]², the square of the mean.": lambda e: 1 / max(e(1) ** 2, 1e-12),
    "The weights have to add up to 1: a factor √(2π) is off.": lambda e: 0.398942 / e(2),
    "2 is ReLU's gain; any unit may come.": lambda e: 2.0,
}

gain_for = checklist.exercise(
    "4.19 A gain for any unit",
    lambda sigma: 1 / _mean(sigma(GRID) ** 2),
    {
        "units": each(_unit, ("relu",), ("tanh",), ("swish",), ("gelu",), ("leaky_relu",)),
        "shifted": each(_unit, ("sigmoid", -1.5), ("softplus", 2.0)),
        "far out": each(_unit, ("cube",)),
    },
    {
        sentence: lambda sigma, f=f: f(lambda power: _mean(sigma(GRID) ** power))
        for sentence, f in GAIN_MISTAKES.items()
    },
    near=(1e-3, 0),
    forbidden=[(depth, "gain_of")],
)
