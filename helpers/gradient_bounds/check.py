"""The exercises of notebook 05: gradient as a product, bounds, spectra, decay, normalisation."""

from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from numpy.random import Generator
from numpy.typing import NDArray

from helpers.judge import Checklist, Given, Kind, Task

checklist = Checklist("5 · Gradient bounds", torch=True)
progress = checklist.progress

Layers = Sequence[NDArray]


def _weights(rng: Generator, widths: Sequence[int]) -> list[NDArray]:
    return [rng.normal(size=(m, n)) for n, m in pairwise(widths)]


def _slopes(rng: Generator, widths: Sequence[int]) -> list[NDArray]:
    """Return slopes that differ from layer to layer; the steepest of each is below 0."""
    found = [rng.uniform(0.2, 0.7, n) * rng.uniform(0.5, 1) for n in widths[1:-1]]
    for d in found:
        d[rng.integers(len(d))] = -rng.uniform(0.8, 1.2)
    return found


# --- 5.1 -----------------------------------------------------------------------------------------


def _pass(*widths: int) -> Kind:
    def kind(rng: Generator) -> Given:
        inputs = [rng.normal(size=n) for n in widths[:-1]]
        g = rng.normal(size=widths[-1])
        args = (_weights(rng, widths), _slopes(rng, widths), inputs, g)
        return Given(args, said=f"a network of widths {widths}")

    return kind


def _backward(weights: Layers, slopes: Layers, inputs: Layers, g: NDArray) -> list[NDArray]:
    """Return the gradients from the long product of each layer, formed anew."""
    gradients = []
    for layer in range(len(weights)):
        product = np.eye(len(weights[layer]))
        for W, d in zip(weights[layer + 1 :], slopes[layer:], strict=True):
            product = product @ np.diag(d) @ W.T
        gradients.append(np.outer(product @ g, inputs[layer]))
    return gradients


def _step(step: Callable[[Layers, Layers, int, NDArray], NDArray]) -> Callable[..., list]:
    """Return the backward pass that gets δ⁽ᵏ⁾ from δ⁽ᵏ⁺¹⁾ by this step."""

    def answer(weights: Layers, slopes: Layers, inputs: Layers, g: NDArray) -> list[NDArray]:
        deltas = [g]
        for k in range(len(slopes), 0, -1):
            deltas.append(step(weights, slopes, k, deltas[-1]))
        return [np.outer(d, a) for d, a in zip(deltas[::-1], inputs, strict=True)]

    return answer


backward = checklist.exercise(
    "5.1 The backward pass",
    Task(
        _backward,
        {
            "square": _pass(3, 3, 3, 3),
            "any shape": _pass(3, 5, 4, 2),
            "two layers": _pass(4, 3, 1),
            "six layers": _pass(2, 4, 3, 5, 3, 4, 2),
            "one layer": _pass(4, 2),
        },
        {
            "The slopes σ′(z) are missing: the gradient passes through each unit.": (
                _step(lambda Ws, ds, k, delta: Ws[k].T @ delta)
            ),
            "W is used where its transpose Wᵀ is needed.": (
                _step(lambda Ws, ds, k, delta: ds[k - 1] * (Ws[k] @ delta))
            ),
            "The weights of the wrong layer: δ⁽ˡ⁾ needs W⁽ˡ⁺¹⁾, which a⁽ˡ⁾ goes into.": (
                _step(lambda Ws, ds, k, delta: ds[k - 1] * (Ws[k - 1].T @ delta))
            ),
            "The order is wrong: first W⁽ˡ⁺¹⁾ᵀ, then D⁽ˡ⁾.": (
                _step(lambda Ws, ds, k, delta: Ws[k].T @ (ds[k - 1] * delta))
            ),
            "The slopes are taken without their sign.": (
                _step(lambda Ws, ds, k, delta: np.abs(ds[k - 1]) * (Ws[k].T @ delta))
            ),
            "A gradient is transposed: ∂L/∂W⁽ˡ⁾ = δ⁽ˡ⁾ a⁽ˡ⁻¹⁾ᵀ, not a⁽ˡ⁻¹⁾ δ⁽ˡ⁾ᵀ.": (
                lambda *args: [G.T for G in _backward(*args)]
            ),
            "The list runs from the last layer to the first; layer 1 is to come first.": (
                lambda *args: _backward(*args)[::-1]
            ),
        },
        rtol=1e-5,
        atol=1e-6,
    ),
)


# --- 5.2 -----------------------------------------------------------------------------------------


def _matrix(make: Callable[[Generator], NDArray], said: str = "") -> Kind:
    def kind(rng: Generator) -> Given:
        A = make(rng)
        return Given((A,), said=said or f"A = {np.array2string(A, precision=4, separator=', ')}")

    return kind


def _turned(rng: Generator, values: NDArray) -> NDArray:
    """Return a square matrix with these singular values."""
    U, V = (np.linalg.qr(rng.normal(size=(len(values),) * 2))[0] for _ in range(2))
    return U @ np.diag(values) @ V


def _largest(A: NDArray) -> float:
    return float(np.sqrt(np.linalg.eigvalsh(A.T @ A)[-1]))


def _matrix_norm(x: Any, ord: Any = None, *_: Any, **__: Any) -> bool:  # noqa: A002 - NumPy's name
    return np.ndim(x) == 2 and ord is not None


DECOMPOSITIONS = ("svd", "svdvals", "eig", "eigh", "eigvals", "eigvalsh", "cond")
spectral_norm = checklist.exercise(
    "5.2 The largest stretch",
    Task(
        _largest,
        {
            "2 × 2": _matrix(lambda rng: rng.normal(size=(2, 2)).round(3)),
            "a shear": _matrix(lambda rng: np.array([[0.0, rng.uniform(1, 5)], [0.0, 0.0]])),
            "stretches least along (1, 1)": _matrix(
                lambda rng: np.array([[2.0, -1.0], [-1.0, 2.0]]) * rng.choice([1, 2, 4])
            ),
            "wide": _matrix(lambda rng: rng.normal(size=(4, 9)), "a 4 × 9 matrix"),
            "tall": _matrix(lambda rng: rng.normal(size=(9, 4)), "a 9 × 4 matrix"),
            "one column": _matrix(lambda rng: rng.normal(size=(3, 1)).round(3)),
            "close together": _matrix(
                lambda rng: _turned(rng, np.linspace(3, 1.5, 40)),
                "a 40 × 40 matrix whose largest singular values lie close together",
            ),
            "large": _matrix(lambda rng: 1e8 * rng.normal(size=(6, 6)), "a 6 × 6 one near 1e8"),
            "small": _matrix(lambda rng: 1e-8 * rng.normal(size=(6, 6)), "a 6 × 6 one near 1e-8"),
        },
        {
            "This is σ₁², the largest eigenvalue of AᵀA; take its root.": lambda A: (
                _largest(A) ** 2
            ),
            "This is the Frobenius norm √(Σσᵢ²); only the largest σ counts.": np.linalg.norm,
            "This is the smallest singular value; the largest is asked for.": (
                lambda A: np.linalg.svd(A)[1][-1]
            ),
            "This is A's largest entry in size, not its largest stretch.": (
                lambda A: np.abs(A).max()
            ),
            "This is the longest column: the stretch of a coordinate vector only.": (
                lambda A: np.linalg.norm(A, axis=0).max()
            ),
            "A few steps are not enough: v has not turned to v₁ yet.": (
                lambda A: _iterated(A, np.random.default_rng(0).normal(size=A.shape[1]), 10)
            ),
            "An iteration that starts at (1, 1, …) may stay there: start from a random vector.": (
                lambda A: _iterated(A, np.ones(A.shape[1]), 300)
            ),
        },
        rtol=2e-3,
        atol=0,
        forbidden=[
            (np.linalg, "norm", _matrix_norm),
            *((np.linalg, name) for name in DECOMPOSITIONS),
            *((torch.linalg, name) for name in ("svd", "svdvals", "eigh", "eigvalsh")),
            (torch.linalg, "matrix_norm"),
        ],
        hint="Divide v by its length in every step, and take ‖Av‖ at the end.",
    ),
)


def _iterated(A: NDArray, v: NDArray, steps: int) -> float:
    for _ in range(steps):
        v = A.T @ (A @ v)
        v = v / np.linalg.norm(v)
    return float(np.linalg.norm(A @ v))


# --- 5.3 and 5.4 ---------------------------------------------------------------------------------


def _net(*widths: int, change: Callable[[Layers, Layers], None] | None = None) -> Kind:
    """Return a kind of x, weights, slopes and ∂L/∂ŷ of a network of these widths."""

    def kind(rng: Generator) -> Given:
        weights, slopes = _weights(rng, widths), _slopes(rng, widths)
        if change:
            change(weights, slopes)
        args = (rng.normal(size=widths[0]), weights, slopes, rng.normal(size=widths[-1]))
        return Given(args, said=f"a network of widths {widths}")

    return kind


def _bound(
    slope: Callable[[NDArray], Any],
    stretch: Callable[[NDArray], Any],
    factor: Callable[[NDArray, Layers, NDArray], Any] = lambda x, Ws, g: 1.0,
) -> Callable[..., float]:
    """Return the answer ‖x‖ · ∏ slope · stretch · ‖g‖ times one more factor."""

    def answer(x: NDArray, weights: Layers, slopes: Layers, g: NDArray) -> float:
        ends = np.linalg.norm(x) * np.linalg.norm(g) * factor(x, weights, g)
        inner = [slope(d) * stretch(W) for d, W in zip(slopes, weights[1:], strict=True)]
        return float(ends * np.prod(inner))

    return answer


def _whole_network(x: NDArray, weights: Layers, slopes: Layers, g: NDArray) -> float:
    steep = max((np.abs(d).max() for d in slopes), default=1.0)
    return _bound(lambda d: steep, _largest)(x, weights, slopes, g)


def _steepest(d: NDArray) -> float:
    return float(np.abs(d).max())


def _gentlest(d: NDArray) -> float:
    return float(np.abs(d).min())


def _least(W: NDArray) -> float:
    """Return the smallest stretch of Wᵀ: 0 where it has fewer rows than columns."""
    return float(np.linalg.svd(W)[1][-1]) if W.shape[0] <= W.shape[1] else 0.0


def _both(
    slope: Callable[[NDArray], Any], stretch: Callable[[NDArray], Any]
) -> dict[str, Callable[..., float]]:
    """Return the mistakes that either bound invites."""
    return {
        "‖x‖ is missing.": _bound(slope, stretch, lambda x, Ws, g: 1 / np.linalg.norm(x)),
        "‖∂L/∂ŷ‖ is missing.": _bound(slope, stretch, lambda x, Ws, g: 1 / np.linalg.norm(g)),
        "W⁽¹⁾ does not belong in the product: the gradient is taken with respect to it.": (
            _bound(slope, stretch, lambda x, Ws, g: stretch(Ws[0]))
        ),
        "The slopes are missing.": _bound(lambda d: 1.0, stretch),
        "The slopes' signs have to go first: the absolute values count.": (
            _bound(np.max if slope is _steepest else np.min, stretch)
        ),
        "The mean slope is no bound; take the extreme one.": (
            _bound(lambda d: np.abs(d).mean(), stretch)
        ),
    }


upper_bound = checklist.exercise(
    "5.3 The upper bound",
    Task(
        _bound(_steepest, _largest),
        {
            "narrowing": _net(4, 6, 5, 3),
            "two layers": _net(3, 7, 2),
            "six layers": _net(5, 4, 4, 3, 5, 4, 1),
            "one layer": _net(3, 2),
        },
        {
            "The Frobenius norm of W bounds too, but less well; take σ_max.": (
                _bound(_steepest, np.linalg.norm)
            ),
            "Each layer has a steepest slope of its own; this takes the network's for all.": (
                _whole_network
            ),
            **_both(_steepest, _largest),
        },
        rtol=1e-5,
        atol=1e-9,
    ),
)


def _same_rows(weights: Layers, slopes: Layers) -> None:
    weights[1][1] = weights[1][0]


def _dead_unit(weights: Layers, slopes: Layers) -> None:
    slopes[0][1] = 0.0


def _no_zero(W: NDArray) -> float:
    values = np.linalg.svd(W)[1]
    return float(values[values > 1e-9 * values[0]][-1])


lower_bound = checklist.exercise(
    "5.4 The lower bound",
    Task(
        _bound(_gentlest, _least),
        {
            "narrowing": _net(6, 5, 4, 2),
            "square": _net(4, 4, 4, 3, 3),
            "narrowing late": _net(2, 6, 6, 5, 1),
            "widening": _net(5, 4, 6, 3),
            "two rows alike": _net(5, 5, 3, change=_same_rows),
            "a dead unit": _net(5, 4, 3, change=_dead_unit),
            "one layer": _net(3, 4),
        },
        {
            "Where a layer widens, Wᵀ sends some direction to 0: its smallest stretch is 0, not "
            "its smallest singular value.": (
                _bound(_gentlest, lambda W: np.linalg.svd(W, compute_uv=False)[-1])
            ),
            "A singular value of 0 counts: this is the smallest of the others.": (
                _bound(_gentlest, lambda W: _no_zero(W) if len(W) <= W.shape[1] else 0.0)
            ),
            "A square Wᵀ has as many rows as columns: its smallest stretch need not be 0.": (
                _bound(_gentlest, lambda W: _least(W) if len(W) < W.shape[1] else 0.0)
            ),
            "Rows and columns are mixed up: Wᵀ must have at least as many rows as columns.": (
                _bound(_gentlest, lambda W: _least(W.T))
            ),
            "This is the upper bound; take the smallest stretches.": _bound(_steepest, _largest),
            "This is always 0, as the slides' own bound: put ‖x‖ in front, not (0 … x … 0).": (
                lambda *args: 0.0
            ),
            **_both(_gentlest, _least),
        },
        rtol=1e-5,
        atol=1e-6,
    ),
)


# --- 5.5 and 5.6 ---------------------------------------------------------------------------------


def _layer(fan_in: int, fan_out: int, low: float, high: float) -> Kind:
    def kind(rng: Generator) -> Given:
        n, m = (int(fan * rng.uniform(1, 1.3)) for fan in (fan_in, fan_out))
        m = n if fan_in == fan_out else m
        args = n, m, round(rng.uniform(low, high), 4)
        return Given(args, said="fan_in = {}, fan_out = {}, variance = {}".format(*args))

    return kind


def _edges(
    fan_in: int, fan_out: int, variance: float, power: float = 0.5, root: float = 0.5
) -> NDArray:
    n, m = np.power([fan_in, fan_out], root)
    return variance**power * np.array([abs(n - m), n + m])


edges = checklist.exercise(
    "5.5 The edges of the spectrum",
    Task(
        lambda *args: tuple(_edges(*args)),
        {
            "wide": _layer(784, 200, 0.001, 0.004),
            "tall": _layer(64, 256, 0.01, 0.03),
            "square": _layer(100, 100, 0.02, 0.06),
            "small": _layer(9, 4, 1.5, 4.0),
        },
        {
            "The factor is the standard deviation, the variance's root.": (
                lambda *args: tuple(_edges(*args, power=1))
            ),
            "These are the edges for the eigenvalues of WᵀW; take their roots.": (
                lambda *args: tuple(_edges(*args) ** 2)
            ),
            "The lower edge is √n_in − √n_out with its sign; take the absolute value.": (
                lambda n, m, v: (np.sqrt(v) * (n**0.5 - m**0.5), _edges(n, m, v)[1])
            ),
            "The lower edge is √n_out − √n_in with its sign; take the absolute value.": (
                lambda n, m, v: (np.sqrt(v) * (m**0.5 - n**0.5), _edges(n, m, v)[1])
            ),
            "The two edges are the wrong way round; the smaller comes first.": (
                lambda *args: tuple(_edges(*args)[::-1])
            ),
            "The roots of fan_in and fan_out are missing.": (
                lambda *args: tuple(_edges(*args, root=1))
            ),
            "The edges are divided by √n_in; the variance already counts it.": (
                lambda n, m, v: tuple(_edges(n, m, v) / np.sqrt(n))
            ),
        },
        rtol=1e-5,
    ),
)

NORMS = ("‖a⁽ˡ⁾‖, l = 0 … L−1", "‖δ⁽ˡ⁾‖, l = 1 … L−1", "‖∂L/∂W⁽ˡ⁾‖, l = 1 … L−1")


def _factor(low: float, high: float, *lengths: int) -> Kind:
    def kind(rng: Generator) -> list:
        c = round(rng.uniform(low, high), 2)
        return [Given((c, L), said=f"c = {c}, L = {L}") for L in lengths]

    return kind


def _chain(c: float, L: int) -> list[NDArray]:
    """Return the three norms, by going through the layers of the chain."""
    a = [1.0]
    for _ in range(L - 1):
        a.append(a[-1] * abs(c))
    delta = a[: L - 1][::-1]
    weights = [d * before for d, before in zip(delta, a, strict=False)]
    return [np.array(a), np.array(delta), np.array(weights)]


def _entries(call: Callable, answer: Callable, given: Given) -> Any:
    value = call(answer, *given.args)
    return dict(zip(NORMS, value, strict=True)) if len(value) == 3 else value


def _but(entry: int, change: Callable[[NDArray, float], NDArray]) -> Callable[..., list]:
    """Return the answer with one of its three arrays changed."""

    def answer(c: float, L: int) -> list:
        parts: list = list(_chain(c, L))
        parts[entry] = change(parts[entry], c)
        return parts

    return answer


chain = checklist.exercise(
    "5.6 The chain of 2×2 layers",
    Task(
        _chain,
        {
            "growing": _factor(1.2, 1.8, 10),
            "shrinking": _factor(0.3, 0.8, 9),
            "changing sign": _factor(-1.8, -1.2, 6),
            "shrinking, changing sign": _factor(-0.8, -0.4, 5),
            "short": _factor(0.3, 0.8, 2, 3),
        },
        {
            "The activations start at a⁽⁰⁾ = x: c⁰ first.": _but(0, lambda a, c: abs(c) * a),
            "δ: one factor too many; between layers l and L−1 there are L−1−l matrices.": (
                _but(1, lambda d, c: abs(c) * d)
            ),
            "The δ are reversed: for c > 1 they grow towards the input.": (
                _but(1, lambda d, c: d[::-1])
            ),
            "The last is ‖δ⁽ˡ⁾‖ alone; multiply by ‖a⁽ˡ⁻¹⁾‖.": (
                lambda c, L: [*_chain(c, L)[:2], _chain(c, L)[1]]
            ),
            "One factor too many: δ⁽ˡ⁾ meets a⁽ˡ⁻¹⁾, the layer's input, not a⁽ˡ⁾.": (
                _but(2, lambda w, c: abs(c) * w)
            ),
            "A norm is never negative: where c is, take |c|.": lambda c, L: (
                [float(c) ** k for k in (np.arange(L), np.arange(L - 2, -1, -1))]
                + [np.full(L - 1, float(c) ** (L - 2))]
            ),
        },
        observe=_entries,
        rtol=1e-5,
        atol=0,
        hint="There are L−1 layers of 2×2 matrices, and L activations with the input.",
    ),
)


# --- 5.7 -----------------------------------------------------------------------------------------


def _loss(decay: float, count: int, *widths: int) -> Kind:
    def kind(rng: Generator) -> Given:
        biases = [rng.normal(size=m) for m in widths[1:]]
        args = (rng.uniform(0, 2, count), _weights(rng, widths), biases, decay)
        return Given(args, said=f"{count} losses, decay = {decay}, {len(biases)} layers")

    return kind


NO_GRADIENT = (
    "the value is right, but no gradient flows through it: use torch's functions on the "
    "tensors, without .item(), .detach() or NumPy"
)


def _value_and_gradients(call: Callable, answer: Callable, given: Given) -> dict:
    """Return the loss and its gradients, for tensors made here, so that they are reached."""
    losses, weights, biases, decay = given.args
    leaf = lambda part: torch.tensor(part, dtype=torch.float32, requires_grad=True)  # noqa: E731
    losses, weights, biases = leaf(losses), [*map(leaf, weights)], [*map(leaf, biases)]
    value = call(lambda: answer(losses, weights, biases, decay))
    seen = {"value": value, "gradients": NO_GRADIENT}
    if isinstance(value, torch.Tensor) and value.requires_grad and value.ndim == 0:
        found = torch.autograd.grad(value, weights, allow_unused=True)
        gradients = zip(found, weights, strict=True)
        seen["gradients"] = [torch.zeros_like(W) if g is None else g for g, W in gradients]
    return seen


def _mixed(
    of_losses: Callable[[Any], Any] = torch.mean,
    of_weights: Callable[[Any], Any] = lambda squares: sum(squares),
    with_biases: bool = False,
) -> Callable[..., Any]:
    """Return a loss plus decay times a penalty, right for the defaults."""

    def answer(losses: Any, weights: list, biases: list, decay: float) -> Any:
        parts = [*weights, *biases] if with_biases else weights
        squares = [(part**2).sum() for part in parts]
        return of_losses(losses) + decay * of_weights(squares)

    return answer


regularised_loss = checklist.exercise(
    "5.7 Weight decay",
    Task(
        _mixed(),
        {
            "two layers": _loss(0.1, 5, 3, 4, 2),
            "three layers": _loss(0.02, 8, 2, 3, 4, 1),
            "one layer": _loss(0.5, 3, 4, 2),
            "no decay": _loss(0.0, 4, 3, 2, 2),
        },
        {
            "The biases are in the penalty; they are to be left out.": _mixed(with_biases=True),
            "The norms are not squared.": _mixed(of_weights=lambda s: sum(x.sqrt() for x in s)),
            "The penalty is added once per example; add it once.": (
                lambda losses, Ws, bs, decay: _mixed()(losses, Ws, bs, len(losses) * decay)
            ),
            "Losses and penalties are summed over the examples; take the mean, add one penalty.": (
                lambda losses, *rest: len(losses) * _mixed()(losses, *rest)
            ),
            "The losses are summed; take their mean.": _mixed(torch.sum),
            "There is a factor ½ in the penalty; this convention has none.": (
                _mixed(of_weights=lambda s: sum(s) / 2)
            ),
            "The penalty is averaged over the layers; it is their sum.": (
                _mixed(of_weights=lambda s: sum(s) / len(s))
            ),
            "The penalty is missing.": _mixed(of_weights=lambda s: 0.0),
            "Only the last layer is in the penalty.": _mixed(of_weights=lambda s: s[-1]),
            "The penalty is subtracted; it is added.": _mixed(of_weights=lambda s: -sum(s)),
        },
        observe=_value_and_gradients,
        rtol=1e-5,
        atol=1e-6,
    ),
)


# --- 5.8 -----------------------------------------------------------------------------------------


def _batch(rows: int, n: int, size: float) -> Kind:
    def kind(rng: Generator) -> Given:
        args = size * rng.normal(1, 2, (rows, n)), rng.uniform(0.5, 2, n), rng.normal(size=n)
        return Given(args, said=f"a {rows} × {n} array z of numbers near {size:g}")

    return kind


def _layer_norm(z: NDArray, v: NDArray, u: NDArray) -> NDArray:
    """Return PyTorch's layer normalisation with eps = 0."""
    scale, shift = (torch.from_numpy(part) for part in (v, u))
    return torch.nn.functional.layer_norm(
        torch.from_numpy(z), z.shape[1:], scale, shift, eps=0.0
    ).numpy()


def _by(spread: Callable[[NDArray], Any], mean: Any = 1) -> Callable[..., NDArray]:
    """Return v (z − mean) / spread(z) + u, with the mean along an axis; 0 for none at all."""

    def answer(z: NDArray, v: NDArray, u: NDArray) -> NDArray:
        return v * (z - (z.mean(mean, keepdims=True) if mean != "none" else 0)) / spread(z) + u

    return answer


def _std(z: NDArray, axis: Any = 1, ddof: int = 0) -> NDArray:
    return z.std(axis, ddof=ddof, keepdims=True)


NORMALISATIONS: Mapping[str, Callable[..., NDArray]] = {
    "The factor √n is missing: ‖z − z̄‖ is √n times the standard deviation.": (
        _by(lambda z: _std(z) * np.sqrt(z.shape[1]))
    ),
    "Divided by n − 1 in the variance (degrees of freedom); the slides divide by n.": (
        _by(lambda z: _std(z, ddof=1))
    ),
    "The variance is used where its root, the standard deviation, is needed.": (
        _by(lambda z: _std(z) ** 2)
    ),
    "Averaged over the batch: that is batch normalisation. Each row has its own mean.": (
        _by(lambda z: _std(z, 0), 0)
    ),
    "Averaged over all numbers at once; each row has its own mean and norm.": (
        _by(lambda z: _std(z, None), None)
    ),
    "The mean is not taken away from z in the numerator.": _by(_std, "none"),
    "The mean is not taken away before the norm is computed.": (
        _by(lambda z: np.sqrt((z**2).mean(1, keepdims=True)))
    ),
    "v and u are swapped: v scales, u shifts.": lambda z, v, u: _layer_norm(z, u, v),
    "u is added before the scaling by v.": lambda z, v, u: _layer_norm(z, v, u * v),
    "A small number (eps) is added to the variance; the slides add none, and here it shows.": (
        _by(lambda z: np.sqrt(_std(z) ** 2 + 1e-5))
    ),
    "A small number (eps) is added to the deviation; the slides add none, and here it shows.": (
        _by(lambda z: _std(z) + 1e-5)
    ),
}
layer_norm = checklist.exercise(
    "5.8 Layer normalisation",
    Task(
        _layer_norm,
        {
            "any": _batch(4, 6, 1.0),
            "one row": _batch(1, 5, 3.0),
            "square": _batch(3, 3, 1.0),
            "small": _batch(4, 6, 1e-3),
            "tiny": _batch(3, 9, 1e-8),
        },
        NORMALISATIONS,
        rtol=1e-5,
        atol=1e-6,
    ),
)
