"""Right and wrong answers to the exercises of notebook 03."""

import numpy as np
import torch
from torch import nn
from torch.autograd import Function
from torch.nn import functional as F

from helpers.judge import State
from helpers.mnist_comparison import check
from tests.cases import Case, Wrong, stub

# 3.1


def digits_right(axes, images, labels):
    for ax, image, label in zip(axes, images, labels, strict=True):
        ax.imshow(image, cmap="gray")
        ax.set_title(f"label {label}")


def digits_right_by_index(axes, images, labels):
    for i in range(len(labels)):
        axes[i].imshow(images[i].astype(float), vmin=0, vmax=255)
        axes[i].set_title(labels[i], loc="left")
        axes[i].set_axis_off()


def digits_without_titles(axes, images, labels):
    for ax, image in zip(axes, images, strict=True):
        ax.imshow(image)


def digits_all_the_same(axes, images, labels):
    for ax, label in zip(axes, labels, strict=True):
        ax.imshow(images[0])
        ax.set_title(label)


def digits_transposed(axes, images, labels):
    digits_right(axes, images.transpose(0, 2, 1), labels)


def digits_only_one(axes, images, labels):
    digits_right(axes[:1], images[:1], labels[:1])


def digits_flat(axes, images, labels):
    digits_right(axes, images.reshape(3, 1, 784), labels)


def digits_inverted(axes, images, labels):
    digits_right(axes, 255 - images, labels)


def digits_raise(axes, images, labels):
    axes[3].imshow(images[3])


# 3.2


def split_right(x, y, used):
    cut = used - used // 5
    return x[:cut], y[:cut], x[cut:used], y[cut:used]


def split_right_in_arrays(x, y, used):
    x, y = np.asarray(x)[:used], np.asarray(y)[:used]
    train, validation = np.split(np.arange(used), [int(0.8 * used)])
    return [x[train], y[train], x[validation], y[validation]]


def split_first_fifth(x, y, used):
    cut = used // 5
    return x[cut:used], y[cut:used], x[:cut], y[:cut]


def split_all(x, y, used):
    cut = len(x) * 4 // 5
    return x[:cut], y[:cut], x[cut:], y[cut:]


def split_exchanged(x, y, used):
    a, b, c, d = split_right(x, y, used)
    return c, d, a, b


def split_end_of_everything(x, y, used):
    cut = used * 4 // 5
    return x[:cut], y[:cut], x[-(used - cut) :], y[-(used - cut) :]


def split_overlap(x, y, used):
    cut = used * 4 // 5
    return x[:used], y[:used], x[cut:used], y[cut:used]


def split_shuffled(x, y, used):
    cut = used * 4 // 5
    order = torch.arange(used)
    order[:cut] = torch.flip(order[:cut], [0])
    return split_right(x[order], y[order], used)


def split_labels_astray(x, y, used):
    a, b, c, _ = split_right(x, y, used)
    return a, b, c, y[: len(c)] + 1


def split_two(x, y, used):
    return x[:used], y[:used]


def split_forgets_return(x, y, used):
    split_right(x, y, used)


# 3.3


class MishRight(Function):
    @staticmethod
    def forward(ctx, z):
        t = torch.tanh(F.softplus(z))
        ctx.save_for_backward(z, t)
        return z * t

    @staticmethod
    def backward(ctx, grad_output):
        z, t = ctx.saved_tensors
        return grad_output * (t + z * (1 - t * t) * torch.sigmoid(z))


class MishRightByCases(Function):
    @staticmethod
    def forward(ctx, z):
        ctx.save_for_backward(z)
        e = torch.exp(-z.abs())
        top = torch.where(z >= 0, 1 + 2 * e, e * (e + 2))
        return z * top / (top + torch.where(z >= 0, 2 * e * e, torch.full_like(e, 2.0)))

    @staticmethod
    def backward(ctx, grad_output):
        (z,) = ctx.saved_tensors
        t = torch.tanh(torch.logaddexp(z, torch.zeros_like(z)))
        return grad_output * t + grad_output * z * torch.sigmoid(z) * (1 - t) * (1 + t)


def function(forward, backward, parameters=1):
    """Return a Function class with this forward and this backward, which get plain tensors."""

    class Made(Function):
        @staticmethod
        def forward(ctx, *inputs):
            ctx.save_for_backward(*inputs)
            return forward(*inputs)

        @staticmethod
        def backward(ctx, grad_output):
            return backward(grad_output, *ctx.saved_tensors)

    return Made


def t_of(z):
    return torch.tanh(F.softplus(z))


def mish_value(z):
    return z * t_of(z)


def mish_slope(z):
    return t_of(z) + z * (1 - t_of(z) ** 2) * torch.sigmoid(z)


def mish_with(forward=mish_value, backward=lambda g, z: g * mish_slope(z)):
    return function(forward, backward)


def textbook_mish_slope(g, z):
    e = torch.exp(z)
    omega = 4 * (z + 1) + 4 * e**2 + e**3 + e * (4 * z + 6)
    return g * e * omega / (2 * e + e**2 + 2) ** 2


class StubFunction(Function):
    @staticmethod
    def forward(ctx, *inputs):
        raise NotImplementedError()

    @staticmethod
    def backward(ctx, grad_output):
        raise NotImplementedError()


# 3.4


class SwishRight(Function):
    @staticmethod
    def forward(ctx, z, beta):
        ctx.save_for_backward(z, beta)
        return z * torch.sigmoid(beta * z)

    @staticmethod
    def backward(ctx, grad_output):
        z, beta = ctx.saved_tensors
        s = torch.sigmoid(beta * z)
        inner = z * s * (1 - s)
        return grad_output * (s + beta * inner), (grad_output * z * inner).sum()


class SwishRightFromSource(Function):
    """The assignment's own formula, kept finite."""

    @staticmethod
    def forward(ctx, z, beta):
        ctx.save_for_backward(z, beta)
        return z / (1 + torch.exp(-beta * z))

    @staticmethod
    def backward(ctx, grad_output):
        z, beta = ctx.saved_tensors
        s, rest = torch.sigmoid(beta * z), torch.sigmoid(-beta * z)
        return grad_output * s * (1 + beta * z * rest), torch.dot(grad_output, z * z * s * rest)


def swish_parts(z, beta):
    s = torch.sigmoid(beta * z)
    return s, s + beta * z * s * (1 - s), z * z * s * (1 - s)


def swish_with(forward=None, backward=None):
    def value(z, beta):
        return z * torch.sigmoid(beta * z)

    def gradients(g, z, beta):
        _, slope, by_beta = swish_parts(z, beta)
        return g * slope, (g * by_beta).sum()

    return function(forward or value, backward or gradients)


def textbook_swish(z, beta):
    return z * torch.exp(beta * z) / (1 + torch.exp(beta * z))


# 3.5


def network_right(make_unit):
    return nn.Sequential(
        nn.Linear(784, 200), make_unit(), nn.Linear(200, 64), make_unit(), nn.Linear(64, 10)
    )


class NetworkRight(nn.Module):
    def __init__(self, make_unit):
        super().__init__()
        self.first, self.second, self.last = (
            nn.Linear(784, 200),
            nn.Linear(200, 64),
            nn.Linear(64, 10),
        )
        self.units = nn.ModuleList(make_unit() for _ in range(2))

    def forward(self, x):
        for layer, unit in zip((self.first, self.second), self.units, strict=True):
            x = unit(layer(x))
        return self.last(x)


def network_like(*layers):
    def build(make_unit):
        unit = make_unit()
        made = [
            unit if layer == "shared" else make_unit() if layer == "unit" else layer
            for layer in layers
        ]
        return nn.Sequential(*made)

    return build


L1, L2, L3 = nn.Linear(784, 200), nn.Linear(200, 64), nn.Linear(64, 10)

# 3.6

torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=1)  # the first one takes seconds to make


def step_right(model, x, y, lr):
    loss = F.cross_entropy(model(x), y)
    model.zero_grad()
    loss.backward()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter -= lr * parameter.grad
    return loss.item()


def step_right_by_optimizer(model, x, y, lr):
    optimizer = torch.optim.SGD(model.parameters(), lr=lr)
    optimizer.zero_grad()
    loss = nn.CrossEntropyLoss()(model(x), y)
    loss.backward()
    optimizer.step()
    return loss.detach()


def step_with(sign=-1.0, clear=True, reduction="mean", use_lr=True, after=False, move=True):
    def step(model, x, y, lr):
        if clear:
            model.zero_grad()
        loss = F.cross_entropy(model(x), y, reduction=reduction)
        loss.backward()
        if move:
            with torch.no_grad():
                for parameter in model.parameters():
                    parameter += sign * (lr if use_lr else 1) * parameter.grad
        if after:
            loss = F.cross_entropy(model(x), y)
        return loss.item()

    return step


def step_summed_report(model, x, y, lr):
    return 12 * step_right(model, x, y, lr)


def step_silent(model, x, y, lr):
    step_right(model, x, y, lr)


# 3.7


def displayed_right(losses):
    return np.where(np.isnan(losses), 100.0, np.minimum(np.nan_to_num(losses, posinf=1e9), 100.0))


def displayed_right_in_a_loop(losses):
    return [min(value, 100.0) if value == value else 100.0 for value in losses]


def displayed_in_place(losses):
    losses[~(losses < 100)] = 100
    return losses


# 3.8


def threshold(curves, images, spread=np.sqrt):
    accuracy = curves["validation_accuracy"][:, -1]
    top = accuracy.max()
    return accuracy, top - spread(top * (1 - top) / images)


def choose_right(rates, curves, images):
    accuracy, enough = threshold(curves, images)
    return rates[np.argmax(accuracy >= enough)], accuracy.argmax() in (0, len(rates) - 1)


def choose_right_by_sorting(rates, curves, images):
    last = [float(curve[-1]) for curve in curves["validation_accuracy"]]
    top = max(last)
    error = (top * (1 - top) / images) ** 0.5
    rate = min(r for r, a in zip(rates, last, strict=True) if a >= top - error)
    return [np.float64(rate), bool(top in (last[0], last[-1]))]


def choose_by(score, edge=None):
    def choose(rates, curves, images):
        best = int(score(curves))
        _, on_edge = choose_right(rates, curves, images)
        return rates[best], on_edge if edge is None else edge

    return choose


def choose_within(spread, last=False):
    def choose(rates, curves, images):
        accuracy, enough = threshold(curves, images, spread)
        within = np.flatnonzero(accuracy >= enough)
        return rates[within[-1 if last else 0]], False

    return choose


def choose_with_edge(of):
    def choose(rates, curves, images):
        rate, _ = choose_right(rates, curves, images)
        return rate, of(rates, curves, rate)

    return choose


def choose_position(rates, curves, images):
    return rates.index(choose_right(rates, curves, images)[0]), False


CASES = [
    Case(
        check.draw_digits,
        (stub,),
        [(digits_right,), (digits_right_by_index,)],
        [
            Wrong((digits_without_titles,), "the label 7 is missing"),
            Wrong((digits_all_the_same,), "shows images[0], not images[1]"),
            Wrong((digits_transposed,), "is transposed"),
            Wrong((digits_only_one,), "axes[1] holds no image", State.MALFORMED),
            Wrong((digits_flat,), "shape (1, 784)", State.MALFORMED),
            Wrong((digits_inverted,), "are its values changed?"),
            Wrong((digits_raise,), "axes[3].imshow(images[3])", State.RAISED),
        ],
    ),
    Case(
        check.split_examples,
        (stub,),
        [(split_right,), (split_right_in_arrays,)],
        [
            Wrong((split_first_fifth,), "the first fifth validates"),
            Wrong((split_all,), "all 100 examples are in use"),
            Wrong((split_exchanged,), "exchanged"),
            Wrong((split_end_of_everything,), "from the end of all 100"),
            Wrong((split_overlap,), "stand in both parts"),
            Wrong((split_shuffled,), "do not shuffle"),
            Wrong((split_labels_astray,), "not the labels of validation_x"),
            Wrong((split_two,), "expected four parts", State.MALFORMED),
            Wrong((split_forgets_return,), "is a `return` missing?", State.MALFORMED),
        ],
    ),
    Case(
        check.mish,
        (StubFunction,),
        [(MishRight,), (MishRightByCases,)],
        [
            Wrong((mish_with(t_of),), "without the factor z"),
            Wrong((mish_with(lambda z: z * F.softplus(z)),), "leaves the tanh out"),
            Wrong((mish_with(lambda z: z * z.exp().tanh()),), "takes tanh of e^z"),
            Wrong((mish_with(lambda z: z * torch.sigmoid(z)),), "Swish with β = 1"),
            Wrong((mish_with(backward=lambda g, z: mish_slope(z)),), "the chain rule"),
            Wrong(
                (mish_with(backward=lambda g, z: g * t_of(z)),), "leaves out the term z (1 − t²)"
            ),
            Wrong(
                (mish_with(backward=lambda g, z: g * (mish_slope(z) - t_of(z))),),
                "leaves out the first term",
            ),
            Wrong(
                (mish_with(backward=lambda g, z: g * (t_of(z) + z * (1 - t_of(z) ** 2))),),
                "the derivative of ln(1 + e^z)",
            ),
            Wrong(
                (
                    mish_with(
                        backward=lambda g, z: g * (t_of(z) + z * (1 - t_of(z)) * torch.sigmoid(z))
                    ),
                ),
                "has 1 − t where",
            ),
            Wrong(
                (mish_with(lambda z: z * torch.tanh(torch.log(1 + torch.exp(z))) + 0 * z.exp()),),
                "the value overflows",
            ),
            Wrong((mish_with(backward=textbook_mish_slope),), "the gradient overflows"),
            Wrong((mish_value,), "a subclass of torch.autograd.Function", State.MALFORMED),
            Wrong((mish_with(lambda z: z[:2] * 1),), "received shape (2,)", State.MALFORMED),
        ],
    ),
    Case(
        check.swish,
        (StubFunction,),
        [(SwishRight,), (SwishRightFromSource,)],
        [
            Wrong((swish_with(lambda z, b: z * torch.sigmoid(-b * z)),), "forward has e^{βz}"),
            Wrong((swish_with(lambda z, b: z * torch.sigmoid(z)),), "ignores β"),
            Wrong((swish_with(lambda z, b: torch.sigmoid(b * z)),), "without the factor z"),
            Wrong((swish_with(lambda z, b: b * z * torch.sigmoid(b * z)),), "by β once more"),
            Wrong(
                (swish_with(backward=lambda g, z, b: swish_parts(z, b)[1:]),),
                "the chain rule",
            ),
            Wrong(
                (swish_with(backward=lambda g, z, b: (g * swish_parts(z, b)[0], None)),),
                "leaves out the term βz",
            ),
            Wrong(
                (
                    swish_with(
                        backward=lambda g, z, b: (
                            g * (swish_parts(z, b)[0] + swish_parts(z, b)[2] / z.where(z != 0, 1)),
                            None,
                        )
                    ),
                ),
                "forgets the factor β",
            ),
            Wrong(
                (
                    swish_with(
                        backward=lambda g, z, b: (
                            g * (1 - 2 * swish_parts(z, b)[0] + swish_parts(z, b)[1]),
                            None,
                        )
                    ),
                ),
                "the assignment's note has this slip",
            ),
            Wrong(
                (swish_with(backward=lambda g, z, b: (g * swish_parts(z, b)[1], None)),),
                "no gradient for β",
            ),
            Wrong(
                (
                    swish_with(
                        backward=lambda g, z, b: (
                            g * swish_parts(z, b)[1],
                            (g * swish_parts(z, b)[2]).mean(),
                        )
                    ),
                ),
                "is the mean over z",
            ),
            Wrong(
                (
                    swish_with(
                        backward=lambda g, z, b: (
                            g * swish_parts(z, b)[1],
                            swish_parts(z, b)[2].sum(),
                        )
                    ),
                ),
                "the gradient for β forgets grad_output",
            ),
            Wrong(
                (
                    swish_with(
                        backward=lambda g, z, b: (
                            g * swish_parts(z, b)[1],
                            (g * swish_parts(z, b)[2] / z.where(z != 0, 1)).sum(),
                        )
                    ),
                ),
                "z where z² is meant",
            ),
            Wrong((swish_with(textbook_swish),), "the value overflows"),
        ],
    ),
    Case(
        check.build_network,
        (stub,),
        [(network_right,), (NetworkRight,)],
        [
            Wrong((network_like(L1, "unit", L2, "unit", L3, "unit"),), "after the last layer"),
            Wrong((network_like(L1, "unit", L2, "unit", L3, nn.Softmax(1)),), "softmax at the end"),
            Wrong((network_like(L1, "unit", L2, L3),), "the second hidden layer has no unit"),
            Wrong((network_like(L1, L2, "unit", L3),), "the first hidden layer has no unit"),
            Wrong((network_like(L1, L2, L3),), "no hidden layer has a unit"),
            Wrong((network_like(L1, "shared", L2, "shared", L3),), "each hidden layer learns"),
            Wrong(
                (network_like(nn.Linear(784, 64), "unit", nn.Linear(64, 10)),),
                "784→64, 64→10",
                State.MALFORMED,
            ),
            Wrong(
                (network_like(L1, "unit", nn.Linear(200, 64, bias=False), "unit", L3),),
                "has no bias",
            ),
            Wrong((lambda make_unit: None,), "is a `return` missing?", State.MALFORMED),
        ],
    ),
    Case(
        check.descent_step,
        (stub,),
        [(step_right,), (step_right_by_optimizer,)],
        [
            Wrong((step_with(sign=1.0),), "uphill"),
            Wrong((step_with(clear=False),), "clear them before"),
            Wrong((step_with(reduction="sum"),), "summed over the examples; take"),
            Wrong((step_with(use_lr=False),), "lr is not used"),
            Wrong((step_with(after=True),), "that after the step"),
            Wrong((step_with(move=False),), "have not changed"),
            Wrong((step_summed_report,), "the loss returned is summed"),
            Wrong((step_silent,), "is a `return` missing?", State.MALFORMED),
        ],
    ),
    Case(
        check.displayed,
        (stub,),
        [(displayed_right,), (displayed_right_in_a_loop,)],
        [
            Wrong((lambda x: np.minimum(x, 100),), "NaN is still there"),
            Wrong((lambda x: np.nan_to_num(np.minimum(x, 100), nan=0.0),), "NaN became 0"),
            Wrong(
                (lambda x: np.where(np.isfinite(x), x, 100.0),), "above 100 are left as they are"
            ),
            Wrong(
                (lambda x: np.where(np.isfinite(x), np.minimum(x, 100), 0),), "infinity became 0"
            ),
            Wrong((displayed_in_place,), "changed its input in place"),
            Wrong((lambda x: x[np.isfinite(x)],), "2 values are gone", State.MALFORMED),
            Wrong((lambda x: print(x),), "is a `return` missing?", State.MALFORMED),
        ],
    ),
    Case(
        check.choose_rate,
        (stub,),
        [(choose_right,), (choose_right_by_sorting,)],
        [
            Wrong(
                (choose_by(lambda c: c["train_accuracy"][:, -1].argmax()),),
                "best training accuracy",
            ),
            Wrong(
                (choose_by(lambda c: np.argmin(c["validation_loss"][:, -1])),), "whose loss is NaN"
            ),
            Wrong(
                (choose_by(lambda c: np.nanargmin(c["validation_loss"][:, -1])),),
                "the lowest validation loss",
            ),
            Wrong(
                (choose_by(lambda c: c["validation_accuracy"][:, -1].argmin()),),
                "validation accuracy is lowest",
            ),
            Wrong(
                (choose_by(lambda c: c["validation_accuracy"].max(1).argmax()),),
                "at any record",
            ),
            Wrong(
                (choose_by(lambda c: c["validation_accuracy"][:, -1].argmax()),),
                "this has the highest accuracy",
            ),
            Wrong((choose_within(np.sqrt, last=True),), "this is the largest rate within one"),
            Wrong((choose_within(lambda v: np.sqrt(100 * v)),), "this is within √(p(1 − p));"),
            Wrong((choose_within(lambda v: v),), "a variance; the standard error is its square"),
            Wrong(
                (choose_with_edge(lambda rates, curves, rate: False),),
                "but on_edge is False",
            ),
            Wrong(
                (choose_with_edge(lambda rates, curves, rate: rate in (rates[0], rates[-1])),),
                "the highest accuracy is at",
            ),
            Wrong((choose_position,), "return the rate itself"),
            Wrong(
                (lambda *given: choose_right(*given)[0],),
                "expected (rate, on_edge)",
                State.MALFORMED,
            ),
        ],
    ),
]
