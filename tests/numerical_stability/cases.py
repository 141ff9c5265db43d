"""Right and wrong answers to the exercises of notebook 04."""

import math

import numpy as np
import torch
from torch import nn

from helpers.judge import State
from helpers.numerical_stability import check
from tests.cases import Case, Wrong, stub

INF, NAN = float("inf"), float("nan")


# 4.1 ---------------------------------------------------------------------------------------------


def predict(**changes):
    """Return a function that predicts rightly but for the changes, named by position."""
    values = {"tiny": 0.0, "huge": INF, "lost": 0.0, "cc": 0.0, "dd": INF, "difference": NAN}
    values |= changes
    names = ("1e-10000", "1e+10000", "c + d - d", "c * c", "d * d", "d * d - d * d")
    return (lambda: dict(zip(names, values.values(), strict=True)),)


def predictions_computed():
    c, d = 1e-250, 1e250
    return {
        "1e-10000": 1e-10000,
        "1e+10000": math.inf,
        "c + d - d": c + d - d,
        "c * c": c * c,
        "d * d": d * d,
        "d * d - d * d": math.nan,
    }


PREDICTIONS = Case(
    check.predictions,
    (stub,),
    right=[
        predict(),
        (predictions_computed,),
        predict(lost=0, cc=np.float32(0), dd=np.float64("inf"), tiny=torch.tensor(0.0)),
    ],
    wrong=[
        Wrong(predict(lost=1e-250), "stores c + d first"),
        Wrong(predict(cc=5e-324), "not at it"),
        Wrong(predict(dd=NAN), "has a sign and a size"),
        Wrong(predict(difference=0.0), "inf − inf is not 0"),
        Wrong(predict(difference=INF), "not inf either"),
        Wrong(predict(huge=1.7976931348623157e308), "does not stop at the largest number."),
        Wrong(predict(tiny=5e-324), "Half the smallest number"),
        Wrong(predict(huge=1e308), "1e+10000 is not 1e+308"),
        Wrong(predict(huge="inf"), "expected a number, received 'inf'", State.MALFORMED),
        Wrong((lambda: {"1e-10000": 0.0},), "no prediction for 1e+10000", State.MALFORMED),
        Wrong((lambda: [0, INF, 0, 0, INF, NAN],), "expected a dictionary", State.MALFORMED),
        Wrong((lambda: None,), "is a `return` missing", State.MALFORMED),
    ],
)


# 4.2 ---------------------------------------------------------------------------------------------


def log_variance(L, layer, N, slope, weight, output, activation):
    logs = np.log10([N, slope**2, weight**2, output**2, activation**2])
    return float(np.dot(logs, [L - layer, L - layer + 1, L - layer, 1, 1]))


def log_variance_by_steps(L, layer, N, slope, weight, output, activation):
    total = 2 * math.log10(output * slope * activation)
    for _ in range(layer + 1, L + 1):
        total += math.log10(N) + 2 * math.log(slope * weight) / math.log(10)
    return total


def log_variance_float32(*numbers):
    return torch.tensor(log_variance(*numbers), dtype=torch.float64)


def exponents(n=0, slope=0, weight=0, square=2, log=np.log10):
    def answer(L, layer, N, s, w, o, a):
        logs = (L - layer + n) * log(N) + square * (
            (L - layer + 1 + slope) * log(s) + log(o) + log(a)
        )
        return logs + square * (L - layer + weight) * log(w)

    return (answer,)


def log_of_product(L, layer, N, s, w, o, a):
    with np.errstate(all="ignore"):
        product = np.float64(N) ** (L - layer) * np.float64(w**2) ** (L - layer)
        return np.log10(product * s ** (2 * (L - layer + 1)) * o**2 * a**2)


LOG_VARIANCE = Case(
    check.log_variance,
    (stub,),
    right=[(log_variance,), (log_variance_by_steps,), (log_variance_float32,)],
    wrong=[
        Wrong((log_of_product,), "before its logarithm was taken"),
        Wrong((lambda *g: 10 ** log_variance(*g) if g[0] < 20 else 0.0,), "the variance itself"),
        Wrong(exponents(log=np.log), "natural logarithms"),
        Wrong(exponents(square=1), "enter a variance squared"),
        Wrong(exponents(slope=-1), "one more than weight matrices"),
        Wrong(exponents(weight=1), "those of layers l + 1 to L"),
        Wrong(exponents(weight=1, n=1), "with its sum over N terms"),
        Wrong(exponents(n=1), "once for each sum over k"),
        Wrong((lambda L, layer, N, *g: log_variance(L, layer, 1, *g),), "N is missing"),
        Wrong((lambda L, layer, N, *g: log_variance(L, layer, N * N, *g),), "not 2(L − l)"),
        Wrong((lambda L, *g: log_variance(L - 1, *g),), "not to layer L − 1"),
        Wrong((lambda *g: log_variance(*g[:-1], 1.0),), "ends in the activation"),
        Wrong((lambda *g: log_variance(*g[:-2], 1.0, g[-1]),), "gradient at the output is missing"),
        Wrong((lambda *g: log_variance(*g) / 2,), "log10 of the standard deviation"),
        Wrong((lambda *g: np.array([log_variance(*g)]),), "expected shape ()", State.MALFORMED),
        Wrong((lambda *g: None,), "is a `return` missing", State.MALFORMED),
        Wrong((lambda *g: g[9],), "IndexError", State.RAISED),
    ],
)


# 4.3 ---------------------------------------------------------------------------------------------


def sampler(square=False, root=False, slopes=0, layers=0, transposed=False, **fixed):
    """Return a sampler with a mistake: deviations squared or rooted, factors too many or fixed."""

    def answer(L, layer, N, slope, weight, output, activation, rng):
        given = {"slope": slope, "weight": weight, "output": output, "activation": activation}
        given |= fixed
        power = 2 if square else 0.5 if root else 1
        s, w, o, a = (value**power for value in given.values())
        delta = rng.normal(0, o, N)
        if slopes >= 0:
            delta = delta * rng.normal(0, s, N)
        for _ in range(L - layer + layers):
            delta = rng.normal(0, s, N) * (rng.normal(0, w, (N, N)) @ delta)
        gradient = np.outer(delta, rng.normal(0, a, N))
        return gradient.T if transposed else gradient

    return (answer,)


def sample_by_diagonals(L, layer, N, slope, weight, output, activation, rng):
    product = np.diag(slope * rng.standard_normal(N))
    for _ in range(layer + 1, L + 1):
        W = weight * rng.standard_normal((N, N))
        product = product @ W.T @ np.diag(slope * rng.standard_normal(N))
    delta = product @ (output * rng.standard_normal((N, 1)))
    return delta @ (activation * rng.standard_normal((1, N)))


def sample_tensor(*numbers):
    return torch.tensor(sample_by_diagonals(*numbers), dtype=torch.float32)


def sample_one_slope(L, layer, N, slope, weight, output, activation, rng):
    delta = rng.normal(0, slope) * rng.normal(0, output, N)
    for _ in range(L - layer):
        delta = rng.normal(0, slope) * (rng.normal(0, weight, (N, N)) @ delta)
    return np.outer(delta, rng.normal(0, activation, N))


def extra_weight(L, layer, N, slope, weight, output, activation, rng):
    gradient = sampler()[0](L, layer, N, slope, weight, output, activation, rng)
    return rng.normal(0, weight, (N, N)) @ gradient


def all_entries(L, layer, N, *rest):
    return rest[-1].normal(0, 10**1.5, (N, N))


SAMPLE = Case(
    check.sample_gradient,
    (stub,),
    right=[sampler(), (sample_by_diagonals,), (sample_tensor,)],
    wrong=[
        Wrong(sampler(square=True), "not a variance (its square)"),
        Wrong(sampler(root=True), "they are no variances"),
        Wrong(sampler(slopes=-1), "one more than weight matrices"),
        Wrong(sampler(layers=1), "a layer too many"),
        Wrong((extra_weight,), "a weight matrix too many"),
        Wrong(sampler(transposed=True), "the matrix is transposed"),
        Wrong(sampler(slope=1.0), "The slopes are missing, or their deviation"),
        Wrong(sampler(weight=1.5), "of the mean square is 3."),
        Wrong(sampler(activation=1.0), "activation's deviation is missing"),
        Wrong(sampler(output=1.0), "output gradient's deviation is missing"),
        Wrong((sample_one_slope,), "one gradient differs from the next"),
        Wrong((all_entries,), "has rank 24"),
        Wrong(
            (lambda L, layer, N, *g: np.diag(sampler()[0](L, layer, N, *g)),),
            "received shape (24,)",
            State.MALFORMED,
        ),
        Wrong((lambda *g: sampler()[0](*g[:-1], np.random.default_rng()),), "on rng alone"),
        Wrong((lambda *g: None,), "is a `return` missing", State.MALFORMED),
    ],
)


# 4.4 ---------------------------------------------------------------------------------------------


def draw(
    log=np.log10,
    magnitude=np.abs,
    label="log10 |g|",
    title="{} entries are 0",
    zeros=None,
    style="hist",
):
    def answer(gradient, ax):
        values = magnitude(np.ravel(gradient))
        kept = values[values > 0] if zeros is None else np.where(values > 0, values, zeros)
        logs = log(kept)
        if style == "hist":
            ax.hist(logs, bins=40)
        elif style == "step":
            ax.hist(logs, bins=50, histtype="step", density=True)
        elif style == "stairs":
            ax.stairs(*np.histogram(logs, bins=30))
        elif style == "line":
            counts, edges = np.histogram(logs, bins=30)
            ax.plot((edges[1:] + edges[:-1]) / 2, counts)
        if label:
            ax.set_xlabel(label)
        ax.set_title(title.format(np.sum(np.asarray(gradient) == 0)))
        return ax

    return (answer,)


def draw_bars(gradient, ax):
    counts, edges = np.histogram(np.log10(np.abs(gradient[gradient != 0])), bins=35)
    ax.bar(edges[:-1], counts, width=np.diff(edges), align="edge")
    ax.set(xlabel="exponent of 10", title=f"zeros: {np.count_nonzero(gradient == 0)}")
    return ax


def draw_on_log_axis(gradient, ax):
    ax.hist(np.abs(gradient[gradient != 0]), bins=np.logspace(-14, -2, 40))
    ax.set_xscale("log")
    return ax


def draw_elsewhere(gradient, ax):
    return ax


PLOT = Case(
    check.plot_magnitudes,
    (stub,),
    right=[
        draw(),
        draw(style="step"),
        draw(style="stairs"),
        draw(style="line"),
        (draw_bars,),
        draw(log=lambda v: np.log(v) / np.log(10)),
    ],
    wrong=[
        Wrong(draw(log=np.log), "natural logarithms (np.log)"),
        Wrong(draw(log=np.log2), "logarithms to base 2"),
        Wrong(draw(magnitude=lambda v: v), "Only positive entries"),
        Wrong(draw(magnitude=np.square), "The squares are drawn"),
        Wrong(draw(log=lambda v: v), "The magnitudes themselves"),
        Wrong(draw(zeros=1e-30), "as if they were tiny numbers"),
        Wrong(draw(label=""), "has no label"),
        Wrong(draw(title="a histogram"), "the title does not say so"),
        Wrong((draw_on_log_axis,), "logarithmic scale"),
        Wrong((draw_elsewhere,), "nothing is drawn", State.MALFORMED),
        Wrong((lambda g, ax: draw()[0](g, ax) and None,), "is a `return` missing", State.MALFORMED),
        Wrong((lambda g, ax: len(ax.hist(np.ravel(g))),), "the axes back", State.MALFORMED),
    ],
)


# 4.5 ---------------------------------------------------------------------------------------------


def weights_of(network):
    return [layer.weight for layer in network if isinstance(layer, nn.Linear)]


def by_autograd(size, loss=nn.functional.mse_loss):
    def answer(network, inputs, targets):
        grads = torch.autograd.grad(loss(network(inputs), targets), weights_of(network))
        return [size(grad) for grad in grads]

    return (answer,)


def by_backward(network, inputs, targets):
    network.zero_grad()
    ((network(inputs) - targets) ** 2).mean().backward()
    return np.array([weight.grad.abs().mean().item() for weight in weights_of(network)])


def by_backward_accumulated(network, inputs, targets):
    ((network(inputs) - targets) ** 2).mean().backward()
    return [weight.grad.abs().mean().item() for weight in weights_of(network)]


def by_step(network, inputs, targets):
    sizes = by_backward(network, inputs, targets)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter -= 0.1 * parameter.grad
    return sizes


def with_biases(network, inputs, targets):
    network.zero_grad()
    nn.functional.mse_loss(network(inputs), targets).backward()
    grads = [p.grad.abs().mean().item() for p in network.parameters()]
    return [*grads, 0.0] if len(grads) == 4 else grads


def mean_size(grad):
    return grad.abs().mean().item()


LAYER_GRADIENTS = Case(
    check.layer_gradients,
    (stub,),
    right=[
        by_autograd(mean_size),
        (by_backward,),
        by_autograd(lambda g: g.abs().mean()),
        (lambda n, x, y: torch.stack(by_autograd(lambda g: g.abs().mean())[0](n, x, y)),),
    ],
    wrong=[
        Wrong(by_autograd(lambda g: g.mean().item()), "signs cancel"),
        Wrong(by_autograd(lambda g: abs(g.mean().item())), "the other way round"),
        Wrong(by_autograd(lambda g: g.abs().sum().item()), "sum over the weights"),
        Wrong(by_autograd(lambda g: g.abs().max().item()), "largest entry"),
        Wrong(by_autograd(lambda g: g.norm().item()), "That is the norm"),
        Wrong(by_autograd(lambda g: g.square().mean().sqrt().item()), "root of the mean square"),
        Wrong((lambda *g: by_backward(*g)[::-1],), "reverse order"),
        Wrong(by_autograd(mean_size, lambda a, b: ((a - b) ** 2).sum()), "not their sum"),
        Wrong(by_autograd(mean_size, lambda a, b: ((a - b) ** 2).mean() / 2), "a factor ½"),
        Wrong((by_backward_accumulated,), "empty them first"),
        Wrong((by_step,), "weights have changed"),
        Wrong((with_biases,), "One number for each linear layer", State.MALFORMED),
        Wrong((lambda *g: None,), "is a `return` missing", State.MALFORMED),
    ],
)


# 4.6 and 4.9 -------------------------------------------------------------------------------------


def draw_normal(numerator, fans=lambda i, o: i + o, power=0.5, shape=lambda i, o: (o, i)):
    def answer(fan_in, fan_out, rng):
        std = (numerator / fans(fan_in, fan_out)) ** power
        return rng.normal(0, std, size=shape(fan_in, fan_out))

    return answer


def draw_uniform(numerator, fans=lambda i, o: i + o, low=-1.0, times=3.0, power=0.5):
    def answer(fan_in, fan_out, rng):
        d = (times * numerator / fans(fan_in, fan_out)) ** power
        return rng.uniform(low * d, d, size=(fan_out, fan_in))

    return answer


def scaled_normal(numerator):
    def answer(fan_in, fan_out, rng):
        draws = rng.standard_normal((fan_out, fan_in), dtype=np.float32)
        return draws * np.float32((numerator / (fan_in + fan_out)) ** 0.5)

    return answer


def scaled_uniform(numerator):
    def answer(fan_in, fan_out, rng):
        d = math.sqrt(3 * numerator / (fan_in + fan_out))
        return torch.tensor(2 * d * (rng.random((fan_out, fan_in)) - 0.5))

    return answer


def forgotten(rng):
    return np.random.default_rng(0)


def initialiser_case(checked, numerator):
    other = 6 - numerator
    name = "Kaiming's" if other == 4 else "Xavier's"
    normal, uniform = draw_normal(numerator), draw_uniform(numerator)
    swapped = draw_normal(numerator, shape=lambda i, o: (i, o))
    return Case(
        checked,
        (stub, stub),
        right=[
            (normal, uniform),
            (scaled_normal(numerator), scaled_uniform(numerator)),
            (lambda i, o, rng: normal(o, i, rng).T, uniform),
        ],
        wrong=[
            Wrong((draw_normal(numerator, power=1), uniform), "Variance for standard deviation"),
            Wrong((draw_normal(numerator / 2, lambda i, o: i), uniform), "divides by n_in where"),
            Wrong((draw_normal(numerator / 2, lambda i, o: o), uniform), "divides by n_out where"),
            Wrong((draw_normal(numerator, lambda i, o: i), uniform), "n_in alone stands"),
            Wrong((draw_normal(other), uniform), f"is {name}"),
            Wrong((swapped, uniform), "The matrix is transposed", State.MALFORMED),
            Wrong((uniform, uniform), "the distribution is not normal"),
            Wrong((normal, normal), "the distribution is not uniform"),
            Wrong((normal, draw_uniform(numerator, times=1)), "misses a factor √3"),
            Wrong((normal, draw_uniform(numerator, power=1)), "take its root"),
            Wrong((normal, draw_uniform(numerator, low=0.0)), "run from 0 upwards"),
            Wrong(
                (lambda i, o, rng: normal(i, o, forgotten(rng)), uniform), "do not come from rng"
            ),
            Wrong((lambda i, o, rng: None, uniform), "is a `return` missing", State.MALFORMED),
            Wrong((lambda i, o: None, uniform), "TypeError", State.RAISED),
        ],
    )


XAVIER = initialiser_case(check.xavier, 2)
KAIMING = initialiser_case(check.kaiming, 4)


# 4.7 ---------------------------------------------------------------------------------------------

SIGMOID_MAP = Case(
    check.sigmoid_map,
    (stub,),
    right=[(lambda: (4, -2),), (lambda: [4.0, -2.0],), (lambda: np.float32([4, -2]),)],
    wrong=[
        Wrong((lambda: (1, -0.5),), "1 s(z) + (-0.5) has the value 0 and the slope 0.25"),
        Wrong((lambda: (2, -1),), "2 s(z) + (-1) has the value 0"),
        Wrong((lambda: (4, -0.5),), "The shift has to grow with the scale"),
        Wrong((lambda: (4, 0),), "an odd function is 0 at 0"),
        Wrong((lambda: (-4, 2),), "4 s(z) + (2) has the value 0 and the slope -1"),
        Wrong((lambda: (-4, 0),), "The sign is turned round"),
        Wrong((lambda: (1, 0),), "Neither odd nor of slope 1"),
        Wrong((lambda: 4,), "received shape ()", State.MALFORMED),
        Wrong((lambda: "4, -2",), "expected numbers", State.MALFORMED),
        Wrong((lambda: None,), "is a `return` missing", State.MALFORMED),
    ],
)


# 4.8 ---------------------------------------------------------------------------------------------


def moments(second=lambda a: np.mean(a**2), spread=np.var, size=lambda z: np.mean(z**2), cut=0):
    def answer(z):
        a = np.maximum(z, cut)
        return second(a) / size(z), spread(a) / size(z)

    return (answer,)


def moments_in_place(z):
    size = np.mean(z**2)
    z[z < 0] = 0
    return np.mean(z**2) / size, np.var(z) / size


def moments_by_sums(z):
    a = [max(x, 0.0) for x in z]
    n, size = len(a), sum(x * x for x in z)
    second = sum(x * x for x in a)
    return [second / size, (second - sum(a) ** 2 / n) / size]


def moments_torch(z):
    a = torch.relu(torch.tensor(z))
    size = torch.mean(torch.tensor(z) ** 2)
    return torch.stack([(a**2).mean() / size, a.var(unbiased=False) / size])


def moments_of_positive(z):
    a, size = z[z > 0], np.mean(z**2)
    return np.mean(a**2) / size, np.var(a) / size


RELU_MOMENTS = Case(
    check.relu_moments,
    (stub,),
    right=[moments(), (moments_by_sums,), (moments_torch,)],
    wrong=[
        Wrong(moments(spread=lambda a: np.var(a, ddof=1)), "degrees of freedom"),
        Wrong((lambda z: moments()[0](z)[::-1],), "in the wrong order"),
        Wrong(
            (lambda z: (moments()[0](z)[0], np.std(np.maximum(z, 0)) / np.mean(z**2)),),
            "root of the variance",
        ),
        Wrong(moments(second=lambda a: np.mean(a) ** 2), "not the square of the mean"),
        Wrong((lambda z: (0.5, 0.5 - 0.5 / np.pi),), "for a large normal sample"),
        Wrong(moments(cut=-100), "ReLU is missing"),
        Wrong(moments(size=np.var), "about its mean"),
        Wrong(moments(size=lambda z: 1.0), "division by the mean of z² is missing"),
        Wrong(moments(spread=lambda a: np.mean(a**2)), "Both are the second moment"),
        Wrong((moments_of_positive,), "Only the positive entries are averaged"),
        Wrong((moments_in_place,), "changed its input in place"),
        Wrong((lambda z: moments()[0](z)[0],), "received shape ()", State.MALFORMED),
        Wrong((lambda z: None,), "is a `return` missing", State.MALFORMED),
    ],
)


# 4.10 --------------------------------------------------------------------------------------------


def predicted(step):
    def answer(sigma, gain, depth, t):
        squares = [1.0]
        for _ in range(depth):
            squares.append(step(sigma, gain, squares[-1], t))
        return np.array(squares)

    return (answer,)


def predicted_recursively(sigma, gain, depth, t):
    if depth == 0:
        return [1.0]
    before = predicted_recursively(sigma, gain, depth - 1, t)
    z = math.sqrt(gain * before[-1]) * t
    return [*before, float(sigma(z) @ sigma(z)) / len(t)]


def exact(s, g, a, t):
    return np.mean(s(np.sqrt(g * a) * t) ** 2)


PREDICTED = Case(
    check.predicted_squares,
    (stub,),
    right=[
        predicted(exact),
        (predicted_recursively,),
        (lambda s, g, d, t: torch.tensor(predicted_recursively(s, g, d, t)),),
    ],
    wrong=[
        Wrong(predicted(lambda s, g, a, t: np.mean(s(g * a * t) ** 2)), "not q · t"),
        Wrong(
            predicted(lambda s, g, a, t: np.mean(s(np.sqrt(g * a) * t)) ** 2), "square of the mean"
        ),
        Wrong(predicted(lambda s, g, a, t: np.var(s(np.sqrt(g * a) * t))), "not the variance of a"),
        Wrong(predicted(lambda s, g, a, t: g * np.mean(s(np.sqrt(a) * t) ** 2)), "belongs inside"),
        Wrong(predicted(lambda s, g, a, t: exact(s, 1, a, t)), "The gain is missing"),
        Wrong(predicted(lambda s, g, a, t: exact(s, g, 1, t)), "from the last one's mean square"),
        Wrong(predicted(lambda s, g, a, t: g * a), "The unit is missing"),
        Wrong(predicted(lambda s, g, a, t: np.sqrt(exact(s, g, a * a, t))), "These are root mean"),
        Wrong(
            (lambda s, g, d, t: predicted(exact)[0](s, g, d, t)[1:],),
            "there are depth + 1",
            State.MALFORMED,
        ),
        Wrong(
            (lambda s, g, d, t: predicted(exact)[0](s, g, d, t)[-1],),
            "received shape ()",
            State.MALFORMED,
        ),
        Wrong((lambda s, g, d, t: None,), "is a `return` missing", State.MALFORMED),
    ],
)

CASES = [
    PREDICTIONS,
    LOG_VARIANCE,
    SAMPLE,
    PLOT,
    LAYER_GRADIENTS,
    XAVIER,
    SIGMOID_MAP,
    RELU_MOMENTS,
    KAIMING,
    PREDICTED,
]
