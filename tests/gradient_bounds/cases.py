"""Right and wrong answers to the exercises of notebook 05."""

import numpy as np
import torch

from helpers.gradient_bounds import bounds, check
from helpers.judge import State
from tests.cases import Case, Wrong, stub


# 5.1
def pass_back(weights, slopes, inputs, g):
    delta = g
    gradients = [np.outer(delta, inputs[-1])]
    for W, d, a in zip(weights[:0:-1], slopes[::-1], inputs[-2::-1], strict=True):
        delta = d * (W.T @ delta)
        gradients.insert(0, np.outer(delta, a))
    return gradients


def pass_back_matrices(weights, slopes, inputs, g):
    gradients = []
    for i in range(len(weights)):
        delta = np.eye(len(weights[i]))
        for k in range(i, len(slopes)):
            delta = delta @ np.diag(slopes[k]) @ weights[k + 1].T
        gradients.append(torch.tensor(np.outer(delta @ g, inputs[i])))
    return tuple(gradients)


def pass_back_helpers(weights, slopes, inputs, g):
    deltas = bounds.backward(weights, slopes, g)
    return [d[:, None] * a for d, a in zip(deltas, inputs, strict=True)]


def bent(step):
    def answer(weights, slopes, inputs, g):
        deltas = [g]
        for k in range(len(slopes), 0, -1):
            deltas.append(step(weights, slopes, k, deltas[-1]))
        return [np.outer(d, a) for d, a in zip(deltas[::-1], inputs, strict=True)]

    return answer


def changes_input(weights, slopes, inputs, g):
    result = pass_back(weights, slopes, inputs, g)
    g *= 0
    return result


def nothing(*args):
    pass


# 5.2
def power_iteration(A):
    v = np.random.default_rng(0).normal(size=A.shape[1])
    for _ in range(300):
        v = A.T @ (A @ v)
        v /= np.linalg.norm(v)
    return np.linalg.norm(A @ v)


def from_ones(A):
    v = np.ones(A.shape[1]) / A.shape[1] ** 0.5
    for _ in range(300):
        v = A.T @ (A @ v)
        v = v / np.linalg.norm(v)
    return np.linalg.norm(A @ v)


def unnormalised(A):
    with np.errstate(all="ignore"):
        v = np.random.default_rng(0).normal(size=A.shape[1])
        for _ in range(300):
            before, v = v, A.T @ (A @ v)
        return np.sqrt(np.linalg.norm(v) / np.linalg.norm(before))


# 5.3 and 5.4
def bound(slope, weight, x=True, g=True, first=False):
    def answer(x_, weights, slopes, g_):
        value = (np.linalg.norm(x_) if x else 1.0) * (np.linalg.norm(g_) if g else 1.0)
        for d, W in zip(slopes, weights[1:], strict=True):
            value = value * slope(d) * weight(W)
        return value * (weight(weights[0]) if first else 1.0)

    return answer


def norm2(W):
    return np.linalg.norm(W, 2)


def top(d):
    return np.abs(d).max()


def low(d):
    return np.abs(d).min()


def last(W):
    return np.linalg.svd(W)[1][-1]


def smallest(W):
    return last(W) if W.shape[0] <= W.shape[1] else 0


def upper_matrices(x, weights, slopes, g):
    factors = [np.linalg.norm(np.diag(d), 2) for d in slopes]
    factors += [torch.linalg.matrix_norm(torch.tensor(W), 2).item() for W in weights[1:]]
    return np.float32(np.linalg.norm(x) * np.prod(factors) * np.linalg.norm(g))


def lower_eigen(x, weights, slopes, g):
    value = np.linalg.norm(x) * np.linalg.norm(g)
    for d, W in zip(slopes, weights[1:], strict=True):
        value *= (
            min(abs(d)) * np.sqrt(max(np.linalg.eigvalsh(W @ W.T)[0], 0)) * (len(W) <= len(W.T))
        )
    return torch.tensor(value)


# 5.5
def ends(n, m, variance):
    return np.sqrt(variance) * abs(n**0.5 - m**0.5), np.sqrt(variance) * (n**0.5 + m**0.5)


def ends_by_squares(n, m, variance):
    middle, half = n + m, 2 * np.sqrt(n * m)
    return np.sqrt(variance * np.array([max(middle - half, 0), middle + half]))


# 5.6
def powers(c, L):
    c = abs(c)
    return c ** np.arange(L), c ** np.arange(L - 2, -1, -1), c ** (L - 2) * np.ones(L - 1)


def powers_loop(c, L):
    a = [1.0]
    for _ in range(L - 1):
        a.append(a[-1] * abs(c))
    delta = a[: L - 1][::-1]
    return a, delta, [d * b for d, b in zip(delta, a, strict=False)]


# 5.7
def penalised(losses, weights, biases, decay):
    return losses.mean() + decay * sum((W**2).sum() for W in weights)


def penalised_norm(losses, weights, biases, decay):
    total = torch.stack([torch.linalg.norm(W) ** 2 for W in weights]).sum()
    return torch.sum(losses) / len(losses) + total * decay


def squares(tensors):
    return sum((W**2).sum() for W in tensors)


# 5.8
def normalise(z, v, u):
    c = z - z.mean(axis=1, keepdims=True)
    return v * c * np.sqrt(z.shape[1]) / np.linalg.norm(c, axis=1, keepdims=True) + u


def normalise_rows(z, v, u):
    return np.array([v * (row - row.mean()) / row.std() + u for row in z])


def normalise_torch(z, v, u):
    v, u = torch.tensor(v), torch.tensor(u)
    return torch.nn.functional.layer_norm(torch.tensor(z), v.shape, v, u, eps=0)


def spoilt(change):
    def answer(z, v, u):
        c, s = z - z.mean(1, keepdims=True), z.std(1, keepdims=True)
        return change(z, v, u, c, s)

    return answer


def in_place(z, v, u):
    z -= z.mean(1, keepdims=True)
    return v * z / z.std(1, keepdims=True) + u


CASES = [
    Case(
        check.backward,
        (stub,),
        [(pass_back,), (pass_back_matrices,), (pass_back_helpers,)],
        [
            Wrong((bent(lambda W, d, k, v: W[k].T @ v),), "slopes σ′(z) are missing"),
            Wrong((bent(lambda W, d, k, v: d[k - 1] * (W[k] @ v)),), "its transpose Wᵀ is needed"),
            Wrong(
                (bent(lambda W, d, k, v: d[k - 1] * (W[k - 1].T @ v)),),
                "weights of the wrong layer",
            ),
            Wrong((bent(lambda W, d, k, v: W[k].T @ (d[k - 1] * v)),), "in the wrong order"),
            Wrong((lambda *a: [G.T for G in pass_back(*a)],), "A gradient is transposed"),
            Wrong((lambda *a: pass_back(*a)[::-1],), "from the last layer to the first"),
            Wrong(
                (lambda *a: pass_back(*a)[0],), "expected a list of 3 gradients", State.MALFORMED
            ),
            Wrong(
                (lambda W, d, a, g: bounds.backward(W, d, g),),
                "is the outer product",
                State.MALFORMED,
            ),
            Wrong((changes_input,), "changed its input in place"),
            Wrong((nothing,), "is a `return` missing?", State.MALFORMED),
            Wrong((lambda W, d, a, g: [np.outer(g, a[-1])] * 4 / 2,), "TypeError", State.RAISED),
        ],
    ),
    Case(
        check.spectral_norm,
        (stub,),
        [(power_iteration,), (lambda A: np.linalg.norm(A, 2),), (bounds.largest_stretch,)],
        [
            Wrong((lambda A: np.linalg.norm(A, 2) ** 2,), "take its root"),
            Wrong((lambda A: np.linalg.norm(A),), "This is the Frobenius norm"),
            Wrong((lambda A: np.linalg.svd(A)[1][-1],), "This is the smallest singular value"),
            Wrong((lambda A: np.abs(np.linalg.eigvals(A)).max(),), "a matrix that turns"),
            Wrong((lambda A: np.linalg.norm(A, axis=0).max(),), "the longest column"),
            Wrong((from_ones,), "Start from a random vector"),
            Wrong((unnormalised,), "divide v by its norm"),
            Wrong((lambda A: np.linalg.svd(A)[1],), "expected shape ()", State.MALFORMED),
        ],
    ),
    Case(
        check.upper_bound,
        (stub,),
        [(bound(top, norm2),), (upper_matrices,)],
        [
            Wrong((bound(top, np.linalg.norm),), "Frobenius norm of W bounds too"),
            Wrong((bound(np.max, norm2),), "without its sign removed"),
            Wrong((bound(lambda d: np.mean(np.abs(d)), norm2),), "mean slope is no bound"),
            Wrong((bound(top, norm2, x=False),), "‖x‖ is missing"),
            Wrong((bound(top, norm2, g=False),), "‖∂L/∂ŷ‖ is missing"),
            Wrong((bound(top, norm2, first=True),), "W⁽¹⁾ does not belong"),
            Wrong((bound(lambda d: 1.0, norm2),), "The slopes are missing"),
            Wrong((lambda *a: [bound(top, norm2)(*a)],), "received shape (1,)", State.MALFORMED),
        ],
    ),
    Case(
        check.lower_bound,
        (stub,),
        [(bound(low, smallest),), (lower_eigen,)],
        [
            Wrong((bound(low, last),), "Where a layer widens"),
            Wrong((bound(low, lambda W: last(W) if len(W) >= len(W.T) else 0),), "mixed up"),
            Wrong((bound(np.min, smallest),), "−0.95 is steep"),
            Wrong((bound(top, norm2),), "This is the upper bound"),
            Wrong((lambda *a: 0.0,), "own bound is always 0"),
            Wrong((bound(low, smallest, x=False),), "‖x‖ is missing"),
            Wrong((bound(low, smallest, g=False),), "‖∂L/∂ŷ‖ is missing"),
        ],
    ),
    Case(
        check.edges,
        (stub,),
        [(ends,), (ends_by_squares,), (lambda *a: torch.tensor(ends(*a)),)],
        [
            Wrong((lambda n, m, v: np.array(ends(n, m, v)) * v**0.5,), "this uses the variance"),
            Wrong((lambda *a: np.array(ends(*a)) ** 2,), "eigenvalues of WᵀW"),
            Wrong((lambda n, m, v: (v**0.5 * (m**0.5 - n**0.5), ends(n, m, v)[1]),), "is negative"),
            Wrong(
                (lambda n, m, v: (v**0.5 * (n**0.5 - m**0.5), ends(n, m, v)[1]),), "has its sign"
            ),
            Wrong((lambda *a: ends(*a)[::-1],), "wrong way round"),
            Wrong((lambda n, m, v: (v**0.5 * abs(n - m), v**0.5 * (n + m)),), "roots of fan_in"),
            Wrong((lambda n, m, v: np.array(ends(n, m, v)) / n**0.5,), "divided by √n_in"),
            Wrong((lambda *a: ends(*a)[1],), "received shape ()", State.MALFORMED),
        ],
    ),
    Case(
        check.chain,
        (stub,),
        [(powers,), (powers_loop,)],
        [
            Wrong((lambda c, L: (abs(c) ** np.arange(1, L + 1), *powers(c, L)[1:]),), "c⁰ first"),
            Wrong(
                (lambda c, L: (powers(c, L)[0], powers(c, L)[1] * abs(c), powers(c, L)[2]),),
                "between layers l and L−1",
            ),
            Wrong(
                (lambda c, L: (powers(c, L)[0], powers(c, L)[1][::-1], powers(c, L)[2]),),
                "The δ are reversed",
            ),
            Wrong((lambda c, L: (*powers(c, L)[:2], powers(c, L)[1]),), "alone"),
            Wrong(
                (lambda c, L: (*powers(c, L)[:2], powers(c, L)[2] * abs(c)),), "the layer's input"
            ),
            Wrong((lambda c, L: (c ** np.arange(L), *powers(c, L)[1:]),), "so take |c|"),
            Wrong((lambda c, L: powers(c, L)[:2],), "expected three arrays", State.MALFORMED),
            Wrong(
                (lambda c, L: (powers(c, L)[0][1:], *powers(c, L)[1:]),),
                "L activations with the input",
                State.MALFORMED,
            ),
        ],
    ),
    Case(
        check.regularised_loss,
        (stub,),
        [(penalised,), (penalised_norm,)],
        [
            Wrong(
                (lambda e, W, b, k: e.mean() + k * (squares(W) + squares(b)),), "biases are in the"
            ),
            Wrong(
                (lambda e, W, b, k: e.mean() + k * sum(torch.linalg.norm(w) for w in W),),
                "not squared",
            ),
            Wrong((lambda e, W, b, k: e.mean() + len(e) * k * squares(W),), "add it once"),
            Wrong((lambda e, W, b, k: (e + k * squares(W)).sum(),), "take the mean, and add"),
            Wrong((lambda e, W, b, k: e.sum() + k * squares(W),), "are summed; take their mean"),
            Wrong((lambda e, W, b, k: e.mean() + k / 2 * squares(W),), "factor ½"),
            Wrong((lambda e, W, b, k: e.mean(),), "The penalty is missing"),
            Wrong((lambda *a: penalised(*a).item(),), "no gradient flows"),
            Wrong((lambda e, W, b, k: e + k * squares(W),), "received shape (5,)", State.MALFORMED),
        ],
    ),
    Case(
        check.layer_norm,
        (stub,),
        [(normalise,), (normalise_rows,), (normalise_torch,)],
        [
            Wrong((spoilt(lambda z, v, u, c, s: v * c / s / 6**0.5 + u),), "factor √n is missing"),
            Wrong(
                (spoilt(lambda z, v, u, c, s: v * c / s * (5 / 6) ** 0.5 + u),),
                "degrees of freedom",
            ),
            Wrong((spoilt(lambda z, v, u, c, s: v * c / s**2 + u),), "The variance is used"),
            Wrong(
                (lambda z, v, u: v * (z - z.mean(0)) / z.std(0) + u,), "that is batch normalisation"
            ),
            Wrong((lambda z, v, u: v * (z - z.mean()) / z.std() + u,), "all numbers at once"),
            Wrong((spoilt(lambda z, v, u, c, s: u * c / s + v),), "v and u are swapped"),
            Wrong((spoilt(lambda z, v, u, c, s: v * z / s + u),), "in the numerator"),
            Wrong(
                (
                    lambda z, v, u: (
                        normalise(z, v, 0)
                        * np.linalg.norm(z - z.mean(1, keepdims=True), axis=1)[:, None]
                        / np.linalg.norm(z, axis=1, keepdims=True)
                        + u
                    ),
                ),
                "before the norm is computed",
            ),
            Wrong((spoilt(lambda z, v, u, c, s: v * (c / s + u)),), "before the scaling by v"),
            Wrong(
                (spoilt(lambda z, v, u, c, s: v * c / np.sqrt(s**2 + 1e-5) + u),),
                "added to the variance",
            ),
            Wrong(
                (spoilt(lambda z, v, u, c, s: v * c / (s + 1e-5) + u),),
                "added to the standard deviation",
            ),
            Wrong((in_place,), "changed its input in place"),
            Wrong((nothing,), "is a `return` missing?", State.MALFORMED),
        ],
    ),
]
