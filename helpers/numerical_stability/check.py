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
from helpers.differences import Finding, as_array, describe, malformed, wrong
from helpers.judge import Checklist, Given, Task, each
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
            guess = as_array(received[name])
        except Finding:
            guess = np.zeros(0)
        if guess.shape or guess.dtype.kind not in "iuf":
            malformed(f"{name}: expected a number, received {describe(received[name])}")
        if not np.array_equal(guess, value, equal_nan=True):
            hint = OVERLOOKED.get((name, "nan" if np.isnan(guess) else float(guess)), "")
            # The right value is the machine's to tell: the next cell prints it.
            wrong(f"{name} is not {describe(guess)}.\n{hint}".strip())


predictions = checklist.exercise(
    "4.1 What will it print?",
    Task(PRINTED.copy, {"no argument": lambda rng: ()}, verify=_foretold),
)

NAMES = ("L", "layer", "N", "slope", "weight", "output", "activation")


def _model(
    rng: Generator, L: int, layer: int, N: int, *deviations: float, seeded: bool = False
) -> Given:
    """Return arguments: the deviations up to 30 % larger, L if above 5, up to 2 more."""
    spread = zip(deviations, rng.uniform(1, 1.3, len(deviations)), strict=True)
    drawn = [float(f"{d * r:.3g}") if isinstance(d, float) else d for d, r in spread]
    numbers = (L + int(rng.integers(3)) * (L > 5), layer, N, *drawn)
    said = ", ".join(f"{name} = {value:g}" for name, value in zip(NAMES, numbers, strict=True))
    return Given((*numbers, _seed(rng)) if seeded else numbers, said=said)


def _seed(rng: Generator) -> Generator:
    return np.random.default_rng(rng.integers(2**32))


def _logs(n: int = 0, slopes: int = 0, weights: int = 0, **fixed: float) -> Callable[..., float]:
    """Return the formula with so many factors more of a kind, and numbers replaced."""

    def answer(*numbers: float) -> float:
        L, layer, N, *deviations = (dict(zip(NAMES, numbers, strict=True)) | fixed).values()
        powers = L - layer + 1 + slopes, L - layer + weights, 1, 1
        return (L - layer + n) * np.log10(N) + 2 * np.dot(powers, np.log10(deviations))

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
    *((6, 2, 1, 0.3, 3.0, 6.0, 0.2), (4, 2, 9, 0.5, 3.0, 1e-60, 1e-60)),  # one unit; tiny ends
    *((400, 2, 900, 1e7, 1e8, 2.0, 5.0), (400, 2, 3, 1e-7, 1e-8, 2.0, 5.0)),  # huge and tiny
)
log_variance = checklist.exercise(
    "4.4 The variance in logarithms",
    Task(
        LOGS,
        {"models": each(_model, *MODELS)},
        LOG_MISTAKES,
        rtol=1e-6,
        atol=1e-6,
        forbidden=[(gradients, "log10_variance")],
    ),
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


def _sampler_of(many: Callable[..., NDArray]) -> Callable[..., NDArray]:
    """Return a function that draws once, from one that draws many at once; it keeps both."""

    def once(*args: Any) -> NDArray:
        return many(1, *args)[0]

    once.many = many  # type: ignore[attr-defined]
    return once


def _sampler(
    layers: int = 0,
    top: bool = True,
    power: float = 1,
    kept: str = "",
    shared: bool = False,
    flipped: bool = False,
    **fixed: float,
) -> Callable[..., NDArray]:
    """Return a sampler; by options a wrong one: layers too many, slopes missing or kept, …."""

    def many(repeats: int, *numbers: Any) -> NDArray:
        *settings, rng = numbers
        given = dict(zip(NAMES, settings, strict=True)) | fixed
        L, layer, N, slope, weight, output, activation = given.values()

        def normal(std: float, *size: int) -> Any:
            return rng.normal(0, std**power, (repeats, *size))

        draw = {
            "D": lambda: normal(slope, 1 if shared else N, 1),
            "W": lambda: normal(weight, N, N),
        }
        draw |= {name: cache(draw[name]) for name in kept}
        delta = normal(output, N, 1) * (draw["D"]() if top else 1)
        for _ in range(L - layer + layers):
            delta = draw["D"]() * (draw["W"]() @ delta)
        gradients = delta * normal(activation, 1, N)
        return gradients.mT if flipped else gradients

    return _sampler_of(many)


def _law(call: Callable, answer: Callable, given: Given) -> dict[str, Any]:
    """Return what shows the law of a gradient: size, spread, signs, rank and its factors' tails.

    One unit wide, every factor shows: each adds to the spread of the logarithm, and one that is
    used twice adds more than two of their own.
    """
    N = given.args[2]
    repeats, scale = (600, 3) if N > 1 else (4500, 1)
    g = _draws(call, answer, given, (N, N), repeats)
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


TRANSPOSED = "The matrix is transposed: rows belong to δ, columns to the activations."
SAMPLE_MISTAKES = {
    "rng.normal takes a standard deviation, not a variance.": _sampler(power=2),
    "There are L − l + 1 slope matrices, one more than weight matrices.": _sampler(top=False),
    "There is a layer too many; draw L − l weight matrices.": _sampler(1),
    "A layer is missing; draw L − l weight matrices.": _sampler(-1),
    TRANSPOSED: _sampler(flipped=True),
    "Every layer has weights of its own; here all have the same.": _sampler(kept="W"),
    "Every layer has slopes of its own; here all have the same.": _sampler(kept="D"),
    "Every unit has a slope of its own; here one number is a layer's.": _sampler(shared=True),
    "The output gradient's deviation is missing.": _sampler(output=1),
    "The activation's deviation is missing.": _sampler(activation=1),
}
WIDE, NARROW = (5, 3, 24, 0.35, 3.0, 20.0, 0.04), (3, 2, 1, 3.0, 0.15, 0.04, 20.0)
sample_gradient = checklist.exercise(
    "4.5 Sample the gradient",
    Task(
        _sampler(),
        {"models": each(_model, WIDE, NARROW, (5, 2, 1, 2, 3, 5, 11), seeded=True)},
        SAMPLE_MISTAKES,
        observe=_law,
        rtol=0,
        atol=0.3,
        forbidden=[(gradients, "sample_gradient")],
    ),
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
    logs = np.log10(np.abs(gradient[gradient != 0].astype(np.float64)))
    seen: dict[str, Any] = {"scale of the x-axis": ax.get_xscale()}
    for name, value, exact, slack in (
        ("centre of the histogram of log10 |g|", center, logs.mean(), 0.8),
        ("spread of the histogram of log10 |g|", spread, logs.std(), 0.8),
        ("its left end", x.min() - bin_width / 2, logs.min(), 1.1),
        ("its right end", x.max() + bin_width / 2, logs.max(), 1.1),
    ):
        seen[name] = float(exact if abs(value - exact) <= slack * bin_width else value)
    label, title = ax.get_xlabel(), drawn.title(ax)
    for shown_figure in (figure, other):
        plt.close(shown_figure)
    named = re.search(r"10|₁₀|\bten\b|\blg\b|decimal|decade", label, re.IGNORECASE)
    zeros = str(int(np.sum(gradient == 0)))
    told = zeros in ["0", *re.findall(r"\d+", title)]
    seen["label of the x-axis"] = "one that tells base 10" if named else label
    seen["title"] = f"one with the number of zeros, {zeros}" if told else title
    return seen


def _histogram(values: Callable[[NDArray], NDArray]) -> Callable[..., Axes]:
    def answer(gradient: NDArray, ax: Axes) -> Axes:
        ax.hist(values(gradient[gradient != 0].astype(np.float64)), bins=30)
        ax.set(xlabel="log10 |g|", title=f"{np.sum(gradient == 0)} zeros")
        return ax

    return answer


HISTOGRAM_MISTAKES: dict[str, Callable[[NDArray], NDArray]] = {
    "These are natural logarithms; base 10 is asked for.": lambda g: np.log(np.abs(g)),
    "Only positive entries are drawn; take the absolute value first.": lambda g: np.log10(g[g > 0]),
    "The squares are drawn, not the magnitudes.": lambda g: np.log10(g**2),
    "The magnitudes themselves are drawn; take their logarithm.": np.abs,
}

GRADIENTS = (
    (-8, (50, 40), 67),
    (12, (4, 5, 6), 23),
    (-100, (1500,), 41),
    (-12, (2, 6), 0, np.float32),
)
plot_magnitudes = checklist.exercise(
    "4.6 A histogram of magnitudes",
    Task(
        _histogram(lambda g: np.log10(np.abs(g))),
        {"gradients": each(_magnitudes, *GRADIENTS)},
        {sentence: _histogram(values) for sentence, values in HISTOGRAM_MISTAKES.items()},
        observe=_seen,
        rtol=0.02,
        atol=0.3,
        single=(0.02, 0.3),
    ),
)


def _problem(
    rng: Generator,
    make: Callable[[], nn.Module],
    scale: float = 0.7,
    examples: int = 12,
    arrives: bool = False,
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
) -> Callable[..., NDArray]:
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
    Task(
        _sizes(),
        {"networks": each(_problem, *NETWORKS)},
        SIZE_MISTAKES,
        observe=_watched,
        single=(2e-4, 0),
    ),
)


def _weights(normal: bool, variance: Callable[[int, int], float], low: float = -1.0) -> Callable:
    def many(repeats: int, fan_in: int, fan_out: int, rng: Generator) -> NDArray:
        std, size = np.sqrt(variance(fan_in, fan_out)), (repeats, fan_out, fan_in)
        d = np.sqrt(3) * std
        return rng.normal(0, std, size) if normal else rng.uniform(low * d, d, size)

    return _sampler_of(many)


FANS = (150, 250), (350, 45), (2, 5), (9, 9)


def _fans(rng: Generator, fan_in: int, fan_out: int) -> Given:
    said = f"fan_in = {fan_in}, fan_out = {fan_out}"
    return Given((fan_in, fan_out, _seed(rng)), said=said)


def _moments(call: Callable, answer: Callable, given: Given) -> dict[str, float]:
    """Return what shows the law of the entries, in many matrices."""
    fan_in, fan_out, _ = given.args
    weights = _draws(call, answer, given, (fan_out, fan_in), 80_000 // (fan_in * fan_out))
    mean, std = weights.mean(), max(weights.std(), 1e-300)
    z = (weights - mean) / std
    neighbours = [
        np.mean(along[1:] * along[:-1])
        for along in (np.moveaxis(z, axis, 0) for axis in range(3))
        if len(along) > 1
    ]
    found = {
        "the mean, over the standard deviation": mean / std,
        "the variance, times (n_in + n_out)": std**2 * (fan_in + fan_out),
        "the fourth moment, over the squared variance": np.mean(np.square(z * z)),
        "the correlation of neighbouring entries": max(neighbours, key=abs),
    }
    return {name: round(float(value), 2) + 0.0 for name, value in found.items()}


def _initialiser(name: str, c: int) -> Task:
    """Return the task of drawing normal or uniform entries of variance c/(n_in + n_out)."""
    normal = name.endswith("normal")
    variances: dict[str, Callable[[int, int], float]] = {
        "Both fans enter: this divides by n_in where their mean belongs.": lambda i, o: c / 2 / i,
        "Both fans enter: this divides by n_out where their mean belongs.": lambda i, o: c / 2 / o,
        "n_in alone stands where n_in + n_out belongs.": lambda i, o: c / i,
        "This is the variance of the other initialisation.": lambda i, o: (6 - c) / (i + o),
    }

    def right(fan_in: int, fan_out: int) -> float:
        return c / (fan_in + fan_out)

    if normal:
        words = "rng.normal takes the standard deviation, not the variance."
        variances[words] = lambda i, o: right(i, o) ** 2
    else:
        words = "The half-width misses a factor √3: U(−h, h) has variance h²/3."
        variances[words] = lambda i, o: right(i, o) / 3
        words = "The interval is h wide; it should reach from −h to h."
        variances[words] = lambda i, o: right(i, o) / 4
        words = "The root is missing: U(−h, h) has variance h²/3."
        variances[words] = lambda i, o: 3 * right(i, o) ** 2
    mistakes = {sentence: _weights(normal, variance) for sentence, variance in variances.items()}
    other = "uniform; normal" if normal else "normal; uniform"
    mistakes[f"These entries are {other} ones are asked for."] = _weights(not normal, right)
    if not normal:
        mistakes["The entries run from 0 upwards, not from −h to h."] = _weights(False, right, 0.0)
    return Task(
        _weights(normal, right),
        {"fans": each(_fans, *FANS)},
        mistakes,
        observe=_moments,
        rtol=0.05,
        atol=0.04,
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
    Task(
        lambda: (4.0, -2.0),
        {"no argument": lambda rng: ()},
        {
            "Odd it is, but its slope is not 1: the slope of s itself is ¼.": lambda: (1, -0.5),
            "The shift has to grow with the scale: scaled by 4, s(0) is 2.": lambda: (4, -0.5),
            "The slope is right; the shift is missing.": lambda: (4, 0),
            "The sign is turned round.": lambda: (-4, 2),
            "The scale comes first, then the shift.": lambda: (-2, 4),
        },
        observe=lambda call, answer, given: as_array(call(answer)),
        verify=_meets_xavier,
    ),
)


def _ratios(
    second: Callable[[NDArray], Any] = lambda a: np.mean(a**2),
    spread: Callable[[NDArray], Any] = np.var,
    size: Callable[[NDArray], Any] = lambda z: np.mean(z**2),
    unit: Callable[[NDArray], NDArray] = activations.relu,
) -> Callable[[NDArray], NDArray]:
    return lambda z: np.array([second(unit(z)), spread(unit(z))]) / size(z)


def _normal(rng: Generator, size: int | tuple, mean: Any, std: float, dtype: type = float) -> Given:
    return Given((rng.normal(mean, std, size).astype(dtype),))


RATIO_MISTAKES = {
    "The two ratios are in the wrong order; E[a²] comes first.": lambda z: _ratios()(z)[::-1],
    "That is a standard deviation, the root of the variance.": _ratios(spread=np.std),
    "E[a²] is the mean of the squares, not the square of the mean.": _ratios(
        lambda a: a.mean() ** 2
    ),
    "½ and ½ − 1/(2π) are for large normal samples.": lambda z: np.array([0.5, 0.5 - 0.5 / np.pi]),
    "ReLU is missing: these are the ratios of z itself.": _ratios(unit=np.asarray),
    "Divide by the mean of z², not by the variance of z about its mean.": _ratios(size=np.var),
    "The division by the mean of z² is missing.": _ratios(size=lambda z: 1.0),
    "Both are E[a²]; a variance is taken about the mean.": _ratios(spread=lambda a: np.mean(a**2)),
}

SAMPLES = (
    *((5, [-3.0, -1.0, 0.5, 2.0, 4.0], 0.3), ((3, 4), 0.5, 2.0), ((2, 3, 4), -10.0, 1e4)),
    *((7, 0.0, 1e-4), (3000, 1.0, 3.0), (40, 0.5, 2.0, np.float32)),
)
SIGNS = (1, 5), (-1, 5), (1, 1)
relu_moments = checklist.exercise(
    "4.15 What ReLU leaves of a variance",
    Task(
        _ratios(),
        {
            "normal": each(_normal, *SAMPLES),
            "one sign": lambda rng: [(sign * rng.uniform(1, 9, n),) for sign, n in SIGNS],
        },
        RATIO_MISTAKES,
        rtol=1e-5,
        atol=1e-6,
    ),
)


kaiming = checklist.exercise(
    "4.16 Kaiming's weights", _initialiser("kaiming_normal", 4), _initialiser("kaiming_uniform", 4)
)


def _signal(
    rng: Generator, unit: str, gain: float, depth: int, size: int, dtype: type = float
) -> Given:
    g = round(gain * rng.uniform(1, 1.3), 2)
    t: NDArray = rng.normal(0.2, 1.2, size).astype(dtype)
    said = f"sigma = {unit}, gain = {g}, depth = {depth}, t of {size} numbers"
    return Given((activations.get(unit).value, g, depth, t), said=said)


def _mean_square(sigma: Callable, q: float, t: NDArray) -> Any:
    return np.mean(sigma(np.sqrt(q) * t) ** 2)


def _squares(
    step: Callable[..., Any] = lambda s, g, a, t: _mean_square(s, g * a, t), extra: int = 0
) -> Callable[..., NDArray]:
    def answer(sigma: Callable, gain: float, depth: int, t: NDArray) -> NDArray:
        squares = [1.0]
        for _ in range(depth + extra):
            squares.append(step(sigma, gain, squares[-1], t))
        return np.array(squares)

    return answer


STEPS = {
    "q is a variance: z = √q · t, not q · t.": lambda s, g, a, t: _mean_square(s, (g * a) ** 2, t),
    "The mean of the squares is asked for, not the square of the mean.": (
        lambda s, g, a, t: np.mean(s(np.sqrt(g * a) * t)) ** 2
    ),
    "The mean of a² is asked for, not the variance of a: ReLU's mean is not 0.": (
        lambda s, g, a, t: np.var(s(np.sqrt(g * a) * t))
    ),
    "The gain is missing.": lambda s, g, a, t: _mean_square(s, a, t),
    "Each layer starts from the last one's mean square.": lambda s, g, a, t: _mean_square(s, g, t),
}

SIGNALS = (
    *(("tanh", 1.4, 8, 4000), ("relu", 3.0, 5, 900), ("relu", 0.15, 40, 50)),
    *(("softplus", 0.5, 3, 5), ("sigmoid", 1.6, 1, 2000), ("tanh", 1.5, 4, 500, np.float32)),
)
predicted_squares = checklist.exercise(
    "4.17 Predict the mean square",
    Task(
        _squares(),
        {"signals": each(_signal, *SIGNALS)},
        {
            **{sentence: _squares(step) for sentence, step in STEPS.items()},
            "The input's mean square, 1, comes first.": lambda *given: _squares()(*given)[1:],
            "There are depth + 1 numbers; here is one more.": _squares(extra=1),
            "The last layer is missing; there are depth + 1 numbers.": _squares(extra=-1),
        },
        rtol=2e-5,
        atol=0,
    ),
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


GAIN_MISTAKES: dict[str, Callable] = {
    "That is √κ, as PyTorch gives it; n Var W is asked for.": lambda e: 1 / np.sqrt(e(2)),
    "That is E[σ(z)²]; the gain has to undo it.": lambda e: e(2),
    "The mean of σ counts, too: take E[σ(z)²], not the variance.": lambda e: 1 / (e(2) - e(1) ** 2),
    "That is E[σ(z)]², the square of the mean.": lambda e: 1 / max(e(1) ** 2, 1e-12),
    "The weights have to add up to 1: a factor √(2π) is off.": lambda e: (
        1 / e(2) / np.sqrt(2 * np.pi)
    ),
    "2 is ReLU's gain; any unit may come.": lambda e: 2.0,
}

gain_for = checklist.exercise(
    "4.19 A gain for any unit",
    Task(
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
        rtol=1e-3,
        atol=0,
        forbidden=[(depth, "gain_of")],
    ),
)
