"""The exercises of notebook 05: gradient as a product, bounds, spectra, decay, normalisation."""

from collections.abc import Callable, Sequence
from functools import partial
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from numpy.random import Generator
from numpy.typing import NDArray
from torch.nn import functional as F

from helpers.differences import Remark, by_name
from helpers.gradient_bounds import bounds, normalization, spectra
from helpers.judge import Answer, Checklist, Given, each, named

checklist = Checklist("5 · Gradient bounds", torch=True)
progress = checklist.progress

Layers = Sequence[NDArray]
_within = partial(checklist.exercise, near=(1e-5, 1e-6))


def _weights(rng: Generator, widths: Sequence[int]) -> list[NDArray]:
    return [rng.normal(size=(m, n)) for n, m in pairwise(widths)]


def _network(rng: Generator, *widths: int, alike: bool = False, dead: bool = False) -> Given:
    """Return x, weights, slopes, of which each layer's steepest is below 0, and ∂L/∂ŷ."""
    weights = _weights(rng, widths)
    slopes = [rng.uniform(0.2, 0.7, n) * rng.uniform(0.5, 1) for n in widths[1:-1]]
    for d in slopes:
        d[rng.integers(len(d))] = -rng.uniform(0.8, 1.2)
    if alike:  # two rows of W⁽²⁾
        weights[1][1] = weights[1][0]
    if dead:
        slopes[0][1] = 0.0
    args = rng.normal(size=widths[0]), weights, slopes, rng.normal(size=widths[-1])
    return Given(args, said=f"a network of widths {widths}")


def _pass(rng: Generator, *widths: int) -> Given:
    """Return weights, slopes, each layer's input and ∂L/∂ŷ."""
    _, weights, slopes, g = _network(rng, *widths, dead=len(widths) > 2).args
    inputs = [rng.normal(size=n) for n in widths[:-1]]
    return Given((weights, slopes, inputs, g), said=f"a network of widths {widths}")


def _backward(weights: Layers, slopes: Layers, inputs: Layers, g: NDArray) -> list[NDArray]:
    return [*map(np.outer, bounds.backward(weights, slopes, g), inputs)]


def _stepwise(step: Answer) -> Answer:
    """Return the backward pass that gets δ⁽ˡ⁾ from W⁽ˡ⁺¹⁾, W⁽ˡ⁾, the slopes and v = δ⁽ˡ⁺¹⁾."""

    def answer(weights: Layers, slopes: Layers, inputs: Layers, g: NDArray) -> list[NDArray]:
        deltas = [g]
        for k in range(len(slopes), 0, -1):
            deltas.insert(0, step(weights[k], weights[k - 1], slopes[k - 1], deltas[0]))
        return [*map(np.outer, deltas, inputs)]

    return answer


STEPS: dict[str, Answer] = {
    "The slopes σ′(z) are missing: the gradient passes each unit.": lambda W, own, d, v: W.T @ v,
    "W is used where its transpose Wᵀ is needed.": lambda W, own, d, v: d * (W @ v),
    "The weights of the wrong layer: δ⁽ˡ⁾ needs W⁽ˡ⁺¹⁾.": lambda W, own, d, v: d * (own.T @ v),
    "The order is wrong: first W⁽ˡ⁺¹⁾ᵀ, then D⁽ˡ⁾.": lambda W, own, d, v: W.T @ (d * v),
    "The slopes are taken without their sign.": lambda W, own, d, v: np.abs(d) * (W.T @ v),
}
PASSES: dict[str, Answer] = {
    "A gradient is transposed: it is δ⁽ˡ⁾ a⁽ˡ⁻¹⁾ᵀ.": lambda *args: [G.T for G in _backward(*args)],
    "The list begins with the last layer, not with layer 1.": lambda *args: _backward(*args)[::-1],
    **{sentence: _stepwise(step) for sentence, step in STEPS.items()},
}
WIDTHS = each(_pass, (3, 3, 3, 3), (3, 5, 4, 2), (4, 3, 1), (2, 4, 3, 5, 4, 2), (4, 2))
backward = _within(
    "5.1 The backward pass",
    _backward,
    WIDTHS,
    PASSES,
    forbidden=[(bounds, "backward")],
    hint="δ comes through Wᵀ of the layer above, times the slopes; then times the layer's input.",
)


def _matrix(rng: Generator, said: str, make: Answer) -> Given:
    A = make(rng)
    return Given((A,), said=f"A = {np.array2string(A, separator=', ')}" if A.size < 5 else said)


def _from_ones(A: NDArray) -> float:
    v = np.ones(A.shape[1])
    for _ in range(300):
        v = A.T @ (A @ v)
        v = v / np.linalg.norm(v)
    return float(np.linalg.norm(A @ v))


MATRICES: dict[str, Answer] = {
    "2 × 2": lambda rng: rng.normal(size=(2, 2)).round(3),
    "a shear": lambda rng: np.array([[0.0, round(rng.uniform(1, 5), 3)], [0.0, 0.0]]),
    "least along (1, 1)": lambda rng: np.array([[2.0, -1], [-1, 2]]) * rng.choice([1, 2, 4]),
    "a 4 × 9 matrix": lambda rng: rng.normal(size=(4, 9)),
    "a 9 × 4 matrix": lambda rng: rng.normal(size=(9, 4)),
    "a diagonal": lambda rng: np.diag([1.0, 2.0, -round(rng.uniform(3, 9), 3)]),
    "one column": lambda rng: rng.normal(size=(3, 1)).round(3),
    "a 40 × 40 matrix whose largest singular values lie close together": (
        lambda rng: np.linalg.qr(rng.normal(size=(40, 40)))[0] * np.linspace(3, 1.5, 40)
    ),
    "a 6 × 6 matrix of numbers near 1e8": lambda rng: 1e8 * rng.normal(size=(6, 6)),
    "a 6 × 6 matrix of numbers near 1e-4": lambda rng: 1e-4 * rng.normal(size=(6, 6)),
}


def _of_a_matrix(x: Any, ord: Any = None, *_: Any, **__: Any) -> bool:  # noqa: A002 - as NumPy's
    """of a matrix"""  # noqa: D403, D415 - ends the name in the message
    return np.ndim(x) == 2 and ord is not None


DECOMPOSITIONS = ("svd", "svdvals", "eigh", "eigvalsh", "cond", "eig", "eigvals", "matrix_norm")
spectral_norm = checklist.exercise(
    "5.2 The largest stretch",
    bounds.largest_stretch,
    each(_matrix, *MATRICES.items()),
    {
        "This is σ₁²; take its root.": lambda A: bounds.largest_stretch(A) ** 2,
        "This is the Frobenius norm √(Σσᵢ²); only the largest σ counts.": np.linalg.norm,
        "This is the smallest singular value.": lambda A: np.linalg.svdvals(A)[-1],
        "This is A's longest column.": lambda A: np.linalg.norm(A, axis=0).max(),
        "What starts at (1, 1, …) may stay there: start from a random vector.": _from_ones,
    },
    near=(2e-3, 0),
    forbidden=[
        (np.linalg, "norm", _of_a_matrix),
        *((home, name) for home in (np.linalg, torch.linalg) for name in DECOMPOSITIONS),
    ],
    hint="The step is u ← AᵀAu, divided by its length; it takes many of them. End with ‖Au‖.",
)


def _bound(pick: Answer, stretch: Answer, size: Answer = np.abs) -> Answer:
    """Return the answer ‖x‖ · ∏ pick(size(slopes)) stretch(W) · ‖g‖."""
    return lambda x, Ws, ds, g: np.prod(
        [pick(size(d)) * stretch(W) for d, W in zip(ds, Ws[1:], strict=True)]
        + [np.linalg.norm(x), np.linalg.norm(g)]
    )


def _either(pick: Answer, stretch: Answer) -> dict[str, Answer]:
    """Return the mistakes that either bound invites."""
    right = _bound(pick, stretch)
    return {
        "‖x‖ is missing.": lambda x, Ws, ds, g: right(1, Ws, ds, g),
        "‖∂L/∂ŷ‖ is missing.": lambda x, Ws, ds, g: right(x, Ws, ds, 1),
        "W⁽¹⁾ is no factor of it.": lambda x, Ws, ds, g: right(x, [x, *Ws], [1, *ds], g),
        "These are W⁽¹⁾ … W⁽ᴸ⁻¹⁾; the product takes W⁽²⁾ … W⁽ᴸ⁾.": (
            lambda x, Ws, ds, g: right(x, [x, *Ws[:-1]], ds, g)
        ),
        "This bounds each D Wᵀ in one piece: better, but it comes later; here each by itself.": (
            lambda x, Ws, ds, g: right(x, [x, *map(np.multiply, Ws[1:], ds)], [1.0] * len(ds), g)
        ),
        "The slopes are missing.": _bound(lambda d: 1.0, stretch),
        "The slopes' signs have to go first.": _bound(pick, stretch, np.positive),
    }


_upper = _bound(np.max, bounds.largest_stretch)
upper_bound = checklist.exercise(
    "5.3 The upper bound",
    _upper,
    each(_network, (4, 6, 5, 3), (3, 7, 2), (5, 4, 4, 3, 5, 4, 1), (3, 2)),
    {
        "The Frobenius norm bounds less well; take σ_max.": _bound(np.max, np.linalg.norm),
        "Each layer has a steepest slope of its own; this takes the network's.": (
            lambda x, Ws, ds, g: _upper(x, Ws, [np.concatenate(ds) for _ in ds], g)
        ),
        **_either(np.max, bounds.largest_stretch),
    },
    near=(1e-5, 1e-9),
    forbidden=[(bounds, "upper_bounds")],
)


def _least(W: NDArray) -> float:
    return bounds.smallest_stretch(W.T)


def _least_not_zero(W: NDArray) -> float:
    values = np.linalg.svdvals(W)
    return float(values[values > 1e-9 * values[0]][-1]) if len(W) <= W.shape[1] else 0.0


STRETCHES: dict[str, Answer] = {
    "Where a layer widens, Wᵀ sends some direction to 0.": lambda W: np.linalg.svdvals(W)[-1],
    "A singular value of 0 counts: this is the smallest of the others.": _least_not_zero,
    "A square Wᵀ need not send any direction to 0.": lambda W: _least(W) * (len(W) < W.shape[1]),
    "Rows and columns are mixed up: Wᵀ needs as many rows as columns.": bounds.smallest_stretch,
}
lower_bound = _within(
    "5.5 The lower bound",
    _bound(np.min, _least),
    {
        "narrowing": each(_network, (6, 5, 4, 2), (4, 4, 4, 3, 3), (2, 6, 6, 5, 1)),
        "widening, and one layer": each(_network, (5, 4, 6, 3), (3, 4)),
        "two rows alike": each(_network, (5, 5, 3), alike=True),
        "a dead unit": each(_network, (5, 4, 3), dead=True),
    },
    {
        **{sentence: _bound(np.min, stretch) for sentence, stretch in STRETCHES.items()},
        "This is the upper bound; take the smallest stretches.": _upper,
        "This is always 0: put ‖x‖ in front, not (0 … x … 0) as the slides.": lambda *_: 0.0,
        **_either(np.min, _least),
    },
    forbidden=[(bounds, "lower_bounds")],
)


def _layer(rng: Generator, fan_in: int, fan_out: int, variance: float) -> Given:
    variance = round(rng.uniform(1, 3) * variance, 4)
    return named(fan_in=fan_in, fan_out=fan_out, variance=variance)


def _edges(fan_in: int, fan_out: int, variance: float) -> NDArray:
    return np.array(spectra.edges(fan_in, fan_out, variance))


EDGES: dict[str, Answer] = {
    "The factor is the standard deviation, √variance.": lambda n, m, v: _edges(n, m, v**2),
    "These are the edges of WᵀW's eigenvalues; take their roots.": lambda *a: _edges(*a) ** 2,
    "Take |√n_in − √n_out|.": lambda n, m, v: _edges(n, m, v) * [np.sign(n - m), 1],
    "Take |√n_out − √n_in|.": lambda n, m, v: _edges(n, m, v) * [np.sign(m - n), 1],
    "The two edges are the wrong way round; the smaller comes first.": lambda *a: _edges(*a)[::-1],
    "The roots of fan_in and fan_out are missing.": lambda n, m, v: _edges(n**2, m**2, v),
}
FANS = (64, 100, 0.01), (784, 200, 1e-3), (100, 100, 0.02), (9, 4, 1.5)
edges = checklist.exercise(
    "5.7 The edges of the spectrum",
    spectra.edges,
    each(_layer, *FANS),
    EDGES,
    forbidden=[(spectra, "edges")],
)

NORMS = ("‖a⁽ˡ⁾‖, l = 0 … L−1", "‖δ⁽ˡ⁾‖, l = 1 … L−1", "‖∂L/∂W⁽ˡ⁾‖, l = 1 … L−1")


def _factor(rng: Generator, low: float, high: float, L: int) -> Given:
    return named(c=round(rng.uniform(low, high), 2), L=L)


def _chain(c: float, L: int, size: Callable[[float], float] = abs) -> list[NDArray]:
    """Return the three norms, with `size` of c for each matrix on the way."""
    a = np.cumprod([1.0, *[size(c)] * (L - 1)])
    delta = a[-2::-1]
    return [a, delta, delta * a[:-1]]


def _but(entry: int, change: Callable[[NDArray, float], NDArray]) -> Answer:
    """Return the answer with one of its three arrays changed."""
    return lambda c, L: [
        change(part, abs(c)) if k == entry else part for k, part in enumerate(_chain(c, L))
    ]


CHAINS: dict[str, Answer] = {
    "The activations start at a⁽⁰⁾ = x: c⁰ first.": _but(0, lambda a, c: c * a),
    "δ: one factor too many; L−1−l matrices lie between.": _but(1, lambda d, c: c * d),
    "The δ are reversed: for c > 1 they grow towards the input.": _but(1, lambda d, c: d[::-1]),
    "One factor too many: δ⁽ˡ⁾ meets a⁽ˡ⁻¹⁾, not a⁽ˡ⁾.": _but(2, lambda w, c: c * w),
    "The last is ‖δ⁽ˡ⁾‖ alone: ‖a⁽ˡ⁻¹⁾‖ too.": lambda c, L: [*_chain(c, L)[:2], _chain(c, L)[1]],
    "A norm is never negative: where c is, take |c|.": lambda c, L: _chain(c, L, size=float),
}
SPANS = (1.4, 1.8, 40), (0, 0, 4), (0.3, 0.8, 9), (0.3, 0.8, 2), (-2, -1.2, 6), (-0.8, -0.4, 3)
chain = checklist.exercise(
    "5.8 The chain of 2×2 layers",
    _chain,
    each(_factor, *SPANS),
    CHAINS,
    observe=lambda call, answer, given: by_name(call(answer, *given.args), *NORMS),
    forbidden=((torch.autograd, "grad"), (torch.Tensor, "backward"), (bounds, "forward")),
    hint="There are L−1 layers of 2×2 matrices, and L activations with the input.",
)


def _losses(rng: Generator, decay: float, count: int, *widths: int) -> Given:
    biases = [rng.normal(size=m) for m in widths[1:]]
    args = (rng.uniform(0, 2, count), _weights(rng, widths), biases, decay)
    return Given(args, said=f"{count} losses, decay = {decay}, {len(biases)} layers")


NO_GRADIENT = Remark(
    "the value is right, but no gradient flows to the weights: use torch's functions on the "
    "tensors, without .item(), .detach() or NumPy"
)


def _value_and_gradients(call: Callable, answer: Callable, given: Given) -> dict:
    """Return the loss and its gradients, for tensors made here."""
    losses, weights, biases, decay = given.args
    leaf = partial(torch.tensor, dtype=torch.float32, requires_grad=True)
    losses, weights, biases = leaf(losses), [*map(leaf, weights)], [*map(leaf, biases)]
    value = call(lambda *_: answer(losses, weights, biases, decay), *given.args)
    if not isinstance(value, torch.Tensor) or not value.requires_grad or value.ndim:
        return {"value": value, "gradients": NO_GRADIENT}
    gradients = torch.autograd.grad(value, [losses, *weights], materialize_grads=True)
    right = LOSS(losses, weights, biases, decay).item()
    if (
        decay
        and np.isclose(value.item(), right, 1e-4)
        and not any(gradient.any() for gradient in gradients[1:])
    ):
        return {"value": value, "gradients": NO_GRADIENT}
    return {"value": value, "gradients": list(gradients)}


def _loss(penalty: Answer = sum, mean: Answer = torch.mean) -> Answer:
    """Return the answer mean loss plus decay times a penalty, made of the squared norms."""
    return lambda losses, Ws, bs, decay: mean(losses) + decay * penalty([(W**2).sum() for W in Ws])


LOSS = _loss()
LOSSES: dict[str, Answer] = {
    "The biases are in the penalty; leave them out.": lambda e, Ws, bs, c: LOSS(e, Ws + bs, bs, c),
    "The penalty is added once per example.": lambda e, Ws, bs, c: LOSS(e, Ws, bs, c * len(e)),
    "The norms are not squared.": _loss(lambda squares: sum(map(torch.sqrt, squares))),
    "The losses are summed; take their mean.": _loss(mean=torch.sum),
    "There is a factor ½ in the penalty; this convention has none.": _loss(lambda s: sum(s) / 2),
    "The penalty is averaged over the layers; it is a sum.": _loss(lambda s: sum(s) / len(s)),
    "The penalty is missing.": _loss(lambda squares: 0.0),
}
BATCHES = (0.1, 5, 3, 4, 2), (0.0, 4, 3, 2, 2), (0.02, 8, 2, 3, 3, 3, 1), (0.5, 3, 3, 3)
regularised_loss = _within(
    "5.10 Weight decay", LOSS, each(_losses, *BATCHES), LOSSES, observe=_value_and_gradients
)


def _batch(rng: Generator, rows: int, n: int, size: float) -> Given:
    z = rng.normal(60 if rows > 4 else 1, 2, (rows, n))
    z += 30 * (np.arange(n) == 17)  # in long rows, an outlier
    args = size * z, rng.uniform(0.5, 2, n) * rng.choice([-1, 1], n), rng.normal(size=n)
    return Given(args, said=f"a {rows} × {n} array z of numbers near {size:g}")


def _layer_norm(z: NDArray, scale: NDArray, shift: NDArray) -> NDArray:
    weight, bias = map(torch.from_numpy, (scale, shift))
    return F.layer_norm(torch.from_numpy(z), z.shape[1:], weight, bias, eps=0.0).numpy()


def _by(spread: Answer, axis: int = 1) -> Answer:
    """Return the answer v (z − mean) / spread(z) + u, with the mean along an axis."""
    return lambda z, v, u: v * (z - z.mean(axis, keepdims=True)) / spread(z) + u


_std = partial(np.std, axis=1, keepdims=True)
NORMALISATIONS: dict[str, Answer] = {
    "The factor √n is missing.": _by(lambda z: _std(z) * np.sqrt(z.shape[1])),
    "Divided by n − 1 in the variance; the slides divide by n.": _by(lambda z: _std(z, ddof=1)),
    "The variance is used where its root, the deviation, is meant.": _by(lambda z: _std(z) ** 2),
    "Averaged over the batch: each row has its own mean.": _by(lambda z: _std(z, axis=0), 0),
    "The mean is not taken away from z.": lambda z, v, u: v * z / _std(z) + u,
    "Scale and shift are swapped.": lambda z, v, u: _layer_norm(z, u, v),
    "An eps is added to the variance; here it shows.": _by(lambda z: np.sqrt(_std(z) ** 2 + 1e-5)),
    "An eps is added to the deviation; here it shows.": _by(lambda z: _std(z) + 1e-5),
}
SIZES = (4, 6, 1.0), (1, 5, 3.0), (3, 3, 1.0), (2, 40, 1.0), (4, 6, 1e-3), (3, 9, 1e-8), (5, 7, 1.0)
OWN = [(normalization, "layer_norm"), (F, "layer_norm"), (torch, "layer_norm")]
layer_norm = _within(
    "5.11 Layer normalisation", _layer_norm, each(_batch, *SIZES), NORMALISATIONS, forbidden=OWN
)
