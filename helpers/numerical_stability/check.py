"""Checks of notebook 04: floating point, random gradients, Xavier, Kaiming, signals in depth.

Answers that draw random numbers get a generator with a fixed seed. Their statistics are compared
with six standard errors to spare, so that a right answer fails less than once in a million.
"""

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle, StepPatch
from numpy.typing import NDArray
from torch import Tensor, nn

from helpers import activations, initialization
from helpers.networks import mlp
from helpers.numerical_stability import gradients
from helpers.numerical_stability.sine_fit import sine_mlp
from helpers.old_judge import (
    Checklist,
    as_array,
    call,
    describe,
    expect_close,
    expect_shape,
    malformed,
    wrong,
)

checklist = Checklist("4 · Numerical stability and initialisation")
progress = checklist.progress

SIGMAS = 6  # standard errors allowed to a statistic of random numbers
LOG_NAMES = ("L", "layer", "N", "slope", "weight", "output", "activation")

# For each expression of exercise 4.1: its value, and what the usual wrong guesses overlook.
C, D = 1e-250, 1e250
PREDICTIONS: dict[str, tuple[float, dict[float, str]]] = {
    "1e-10000": (0.0, {5e-324: "Half the smallest number and less is rounded to 0."}),
    "1e+10000": (
        float("inf"),
        {1.7976931348623157e308: "Overflow does not stop at the largest number."},
    ),
    "c + d - d": (
        C + D - D,
        {
            C: "So it is on paper. The machine stores c + d first, with 16 digits.",
            D: "d is taken off.",
        },
    ),
    "c * c": (C * C, {5e-324: "1e-500 lies far below the smallest number, not at it."}),
    "d * d": (
        D * D,
        {
            1.7976931348623157e308: "Overflow does not stop at the largest number either.",
            float("nan"): "A product above the largest number has a sign and a size: infinite.",
        },
    ),
    "d * d - d * d": (
        D * D - D * D,
        {
            0.0: "Both are infinite by then, and inf − inf is not 0.",
            float("inf"): "inf − inf is not inf either.",
        },
    ),
}


@checklist.exercise("4.1 What will it print?")
def predictions(answer: Callable) -> None:
    """Compare the six predictions with what Python computes."""
    received = call(answer)
    if not isinstance(received, Mapping):
        malformed(f"expected a dictionary with six predictions, received {describe(received)}")
    missing = [name for name in PREDICTIONS if name not in received]
    if missing:
        malformed(f"no prediction for {', '.join(missing)}")
    for name, (value, guesses) in PREDICTIONS.items():
        guess = received[name]
        if isinstance(guess, str) or guess is ... or guess is None:
            malformed(f"{name}: expected a number, received {describe(guess)}")
        number = float(as_array(guess, name))
        if not np.array_equal(number, value, equal_nan=True):
            hints = [h for g, h in guesses.items() if np.array_equal(number, g, equal_nan=True)]
            # The right value is the machine's to tell: the next cell prints it.
            wrong("\n".join([f"{name} is not {describe(number)}.", *hints]))


def _logs(numbers: Sequence[float], slopes: int = 0, weights: int = 0, widths: int = 0) -> float:
    """Return the formula's log₁₀ with so many factors too many of each kind."""
    L, layer, N, *deviations = numbers
    log_n, slope, weight, output, activation = np.log10([N, *deviations])
    steps = L - layer
    return float(
        (steps + widths) * log_n
        + 2 * ((steps + 1 + slopes) * slope + (steps + weights) * weight + output + activation)
    )


def _log_mistakes(numbers: Sequence[float]) -> dict[str, float]:
    L, layer, N, slope, weight, output, activation = numbers
    right = _logs(numbers)
    return {
        "These are natural logarithms; log10 is asked for.": right * np.log(10),
        "That is half of it: log10 of the standard deviation.": right / 2,
        "The deviations enter a variance squared.": (right + (L - layer) * np.log10(N)) / 2,
        "There are L − l + 1 slope matrices, one more than weight matrices.": _logs(numbers, -1),
        "There are L − l weight matrices, those of layers l + 1 to L.": _logs(numbers, 0, 1),
        "One weight matrix too many, with its sum over N terms: there are L − l.": _logs(
            numbers, 0, 1, 1
        ),
        "N occurs L − l times, once for each sum over k.": _logs(numbers, 0, 0, 1),
        "N is missing: each of the L − l weight matrices brings a sum of N terms.": _logs(
            (L, layer, 1, slope, weight, output, activation)
        ),
        "N to the power L − l, not 2(L − l): a sum of N terms has N times the variance.": _logs(
            (L, layer, N * N, slope, weight, output, activation)
        ),
        "The product runs from layer l to layer L, not to layer L − 1.": _logs(
            (L - 1, *numbers[1:])
        ),
        "The gradient ends in the activation: its variance is missing.": _logs((*numbers[:-1], 1)),
        "The gradient at the output is missing.": _logs((*numbers[:-2], 1, activation)),
    }


@checklist.exercise("4.2 The variance in logarithms")
def log_variance(answer: Callable) -> None:
    """Compare log10 of the variance with the model's, also far out of float64's range."""
    for numbers in ((8, 2, 64, 3.0, 2.0, 5.0, 0.7), (6, 3, 10, 0.5, 0.1, 2.0, 3.0)):
        given = _named(numbers)
        expected = gradients.log10_variance(_model(numbers))
        received = as_array(call(answer, *numbers), given)
        if received.shape == () and np.isclose(received, 10**expected, rtol=1e-6):
            wrong(f"for {given}: that is the variance itself; return its logarithm, base 10.")
        expect_close(received, expected, given, rtol=1e-6, mistakes=_log_mistakes(numbers))
    for numbers in ((64, 2, 256, 2.0, 1024.0, 2.0, 2.0), (64, 2, 256, 2.0, 0.001, 2.0, 2.0)):
        given = _named(numbers)
        received = as_array(call(answer, *numbers), given)
        if received.shape == () and not np.isfinite(received):
            wrong(
                f"for {given}: received {describe(received)}. The product left float64's range\n"
                "before its logarithm was taken; add the factors' logarithms instead."
            )
        expected = gradients.log10_variance(_model(numbers))
        expect_close(received, expected, given, rtol=1e-6)


def _model(numbers: Sequence[float]) -> gradients.RandomProduct:
    L, layer, N, *deviations = numbers
    return gradients.RandomProduct(int(L), int(layer), int(N), *deviations)


def _named(numbers: Sequence[float]) -> str:
    return ", ".join(f"{name} = {value:g}" for name, value in zip(LOG_NAMES, numbers, strict=True))


@checklist.exercise("4.3 Sample the gradient")
def sample_gradient(answer: Callable) -> None:
    """Compare size, spread and shape of 300 sampled gradients with the model's law."""
    numbers, repeats = (6, 3, 24, 0.4, 3.0, 20.0, 0.3), 300
    given = _named(numbers)
    first = as_array(call(answer, *numbers, np.random.default_rng(1)), given)
    expect_shape(first, (24, 24), given, "The outer product of δ and a has N rows and N columns.")
    again = as_array(call(answer, *numbers, np.random.default_rng(1)), given)
    other = as_array(call(answer, *numbers, np.random.default_rng(2)), given)
    if not np.array_equal(first, again) or np.array_equal(first, other):
        wrong("The sample does not depend on rng alone: take every random number from rng.")
    rank = np.linalg.matrix_rank(first, tol=1e-4 * np.linalg.norm(first))  # float32 will do
    if rank != 1:
        wrong(f"for {given}: the matrix has rank {rank}; a column times a row, δ aᵀ, has rank 1.")
    rng = np.random.default_rng(3)
    sampled = np.array([as_array(answer(*numbers, rng), given) for _ in range(repeats)])
    _compare_sizes(sampled, numbers, given)
    _compare_sides(sampled, given)


def _size_mistakes(numbers: Sequence[float]) -> dict[str, float]:
    L, layer, N, slope, weight, output, activation = numbers
    return {
        "A weight matrix is missing; there are L − l of them.": _logs(numbers, 0, -1, -1),
        "There is a weight matrix too many; there are L − l of them.": _logs(numbers, 0, 1, 1),
        "There are L − l + 1 slope matrices, one more than weight matrices.": _logs(numbers, -1),
        "There is a layer too many, slopes and weights.": _logs((L + 1, *numbers[1:])),
        "rng.normal takes a standard deviation, not a variance (its square).": _logs(
            (L, layer, N, *np.square(numbers[3:]))
        ),
        "The roots of the deviations are taken; they are no variances.": _logs(
            (L, layer, N, *np.sqrt(numbers[3:]))
        ),
        "The slopes are missing, or their deviation.": _logs(
            (L, layer, N, 1, weight, output, activation)
        ),
        "The activation's deviation is missing.": _logs((*numbers[:-1], 1)),
        "The output gradient's deviation is missing.": _logs((*numbers[:-2], 1, activation)),
    }


def _compare_sizes(sampled: NDArray, numbers: Sequence[float], given: str) -> None:
    logs = np.log10(np.mean(sampled**2, axis=(1, 2)))
    # The same law by another route: without matrices.
    reference = gradients.sample_log10(_model(numbers), 4000, np.random.default_rng(0)).mean_square
    error = SIGMAS * reference.std() * np.sqrt(1 / len(logs) + 1 / len(reference))
    difference = logs.mean() - reference.mean()
    off = {s: value - _logs(numbers) for s, value in _size_mistakes(numbers).items()}
    nearest = min(off, key=lambda s: abs(difference - off[s]))
    said = (
        f"for {given}: log10 of the mean square is {logs.mean():.2f} on average over "
        f"{len(logs)} gradients, expected {reference.mean():.2f} ± {error:.2f}"
    )
    if not abs(difference) < error and abs(difference - off[nearest]) < error:
        wrong(f"{nearest}\n{said}")
    if not 0.7 < logs.std() / reference.std() < 1.45:
        wrong(
            f"for {given}: one gradient differs from the next by {logs.std():.2f} powers of ten, "
            f"expected about {reference.std():.2f}.\n"
            "Every layer has N slopes and N × N weights of its own, all drawn anew."
        )
    if not abs(difference) < error:
        wrong(said)


def _compare_sides(sampled: NDArray, given: str) -> None:
    # δ is a product of two normal vectors and so has heavier tails than the normal a.
    u, _, vt = np.linalg.svd(sampled)
    rows, columns = (24 * np.mean(np.sum(x**4, axis=1)) for x in (u[:, :, 0], vt[:, 0, :]))
    if rows < columns:
        wrong(
            f"for {given}: the matrix is transposed. Its rows belong to δ, the layer's outputs,\n"
            "and its columns to the activations, its inputs: δ aᵀ, np.outer(delta, a)."
        )


def drawn_histogram(ax: Axes) -> tuple[NDArray, NDArray]:
    """Return the places and the heights of the histogram on the axes, however it was drawn.

    Raises:
        Finding: there are neither bars nor an outline nor a line.
    """
    bars = [p for p in ax.patches if isinstance(p, Rectangle)]
    steps = [p for p in ax.patches if isinstance(p, StepPatch)]
    outlines = [p.get_path().vertices for p in ax.patches if p not in bars and p not in steps]
    outlines += [np.asarray(line.get_xydata()) for line in ax.lines]
    if bars:
        x = [bar.get_x() + bar.get_width() / 2 for bar in bars]
        return np.array(x), np.array([bar.get_height() for bar in bars])
    if steps:
        values, edges, _ = steps[0].get_data()
        return (edges[1:] + edges[:-1]) / 2, np.asarray(values)
    if outlines:
        xy = np.asarray(outlines[0])
        return (xy[1:, 0] + xy[:-1, 0]) / 2, np.diff(xy[:, 0]).clip(0) * (xy[1:, 1] + xy[:-1, 1])
    malformed("nothing is drawn on the axes that were given; draw with ax.hist, not plt.hist")


def bars_center(ax: Axes) -> tuple[float, float]:
    """Return the mean and the standard deviation of the histogram drawn on the axes."""
    x, heights = drawn_histogram(ax)
    center = np.average(x, weights=heights)
    return float(center), float(np.sqrt(np.average((x - center) ** 2, weights=heights)))


@checklist.exercise("4.4 A histogram of magnitudes")
def plot_magnitudes(answer: Callable) -> None:
    """Look at the drawn histogram's centre and width, the title's zeros and the label."""
    rng = np.random.default_rng(0)
    magnitudes = 10.0 ** rng.normal(-8, 1.5, (50, 40))
    gradient = np.where(magnitudes > 1e-8, 1, -1) * magnitudes  # large ones positive, by design
    gradient.flat[::29] = 0
    zeros = int(np.sum(gradient == 0))
    figure = Figure()
    FigureCanvasAgg(figure)
    ax = figure.subplots()
    given = f"a gradient of shape (50, 40) with {zeros} zeros"
    # The axes are to be drawn on; `call` would hand over a copy of them.
    returned = call(lambda gradient: answer(gradient, ax), gradient)
    if not isinstance(returned, Axes):
        malformed(f"for {given}: expected the axes back, received {describe(returned)}")
    _compare_histogram(ax, gradient)
    if not ax.get_xlabel():
        wrong("The x-axis has no label; say what it shows, and the base of the logarithm.")
    if str(zeros) not in "".join(ax.get_title(place) for place in ("left", "center", "right")):
        wrong(f"{zeros} entries are exactly 0 and the title does not say so.")


def _compare_histogram(ax: Axes, gradient: NDArray) -> None:
    if ax.get_xscale() == "log":
        wrong("The x-axis has a logarithmic scale. Take the logarithm of the values instead.")
    center, width = bars_center(ax)
    logs = np.log10(np.abs(gradient[gradient != 0]))
    expected = logs.mean(), logs.std()
    if np.allclose([center, width], expected, atol=0.3):
        return
    positive = np.log10(gradient[gradient > 0])
    floor = logs.min() - 3
    named = ""
    if np.allclose([center, width], np.log(10) * np.array(expected), rtol=0.05):
        named = "These are natural logarithms (np.log); base 10 is asked for.\n"
    elif np.allclose([center, width], np.log2(10) * np.array(expected), rtol=0.05):
        named = "These are logarithms to base 2; base 10 is asked for.\n"
    elif np.allclose([center, width], [positive.mean(), positive.std()], atol=0.3):
        named = "Only positive entries are drawn; take the absolute value first.\n"
    elif np.allclose([center, width], 2 * np.array(expected), rtol=0.05):
        named = "The squares are drawn, not the magnitudes.\n"
    elif abs(center) < 1:
        named = "The magnitudes themselves are drawn; take their logarithm.\n"
    elif drawn_histogram(ax)[0].min() < floor:
        named = "Zeros are drawn as if they were tiny numbers; leave them out of the bars.\n"
    wrong(
        f"{named}the histogram's centre is {center:.2f} and its spread {width:.2f}, expected "
        f"{expected[0]:.2f} and {expected[1]:.2f}"
    )


@checklist.exercise("4.5 The size of each layer's gradient")
def layer_gradients(answer: Callable) -> None:
    """Compare each layer's mean absolute gradient with autograd's, once and once more."""
    rng = np.random.default_rng(0)
    inputs = torch.tensor(rng.normal(size=(12, 2)), dtype=torch.float32)
    targets = torch.tensor(rng.normal(size=(12, 1)), dtype=torch.float32)
    for network in (sine_mlp(4, 7, "tanh"), mlp([2, 5, 3, 1], "relu", bias=True)):
        initialization.initialize(network, "kaiming_normal", rng)
        given = f"a network of {sum(isinstance(m, nn.Linear) for m in network)} linear layers"
        found = _gradients(network, inputs, targets)
        expected = np.array([g.abs().mean().item() for g in found])
        received = as_array(_numbers(call(answer, network, inputs, targets)), given)
        expect_shape(received, expected.shape, given, "One number for each linear layer's weights.")
        mistakes = {
            "First the absolute value, then the mean: signs cancel.": [g.mean() for g in found],
            "The mean comes first here, and its absolute value after it; do it the other way "
            "round.": [g.mean().abs() for g in found],
            "That is the sum over the weights; the mean is asked for.": [
                g.abs().sum() for g in found
            ],
            "That is the largest entry; the mean is asked for.": [g.abs().max() for g in found],
            "That is the norm; the mean absolute entry is asked for.": [g.norm() for g in found],
            "That is the root of the mean square; the mean of |g| is asked for.": [
                g.square().mean().sqrt() for g in found
            ],
            "The layers are in reverse order; the first layer comes first.": expected[::-1],
            "The loss is the mean of the squared errors, not their sum.": len(inputs) * expected,
            "The loss has a factor ½ here; the mean squared error has none.": expected / 2,
        }
        outcomes = {
            sentence: np.array(values, dtype=float) for sentence, values in mistakes.items()
        }
        expect_close(received, expected, given, rtol=1e-4, mistakes=outcomes)
        _call_twice(answer, network, inputs, targets, expected, given)


def _call_twice(
    answer: Callable,
    network: nn.Sequential,
    inputs: Tensor,
    targets: Tensor,
    expected: NDArray,
    given: str,
) -> None:
    before = [p.detach().clone() for p in network.parameters()]
    answer(network, inputs, targets)
    second = as_array(_numbers(answer(network, inputs, targets)), given)
    if any(not torch.equal(b, p) for b, p in zip(before, network.parameters(), strict=True)):
        wrong(f"for {given}: the network's weights have changed; only look at the gradients.")
    if not np.allclose(second, expected, rtol=1e-4):
        wrong(
            f"for {given}, called a second time: expected {describe(expected)}, received "
            f"{describe(second)}.\nbackward() adds to the gradients there are; empty them first."
        )


def _gradients(network: nn.Sequential, inputs: Tensor, targets: Tensor) -> tuple[Tensor, ...]:
    weights = [layer.weight for layer in network if isinstance(layer, nn.Linear)]
    return torch.autograd.grad((network(inputs) - targets).square().mean(), weights)


def _numbers(value: object) -> object:
    if isinstance(value, (list, tuple)):
        return [v.detach().item() if isinstance(v, Tensor) and v.numel() == 1 else v for v in value]
    return value


def _check_draw(name: str, answer: Callable, numerator: float) -> None:
    """Compare shape, variance numerator/(n_in + n_out) and distribution of a drawn matrix."""
    fan_in, fan_out = 300, 500
    given = f"{name}, fan_in = {fan_in}, fan_out = {fan_out}"

    def draw(seed: int) -> NDArray:
        return as_array(call(answer, fan_in, fan_out, np.random.default_rng(seed)), given)

    weights = draw(0)
    hint = "There is one row for each output and one column for each input."
    if weights.shape == (fan_in, fan_out):
        hint = "The matrix is transposed: a row belongs to an output, so there are fan_out rows."
    expect_shape(weights, (fan_out, fan_in), given, hint)
    if not np.array_equal(weights, draw(0)) or np.array_equal(weights, draw(1)):
        wrong(f"{given}: the weights do not come from rng alone; draw them with rng's methods.")
    variance, other = numerator / (fan_in + fan_out), 6 - numerator
    mistakes = {
        "Both fans enter: this divides by n_in where (n_in + n_out)/2 belongs.": (
            numerator / 2 / fan_in
        ),
        "Both fans enter: this divides by n_out where (n_in + n_out)/2 belongs.": (
            numerator / 2 / fan_out
        ),
        "n_in alone stands where n_in + n_out belongs.": numerator / fan_in,
        f"The variance {other:g}/(n_in + n_out) is {'Kaiming' if other == 4 else 'Xavier'}'s.": (
            other / (fan_in + fan_out)
        ),
        "The 2 of the harmonic mean is missing.": variance / 2,
    }
    if "uniform" in name:
        mistakes |= {
            "The half-width misses a factor √3: U(−d, d) has variance d²/3.": variance / 3,
            "That d is the square of the half-width; take its root.": 3 * variance**2,
            "The interval is d wide in all; it should reach from −d to d.": variance / 4,
        }
    else:
        mistakes["Variance for standard deviation: rng.normal takes the deviation."] = variance**2
    _compare_draw(weights, variance, 9 / 5 if "uniform" in name else 3, mistakes, given)


def _compare_draw(
    weights: NDArray, variance: float, kurtosis: float, mistakes: Mapping[str, float], given: str
) -> None:
    n = weights.size
    mean, received = float(weights.mean()), float(np.mean((weights - weights.mean()) ** 2))
    error = SIGMAS * np.sqrt((kurtosis - 1) / n)
    if abs(mean) > SIGMAS * np.sqrt(received / n):
        sentence = (
            "The entries run from 0 upwards, not from −d to d.\n" if weights.min() >= 0 else ""
        )
        wrong(f"{sentence}{given}: the mean is {mean:.4g}, expected 0 (give or take chance)")
    if abs(received / variance - 1) > error:
        named = [s for s, v in mistakes.items() if abs(received / v - 1) < error]
        said = (
            f"{given}: variance {received:.5g}, expected {variance:.5g} (± {error:.1%} for chance)"
        )
        wrong("\n".join([*named[:1], said]))
    tails = float(np.mean(weights**4)) / received**2
    if abs(tails - kurtosis) > SIGMAS * np.sqrt(96 / n):
        kind = "normal" if kurtosis == 3 else "uniform"
        wrong(
            f"{given}: the variance is right and the distribution is not {kind}: the fourth moment "
            f"is {tails:.3f} times the squared variance, expected {kurtosis:g}"
        )


@checklist.exercise("4.6 Xavier's weights")
def xavier(normal: Callable, uniform: Callable) -> None:
    """Compare both draws' shape, variance and distribution with Xavier's."""
    _check_draw("xavier_normal", normal, 2)
    _check_draw("xavier_uniform", uniform, 2)


@checklist.exercise("4.7 Scale and shift of the sigmoid")
def sigmoid_map(answer: Callable) -> None:
    """Ask of scale · s(z) + shift to be odd with slope 1 at 0."""
    received = as_array(call(answer), "the pair (scale, shift)").astype(float)
    expect_shape(received, (2,), "the pair (scale, shift)", "Return two numbers.")
    scale, shift = (float(x) for x in received)
    slope, middle = scale / 4, scale / 2 + shift
    said = f"{scale:g} s(z) + ({shift:g}) has the value {middle:g} and the slope {slope:g} at 0"
    if np.isclose(slope, 1) and np.isclose(middle, 0):
        return
    if np.isclose(middle, 0):
        wrong(f"Odd it is, but its slope is not 1: {said}. The slope of s itself is ¼.")
    if np.isclose(slope, 1) and np.isclose(shift, -0.5):
        wrong(f"The shift has to grow with the scale: {said}. Scaled by {scale:g}, s(0) is 2.")
    if np.isclose(slope, 1):
        wrong(f"The slope is right, but an odd function is 0 at 0: {said}.")
    if np.isclose(slope, -1):
        wrong(f"The sign is turned round: {said}.")
    wrong(f"Neither odd nor of slope 1: {said}.")


@checklist.exercise("4.8 What ReLU leaves of a variance")
def relu_moments(answer: Callable) -> None:
    """Compare the two ratios for small samples, where every slip shows."""
    for z in (np.array([-3.0, -1.0, 0.5, 2.0, 4.0]), np.random.default_rng(0).normal(size=8)):
        given = f"z = {describe(z)}"
        a, size = activations.relu(z), np.mean(z**2)
        expected = np.array([np.mean(a**2), np.var(a)]) / size
        received = as_array(_numbers(call(answer, z)), given)
        expect_shape(received, (2,), given, "Return two numbers: E[a²] and Var a over E[z²].")
        mistakes = {
            "The two ratios are in the wrong order: the second moment comes first.": expected[::-1],
            "The variance divides by n − 1 here (degrees of freedom); divide by n.": [
                expected[0],
                np.var(a, ddof=1) / size,
            ],
            "That is a standard deviation, the root of the variance.": [
                expected[0],
                np.std(a) / size,
            ],
            "E[a²] is the mean of the squares, not the square of the mean.": [
                np.mean(a) ** 2 / size,
                expected[1],
            ],
            "Those are ½ and ½ − 1/(2π), the values for a large normal sample; compute them from "
            "z.": [0.5, 0.5 - 0.5 / np.pi],
            "ReLU is missing: these are the ratios of z itself.": [1.0, np.var(z) / size],
            "Divide by the mean of z², not by the variance of z about its mean.": [
                np.mean(a**2) / np.var(z),
                np.var(a) / np.var(z),
            ],
            "The division by the mean of z² is missing.": expected * size,
            "Both are the second moment; a variance is taken about the mean.": [expected[0]] * 2,
            "Only the positive entries are averaged; the zeros of a count too.": [
                np.mean(z[z > 0] ** 2) / size,
                np.var(z[z > 0]) / size,
            ],
        }
        expect_close(received, expected, given, rtol=1e-6, mistakes=mistakes)


@checklist.exercise("4.9 Kaiming's weights")
def kaiming(normal: Callable, uniform: Callable) -> None:
    """Compare both draws' shape, variance and distribution with Kaiming's."""
    _check_draw("kaiming_normal", normal, 4)
    _check_draw("kaiming_uniform", uniform, 4)


def _predicted(step: Callable[[Callable, float, float, NDArray], float]) -> Callable[..., NDArray]:
    def predict(sigma: Callable, gain: float, depth: int, t: NDArray) -> NDArray:
        squares = [1.0]
        for _ in range(depth):
            squares.append(step(sigma, gain, squares[-1], t))
        return np.array(squares)

    return predict


SQUARE_MISTAKES = {
    "q is a variance: z = √q · t, not q · t.": _predicted(
        lambda s, g, a, t: np.mean(s(g * a * t) ** 2)
    ),
    "The mean of the squares is asked for, not the square of the mean.": _predicted(
        lambda s, g, a, t: np.mean(s(np.sqrt(g * a) * t)) ** 2
    ),
    "The mean of a² is asked for, not the variance of a: ReLU's mean is not 0.": _predicted(
        lambda s, g, a, t: np.var(s(np.sqrt(g * a) * t))
    ),
    "The gain belongs inside, into the variance of z.": _predicted(
        lambda s, g, a, t: g * np.mean(s(np.sqrt(a) * t) ** 2)
    ),
    "The gain is missing.": _predicted(lambda s, g, a, t: np.mean(s(np.sqrt(a) * t) ** 2)),
    "Each layer starts from the last one's mean square, not from the input's.": _predicted(
        lambda s, g, a, t: np.mean(s(np.sqrt(g) * t) ** 2)
    ),
    "These are root mean squares; square them.": _predicted(
        lambda s, g, a, t: np.sqrt(np.mean(s(np.sqrt(g) * a * t) ** 2))
    ),
    "The unit is missing: that is the variance of z.": _predicted(lambda s, g, a, t: g * a),
}


@checklist.exercise("4.10 Predict the mean square")
def predicted_squares(answer: Callable) -> None:
    """Compare the predictions for tanh and ReLU with those by the same sample."""
    t = np.random.default_rng(0).normal(size=4000)
    exact = _predicted(lambda s, g, a, t: np.mean(s(np.sqrt(g * a) * t) ** 2))
    for name, gain, depth in (("relu", 1.3, 5), ("tanh", 1.6, 8)):
        given = f"sigma = {name}, gain = {gain}, depth = {depth}, t of 4000 numbers"
        sigma = activations.get(name).value
        received = as_array(_numbers(call(answer, sigma, gain, depth, t)), given)
        short = received.shape == (depth,)
        hint = f"With the input's mean square, 1, there are depth + 1 = {depth + 1} numbers."
        expect_shape(received, (depth + 1,), given, hint if short else "")
        mistakes = {s: predict(sigma, gain, depth, t) for s, predict in SQUARE_MISTAKES.items()}
        expect_close(received, exact(sigma, gain, depth, t), given, rtol=1e-6, mistakes=mistakes)
