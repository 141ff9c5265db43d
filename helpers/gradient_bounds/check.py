"""The checks of notebook 05: gradient as a product, bounds, spectra, decay and normalisation."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

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

checklist = Checklist("5 · Gradient bounds")
progress = checklist.progress

Outcomes = dict[str, Any]


def _tanh_network(widths: Sequence[int], seed: int) -> tuple[tuple, list[NDArray]]:
    """Return the arguments of exercise 5.1 for a tanh network, and autograd's gradients."""
    rng = np.random.default_rng(seed)
    weights = [
        torch.tensor(rng.normal(0, n**-0.5, (m, n)), requires_grad=True)
        for n, m in zip(widths[:-1], widths[1:], strict=True)
    ]
    inputs = [torch.tensor(rng.normal(size=widths[0]))]
    for W in weights[:-1]:
        inputs.append(torch.tanh(W @ inputs[-1]))
    g = torch.tensor(rng.normal(size=widths[-1]))
    (g @ (weights[-1] @ inputs[-1])).backward()
    values = [a.detach().numpy() for a in inputs]
    given = (
        [W.detach().numpy() for W in weights],
        [1 - a**2 for a in values[1:]],
        values,
        g.numpy(),
    )
    return given, [W.grad.numpy() for W in weights]  # type: ignore[union-attr]


def _backward_mistakes(given: tuple) -> list[tuple[str, list[NDArray]]]:
    weights, slopes, inputs, g = given

    def run(step: Callable[[int, NDArray], NDArray]) -> list[NDArray]:
        deltas = [g]
        for k in range(len(slopes), 0, -1):  # from layer L−1 down to layer 1
            deltas.append(step(k, deltas[-1]))
        return [np.outer(d, a) for d, a in zip(deltas[::-1], inputs, strict=True)]

    return [
        (
            "The slopes σ′(z) are missing: on its way down, the gradient passes through each unit.",
            run(lambda k, d: weights[k].T @ d),
        ),
        (
            "W is used where its transpose Wᵀ is needed.",
            run(lambda k, d: slopes[k - 1] * (weights[k] @ d)),
        ),
        (
            "The weights of the wrong layer: δ⁽ˡ⁾ needs W⁽ˡ⁺¹⁾, the weights that a⁽ˡ⁾ goes into.",
            run(lambda k, d: slopes[k - 1] * (weights[k - 1].T @ d)),
        ),
        (
            "Slopes and weights are applied in the wrong order: first W⁽ˡ⁺¹⁾ᵀ, then D⁽ˡ⁾.",
            run(lambda k, d: weights[k].T @ (slopes[k - 1] * d)),
        ),
    ]


@checklist.exercise("5.1 The backward pass")
def backward(answer: object) -> None:
    """Check the gradients of all weight matrices of a network, against autograd's."""
    for widths, seed in (((3, 3, 3, 3), 1), ((3, 5, 4, 2), 2), ((4, 1), 3)):
        given, expected = _tanh_network(widths, seed)
        said = f"a tanh network of widths {widths}"
        received = call(answer, *given)  # type: ignore[arg-type]
        if not isinstance(received, (list, tuple)) or len(received) != len(expected):
            malformed(
                f"for {said}: expected a list of {len(expected)} gradients, one a layer, "
                f"received {describe(received)}"
            )
        arrays = [as_array(gradient, said) for gradient in received]
        shapes = [gradient.shape for gradient in expected]
        if len(set(shapes)) > 1 and [a.shape for a in arrays] == shapes[::-1]:
            wrong("The list runs from the last layer to the first; layer 1 is to come first.")
        for k, (array, right) in enumerate(zip(arrays, expected, strict=True)):
            hint = "∂L/∂W⁽ˡ⁾ is the outer product of δ⁽ˡ⁾ and a⁽ˡ⁻¹⁾, of W⁽ˡ⁾'s shape."
            expect_shape(array, right.shape, f"∂L/∂W({k + 1}) of {said}", hint)
        mistakes: Outcomes = {
            "A gradient is transposed: ∂L/∂W⁽ˡ⁾ = δ⁽ˡ⁾ a⁽ˡ⁻¹⁾ᵀ, not a⁽ˡ⁻¹⁾ δ⁽ˡ⁾ᵀ.": [
                e.T for e in expected
            ],
            "The list runs from the last layer to the first; layer 1 is to come first.": expected[
                ::-1
            ],
        }
        if len(set(widths)) == 1:
            mistakes |= dict(_backward_mistakes(given))
        for sentence, outcome in mistakes.items():
            if all(
                a.shape == o.shape and np.allclose(a, o)
                for a, o in zip(arrays, outcome, strict=True)
            ):
                if not all(np.allclose(a, e) for a, e in zip(arrays, expected, strict=True)):
                    wrong(f"{sentence}\n(seen on {said})")
        for k, (array, right) in enumerate(zip(arrays, expected, strict=True)):
            expect_close(array, right, f"∂L/∂W({k + 1}) of {said}", hint="Compare with autograd.")


@checklist.exercise("5.2 The largest stretch")
def spectral_norm(answer: object) -> None:
    """Check the spectral norm on square, wide, tall, tricky and badly scaled matrices."""
    rng = np.random.default_rng(5)
    turn = np.array([[0.0, 3.0], [-1.0, 0.0]])
    matrices = [
        turn,
        np.array([[2.0, -1.0], [-1.0, 2.0]]),
        rng.normal(size=(3, 6)),
        rng.normal(size=(6, 3)),
    ]
    for A in [*matrices, 1e5 * turn, 1e-4 * turn]:
        received = as_array(call(answer, A), f"A = {describe(A)}")  # type: ignore[arg-type]
        s = np.linalg.svd(A, compute_uv=False)
        given = f"A = {describe(A)}" if A.size <= 4 else f"a {A.shape[0]}×{A.shape[1]} matrix"
        if received.shape == () and not np.isfinite(received):
            wrong(
                f"for {given}: expected {s[0]:.6g}, received {received}.\n"
                "Numbers overflowed or vanished: divide v by its norm in every step."
            )
        mistakes: Outcomes = {
            "This is σ₁², the largest eigenvalue of AᵀA; take its root.": s[0] ** 2,
            "This is the Frobenius norm √(Σσᵢ²); only the largest singular value counts.": np.sqrt(
                (s**2).sum()
            ),
            "This is the smallest singular value; the largest was asked for.": s[-1],
            "This is A's largest entry in size, not its largest stretch.": np.abs(A).max(),
            "This is the longest column: the stretch of a unit coordinate vector only. Others may "
            "be stretched more.": np.linalg.norm(A, axis=0).max(),
        }
        if A.shape[0] == A.shape[1]:
            key = "This is the largest eigenvalue in size; a matrix that turns can stretch more."
            mistakes[key] = np.abs(np.linalg.eigvals(A)).max()
        if A is matrices[1]:
            key = (
                "This is the stretch of (1, 1): an iteration that starts there stays there. Start "
                "from a random vector."
            )
            mistakes = {key: 1.0, **mistakes}
        expect_close(received, s[0], given, rtol=2e-3, atol=0, mistakes=mistakes)


def _case(widths: Sequence[int], seed: int) -> tuple:
    """Return x, weights, slopes (some negative, as Swish's can be) and ∂L/∂ŷ."""
    rng = np.random.default_rng(seed)
    weights = [rng.normal(size=(m, n)) for n, m in zip(widths[:-1], widths[1:], strict=True)]
    slopes = [rng.uniform(0.2, 0.9, n) for n in widths[1:-1]]
    for d in slopes:
        d[0] = -0.95  # steepest, though negative
    return rng.normal(size=widths[0]), weights, slopes, rng.normal(size=widths[-1])


def _product(
    given: tuple, slope: Callable[[NDArray], float], weight: Callable[[NDArray], float]
) -> float:
    x, weights, slopes, g = given
    factors = [slope(d) * weight(W) for d, W in zip(slopes, weights[1:], strict=True)]
    return float(np.linalg.norm(x) * np.prod(factors) * np.linalg.norm(g))


def _values(W: NDArray) -> NDArray:
    return np.sqrt(np.maximum(np.linalg.eigvalsh(W @ W.T), 0)[::-1])


def _spectral(W: NDArray) -> float:
    return float(_values(W)[0])


def _steepest(d: NDArray) -> float:
    return float(max(abs(d.max()), abs(d.min())))


@checklist.exercise("5.3 The upper bound")
def upper_bound(answer: object) -> None:
    """Check the upper bound on the first layer's gradient on networks of several shapes."""
    for widths, seed in (((4, 6, 5, 3), 1), ((3, 7, 2), 2), ((5, 4, 4, 4, 4, 1), 3)):
        given = _case(widths, seed)
        x, weights, _, g = given
        expected = _product(given, _steepest, _spectral)
        mistakes: Outcomes = {
            "The Frobenius norm of W bounds too, but less well; take σ_max.": _product(
                given, _steepest, lambda W: float(np.linalg.norm(W))
            ),
            "The largest slope is taken without its sign removed: −0.95 is steep.": (
                _product(given, np.max, _spectral)
            ),
            "The mean slope is no bound; some direction is stretched by the largest.": _product(
                given, lambda d: float(np.mean(np.abs(d))), _spectral
            ),
            "‖x‖ is missing.": expected / np.linalg.norm(x),
            "‖∂L/∂ŷ‖ is missing.": expected / np.linalg.norm(g),
            "W⁽¹⁾ does not belong in the product: ∂L/∂W⁽¹⁾ is taken with respect to it.": expected
            * _spectral(weights[0]),
            "The slopes are missing.": _product(given, lambda d: 1.0, _spectral),
        }
        received = call(answer, *given)  # type: ignore[arg-type]
        expect_close(received, expected, f"a network of widths {widths}", mistakes=mistakes)


def _smallest(W: NDArray) -> float:
    """Return the smallest stretch of Wᵀ; 0 where it has fewer rows than columns."""
    return float(_values(W)[-1]) if W.shape[0] <= W.shape[1] else 0.0


def _gentlest(d: NDArray) -> float:
    return float(np.sort(np.abs(d))[0])


@checklist.exercise("5.4 The lower bound")
def lower_bound(answer: object) -> None:
    """Check the lower bound on networks that narrow, widen and have a dead unit."""
    narrow, wide, dead = _case((6, 5, 4, 2), 1), _case((3, 4, 5, 6), 2), _case((5, 4, 3), 4)
    dead[2][0][1] = 0.0
    for said, given in (("narrows", narrow), ("widens", wide), ("has a dead unit", dead)):
        x, _, _, g = given
        expected = _product(given, _gentlest, _smallest)
        mistakes: Outcomes = {
            "Where a layer widens, Wᵀ has fewer rows than columns and sends some direction to 0: "
            "its smallest stretch is 0, not its smallest singular value.": _product(
                given, _gentlest, lambda W: float(_values(W)[: min(W.shape)][-1])
            ),
            "The smallest slope is taken without its sign removed: −0.95 is steep.": _product(
                given, np.min, _smallest
            ),
            "This is the upper bound; take the smallest stretches.": _product(
                given, _steepest, _spectral
            ),
            "‖x‖ is missing.": expected / np.linalg.norm(x),
            "‖∂L/∂ŷ‖ is missing.": expected / np.linalg.norm(g),
        }
        received = call(answer, *given)  # type: ignore[arg-type]
        if expected and np.shape(received) == () and float(as_array(received)) == 0:
            head = f"for a network that {said}: expected {expected:.6g}, received 0"
            if as_array(call(answer, *wide)) == 0:  # type: ignore[arg-type]
                wrong(
                    f"{head}, and 0 for any other.\nThe slides' own bound is always 0: it uses "
                    "the matrix (0 … x … 0). Bound the whole layer's gradient, with ‖x‖ in front."
                )
            wrong(
                f"{head}.\nRows and columns are mixed up: it is Wᵀ that must have at least as many "
                "rows as columns."
            )
        expect_close(received, expected, f"a network that {said}", atol=1e-12, mistakes=mistakes)


@checklist.exercise("5.5 The edges of the spectrum")
def edges(answer: object) -> None:
    """Check the edges of Marchenko and Pastur's law for wide, tall and square layers."""
    for n, m, variance in ((784, 200, 0.002), (64, 256, 0.02), (100, 100, 0.04), (9, 4, 1.0)):
        s, a, b = np.sqrt(variance), np.sqrt(n), np.sqrt(m)
        expected = np.array([s * abs(a - b), s * (a + b)])
        given = f"fan_in = {n}, fan_out = {m}, variance = {variance:.6g}"
        mistakes: Outcomes = {
            "The factor is the standard deviation, the variance's root; this uses the variance.": (
                s * expected
            ),
            "These are the edges for the eigenvalues of WᵀW; take their roots.": expected**2,
            "The lower edge is negative: a singular value never is. Take |√n_in − √n_out|.": [
                s * (b - a),
                expected[1],
            ],
            "The lower edge has its sign from √n_in − √n_out; take the absolute value.": [
                s * (a - b),
                expected[1],
            ],
            "The two edges are the wrong way round; the smaller comes first.": expected[::-1],
            "The roots of fan_in and fan_out are missing.": [s * abs(n - m), s * (n + m)],
            "The edges are divided by √n_in; the variance already counts it.": expected / a,
        }
        received = call(answer, n, m, variance)  # type: ignore[arg-type]
        expect_close(received, expected, given, mistakes=mistakes, atol=1e-9)


@checklist.exercise("5.6 The chain of 2×2 layers")
def chain(answer: object) -> None:
    """Check activations and gradients of the chain for growing, shrinking and sign-changing c."""
    for c, L in ((1.5, 10), (0.5, 10), (-2.0, 5), (0.5, 2)):
        layer = np.arange(1, L)
        expected = (
            np.abs(c) ** np.arange(L),
            np.abs(c) ** (L - 1 - layer),
            np.full(L - 1, abs(c) ** (L - 2)),
        )
        given = f"c = {c}, L = {L}"
        received = call(answer, c, L)  # type: ignore[arg-type]
        if not isinstance(received, (tuple, list)) or len(received) != 3:
            malformed(f"for {given}: expected three arrays, received {describe(received)}")
        size = abs(c)
        late: Outcomes = {"The activations start at a⁽⁰⁾ = x: c⁰ first.": c * c ** np.arange(L)}
        turned: Outcomes = {
            "One factor too many: between layers l and L−1 there are L−1−l matrices.": size
            * expected[1],
            "The δ are reversed: for c > 1 they grow towards the input.": expected[1][::-1],
        }
        whole: Outcomes = {
            "This is ‖δ⁽ˡ⁾‖ alone; multiply by ‖a⁽ˡ⁻¹⁾‖.": expected[1],
            "One factor too many: δ⁽ˡ⁾ meets a⁽ˡ⁻¹⁾, the layer's input, not a⁽ˡ⁾.": size
            * expected[2],
        }
        parts = (
            ("‖a⁽ˡ⁾‖, l = 0 … L−1", late),
            ("‖δ⁽ˡ⁾‖, l = 1 … L−1", turned),
            ("‖∂L/∂W⁽ˡ⁾‖, l = 1 … L−1", whole),
        )
        for (name, mistakes), value, right in zip(parts, received, expected, strict=True):
            array = as_array(value, given)
            if c < 0 and array.shape == right.shape and (array < 0).any():
                wrong(f"for {given}: {name} has negative entries; a norm has none, so take |c|.")
            hint = "There are L−1 layers of 2×2 matrices, and L activations with the input."
            expect_shape(array, right.shape, f"{name}, {given}", hint)
            expect_close(array, right, f"{name}, {given}", mistakes=mistakes)


@checklist.exercise("5.7 Weight decay")
def regularised_loss(answer: object) -> None:
    """Check value and gradient of the loss with its penalty on the weights."""
    generator = torch.Generator().manual_seed(3)

    def draw(*shape: int) -> torch.Tensor:
        return torch.randn(shape, generator=generator, dtype=torch.float64)

    for N, decay in ((5, 0.1), (8, 0.02)):
        weights, biases = [draw(4, 3), draw(2, 4)], [draw(4), draw(2)]
        losses = draw(N) ** 2
        leaves = [W.requires_grad_() for W in weights]
        given = f"{N} losses, decay = {decay}, two layers"
        received = call(answer, losses, leaves, biases, decay)  # type: ignore[arg-type]
        squares = sum((W.detach().numpy() ** 2).sum() for W in weights)
        norms = sum(np.linalg.norm(W.detach().numpy()) for W in weights)
        bias_squares = sum((b.numpy() ** 2).sum() for b in biases)
        mean = losses.numpy().mean()
        mistakes: Outcomes = {
            "The biases are in the penalty; they are to be left out.": mean
            + decay * (squares + bias_squares),
            "The norms are not squared.": mean + decay * norms,
            "The penalty is added once per example; add it once.": mean + N * decay * squares,
            "The losses are summed and the penalty added once per example; take the mean, and add "
            "the penalty once.": N * (mean + decay * squares),
            "The losses are summed; take their mean.": N * mean + decay * squares,
            "There is a factor ½ in the penalty; this convention has none.": mean
            + decay * squares / 2,
            "The penalty is missing.": mean,
        }
        expect_close(received, mean + decay * squares, given, mistakes=mistakes)
        if not isinstance(received, torch.Tensor) or not received.requires_grad:
            wrong(
                "right in value, but no gradient flows through it: use torch's functions on the "
                "tensors, without .item(), .detach() or NumPy."
            )
        own = answer(losses, leaves, biases, decay)  # type: ignore[operator]  # not on copies
        gradients = torch.autograd.grad(own, leaves, allow_unused=True)
        for gradient, W in zip(gradients, leaves, strict=True):
            if gradient is None or not torch.allclose(gradient, 2 * decay * W):
                wrong("right in value, but the gradient of the penalty is not 2 · decay · W.")


def _norm_mistakes(z: NDArray, v: NDArray, u: NDArray) -> Mapping[str, NDArray]:
    n = z.shape[1]
    centred, std = z - z.mean(1, keepdims=True), z.std(1, keepdims=True)
    across = (z - z.mean(0)) / z.std(0)
    whole = (z - z.mean()) / z.std()
    return {
        "The factor √n is missing: the norm ‖z − z̄‖ is √n times the standard deviation.": v
        * centred
        / (std * np.sqrt(n))
        + u,
        "Divided by n − 1 in the variance (degrees of freedom); the slides divide by n.": v
        * centred
        / z.std(1, ddof=1, keepdims=True)
        + u,
        "The variance is used where its root, the standard deviation, is needed.": v
        * centred
        / std**2
        + u,
        "Averaged over the batch: that is batch normalisation. Each row has its own mean.": v
        * across
        + u,
        "Averaged over all numbers at once; each row has its own mean and norm.": v * whole + u,
        "v and u are swapped: v scales, u shifts.": u * centred / std + v,
        "The mean is not taken away from z in the numerator.": v * z / std + u,
        "The mean is not taken away before the norm is computed.": v
        * np.sqrt(n)
        * centred
        / np.linalg.norm(z, axis=1, keepdims=True)
        + u,
        "u is added before the scaling by v.": v * (centred / std + u),
        "A small number (eps) is added to the variance; the slides add none, and for inputs this "
        "small it shows.": v * centred / np.sqrt(std**2 + 1e-5) + u,
        "A small number (eps) is added to the standard deviation; the slides add none, and for "
        "inputs this small it shows.": v * centred / (std + 1e-5) + u,
    }


@checklist.exercise("5.8 Layer normalisation")
def layer_norm(answer: object) -> None:
    """Check layer normalisation against PyTorch's with eps = 0, also on very small inputs."""
    rng = np.random.default_rng(8)
    v, u = rng.uniform(0.5, 2, 6), rng.normal(size=6)
    base = rng.normal(1.0, 2.0, (4, 6))
    for z, given in ((base, "a 4×6 array z"), (1e-3 * base, "a 4×6 array z of numbers near 0.001")):
        module = torch.nn.LayerNorm(6, eps=0.0, dtype=torch.float64)
        with torch.no_grad():
            module.weight.copy_(torch.from_numpy(v))
            module.bias.copy_(torch.from_numpy(u))
            expected = module(torch.from_numpy(z)).numpy()
        received = call(answer, z, v, u)  # type: ignore[arg-type]
        mistakes = _norm_mistakes(z, v, u)
        expect_close(received, expected, given, rtol=1e-6, atol=1e-9, mistakes=mistakes)
