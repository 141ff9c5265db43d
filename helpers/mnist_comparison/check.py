"""The checks of notebook 03: the split, Mish and Swish by hand, the network, a step, the choice."""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from matplotlib.figure import Figure
from torch import Tensor, nn
from torch.nn import functional as F

from helpers import activations
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

checklist = Checklist("3 · Six activation units on MNIST")
progress = checklist.progress

CLIP = 100.0


@checklist.exercise("3.1 Digits with their labels")
def draw_digits(answer: Callable) -> None:
    """Look at what `answer(axes, images, labels)` drew on three axes."""
    rng = np.random.default_rng(0)
    images, labels = rng.integers(0, 256, (3, 28, 28)).astype(np.uint8), np.array([7, 2, 9])
    axes = Figure().subplots(1, 3)

    def drawn(images: np.ndarray, labels: np.ndarray) -> Any:
        answer(axes, images, labels)
        return True

    call(drawn, images, labels, student=answer)
    for i, ax in enumerate(axes):
        if not ax.images:
            malformed(f"axes[{i}] holds no image; draw images[{i}] there, with imshow")
        picture = np.ma.filled(ax.images[0].get_array(), np.nan)
        if picture.shape != (28, 28):
            malformed(f"the image on axes[{i}] has shape {picture.shape}; expected (28, 28)")
        if np.array_equal(picture, images[i].T):
            wrong(f"the image on axes[{i}] is transposed: rows and columns are exchanged")
        if not np.array_equal(picture, images[i]):
            which = [j for j in range(3) if np.array_equal(picture, images[j])]
            wrong(
                f"axes[{i}] shows images[{which[0]}], not images[{i}]"
                if which
                else f"the picture on axes[{i}] is not images[{i}]; are its values changed?"
            )
        if str(labels[i]) not in ax.get_title() + ax.get_title("left") + ax.get_title("right"):
            wrong(f"the title of axes[{i}] is {ax.get_title()!r}; the label {labels[i]} is missing")


@checklist.exercise("3.2 The split")
def split_examples(answer: Callable) -> None:
    """Split numbered examples, where each image holds its own number."""
    for n, used in ((100, 50), (40, 40)):
        x = torch.arange(n, dtype=torch.float32)[:, None].repeat(1, 4)
        y = torch.arange(n) % 10
        given = f"{n} examples and used={used}"
        parts = call(answer, x, y, used)
        names = ("train_x", "train_y", "validation_x", "validation_y")
        if not isinstance(parts, (tuple, list)) or len(parts) != 4:
            malformed(f"for {given}: expected four parts, received {describe(parts)}")
        cut = used * 4 // 5
        first = [as_array(part, given) for part in parts]
        _name_split_mistakes(first, cut, used, n, given)
        for name, part, (inputs, window) in zip(
            names,
            first,
            ((x, slice(cut)), (y, slice(cut)), (x, slice(cut, used)), (y, slice(cut, used))),
            strict=True,
        ):
            expect_shape(part, tuple(inputs[window].shape), f"{name} of {given}")
            expect_close(part, inputs[window].numpy(), f"{name} of {given}")


def _name_split_mistakes(parts: list, cut: int, used: int, n: int, given: str) -> None:
    train, _, validation, validation_y = parts
    if train.ndim != 2 or validation.ndim != 2 or not len(train) or not len(validation):
        malformed(
            f"for {given}: expected train_x and validation_x of shape (examples, features), "
            f"received shapes {train.shape} and {validation.shape}"
        )
    if len(validation) == cut and len(train) == used - cut:
        wrong(f"for {given}: training and validation parts are exchanged, 1/5 to train on")
    if len(train) + len(validation) == n and n != used:
        wrong(f"for {given}: all {n} examples are in use; take the first {used} only")
    if validation[0, 0] == 0:
        wrong(f"for {given}: the first fifth validates; the last fifth was asked for")
    if n != used and validation[-1, 0] == n - 1:
        wrong(f"for {given}: validation comes from the end of all {n}, not of the first {used}")
    if len(set(train[:, 0]) & set(validation[:, 0])):
        wrong(f"for {given}: some examples stand in both parts, so validation proves nothing")
    if np.any(np.diff(train[:, 0]) < 0) or np.any(np.diff(validation[:, 0]) < 0):
        wrong(f"for {given}: the order has changed; do not shuffle, the split is by position")
    if not np.array_equal(validation_y, validation[:, 0] % 10):
        wrong(f"for {given}: validation_y are not the labels of validation_x")


Z = [-3.0, -1.0, -0.5, 0.0, 0.5, 1.0, 4.0]


def _apply(answer: Any, *args: Any) -> Callable:
    """Return a function that runs a `torch.autograd.Function` class on tensors."""
    if not isinstance(answer, type) or not issubclass(answer, torch.autograd.Function):
        malformed(f"expected a subclass of torch.autograd.Function, received {describe(answer)}")

    def run(*tensors: Tensor) -> Any:
        return answer.apply(*tensors)

    return run


def _value(answer: Any, z: Tensor, *beta: Tensor) -> Tensor:
    value = call(_apply(answer), z, *beta, student=answer)
    if not isinstance(value, Tensor):
        malformed(f"forward returned {describe(value)}; expected a tensor of z's shape")
    return value


def _gradients(answer: Any, upstream: Tensor, *inputs: Tensor) -> list:
    run = _apply(answer)

    def backward(*tensors: Tensor) -> Any:
        leaves = [tensor.clone().requires_grad_() for tensor in tensors]
        gradients = torch.autograd.grad(run(*leaves), leaves, upstream, allow_unused=True)
        return list(gradients)

    return call(backward, *inputs, student=answer)


def _autograd(f: Callable, upstream: Tensor, *inputs: Tensor) -> list[Tensor]:
    leaves = [tensor.clone().requires_grad_() for tensor in inputs]
    return list(torch.autograd.grad(f(*leaves), leaves, upstream))


def _stable(answer: Any, reference: Callable, *beta: Tensor) -> None:
    z = torch.tensor([-1000.0, -100.0, 100.0, 1000.0], dtype=torch.float32)
    narrow = [b.float() for b in beta]
    value = _value(answer, z, *narrow)
    gradient = _gradients(answer, torch.ones_like(z), z, *narrow)[0]
    expected = torch.tensor([0.0, 0.0, 100.0, 1000.0]), torch.tensor([0.0, 0.0, 1.0, 1.0])
    for what, received, right in (
        ("value", value, expected[0]),
        ("gradient", gradient, expected[1]),
    ):
        array = as_array(received)
        if not np.isfinite(array).all():
            at = z[~np.isfinite(array)][0].item()
            wrong(
                f"right for small z, but the {what} overflows: for z = {at:g} in float32 expected "
                f"{right[z == at].item():g}, received {array[(z == at).numpy()][0]:g}.\n"
                "No exponential should be taken of a large positive number."
            )
        expect_close(array, right.numpy(), f"the {what} at z = {describe(z)}", atol=1e-3)


def _mish(z: Tensor) -> Tensor:
    return z * torch.tanh(F.softplus(z))


@checklist.exercise("3.3 Mish, forward and backward")
def mish(answer: Any) -> None:
    """Hold value and gradient against autograd on Mish's definition."""
    z = torch.tensor(Z, dtype=torch.float64)
    value = _value(answer, z)
    t, s = torch.tanh(F.softplus(z)), torch.sigmoid(z)
    expect_close(
        value,
        _mish(z).numpy(),
        "forward",
        inputs=z.numpy(),
        mistakes={
            "forward returns tanh(ln(1 + e^z)) without the factor z": t.numpy(),
            "forward leaves the tanh out: this is z ln(1 + e^z)": (z * F.softplus(z)).numpy(),
            "forward takes tanh of e^z; it is tanh of ln(1 + e^z)": (z * z.exp().tanh()).numpy(),
            "this is Swish with β = 1, not Mish": (z * s).numpy(),
        },
    )
    upstream = torch.linspace(0.5, 2, len(z), dtype=torch.float64)
    (gradient,) = _gradients(answer, upstream, z)
    (expected,) = _autograd(_mish, upstream, z)
    slope = t + z * (1 - t**2) * s
    expect_close(
        _given(gradient, "z"),
        expected.numpy(),
        "backward",
        inputs=z.numpy(),
        rtol=1e-5,
        mistakes={
            "backward forgets to multiply by grad_output (the chain rule)": slope.numpy(),
            "backward leaves out the term z (1 − t²) s(z)": (upstream * t).numpy(),
            "backward leaves out the first term, t": (upstream * (slope - t)).numpy(),
            "backward forgets the derivative of ln(1 + e^z), which is s(z)": (
                upstream * (t + z * (1 - t**2))
            ).numpy(),
            "backward has 1 − t where the derivative of tanh is 1 − t²": (
                upstream * (t + z * (1 - t) * s)
            ).numpy(),
        },
    )
    _stable(answer, _mish)


def _given(gradient: Any, name: str) -> Tensor:
    if gradient is None:
        malformed(f"backward returned no gradient for {name}")
    return gradient


def _swish(z: Tensor, beta: Tensor) -> Tensor:
    return z * torch.sigmoid(beta * z)


@checklist.exercise("3.4 Swish, with a gradient for β")
def swish(answer: Any) -> None:
    """Hold value and both gradients against autograd on Swish's definition."""
    z, beta = torch.tensor(Z, dtype=torch.float64), torch.tensor(0.7, dtype=torch.float64)
    s = torch.sigmoid(beta * z)
    value = _value(answer, z, beta)
    expect_close(
        value,
        (z * s).numpy(),
        "forward",
        inputs=z.numpy(),
        mistakes={
            "forward has e^{βz} where e^{−βz} is meant": (z * (1 - s)).numpy(),
            "forward ignores β: this is z s(z)": (z * torch.sigmoid(z)).numpy(),
            "forward returns s(βz) without the factor z": s.numpy(),
            "forward multiplies by β once more: this is βz s(βz)": (beta * z * s).numpy(),
        },
    )
    upstream = torch.linspace(0.5, 2, len(z), dtype=torch.float64)
    gradients = _gradients(answer, upstream, z, beta)
    expected = _autograd(_swish, upstream, z, beta)
    slope = s + beta * z * s * (1 - s)
    expect_close(
        _given(gradients[0], "z"),
        expected[0].numpy(),
        "backward, with respect to z",
        inputs=z.numpy(),
        mistakes={
            "backward forgets to multiply by grad_output (the chain rule)": slope.numpy(),
            "backward leaves out the term βz s(βz)(1 − s(βz))": (upstream * s).numpy(),
            "backward forgets the factor β of the inner derivative": (
                upstream * (s + z * s * (1 - s))
            ).numpy(),
            "backward has e^{βz} where e^{−βz} is meant (the assignment's note has this slip)": (
                upstream * ((1 - s) + beta * z * s * (1 - s))
            ).numpy(),
        },
    )
    if gradients[1] is None:
        wrong(
            "backward returns no gradient for β, so β would never be learned.\n"
            "Return two gradients, in the order of forward's inputs: z, then β."
        )
    by_beta = upstream * z**2 * s * (1 - s)
    received = as_array(gradients[1])
    if received.shape != ():
        malformed(
            f"the gradient for β has shape {received.shape}; β is one number, used for every z, "
            "so its gradient is the sum over all of them"
        )
    expect_close(
        received,
        expected[1].numpy(),
        "backward, with respect to β",
        mistakes={
            "the gradient for β is the mean over z; it is the sum": by_beta.mean().numpy(),
            "the gradient for β has z where z² is meant": (upstream * z * s * (1 - s))
            .sum()
            .numpy(),
            "the gradient for β forgets grad_output": (z**2 * s * (1 - s)).sum().numpy(),
        },
    )
    _stable(answer, _swish, beta)


@checklist.exercise("3.5 The network")
def build_network(answer: Callable) -> None:
    """Look at the layers and at the outputs of the networks that `answer` builds."""
    model = call(answer, nn.Tanh)
    if not isinstance(model, nn.Module):
        malformed(f"expected an nn.Module, received {describe(model)}")
    layers = [m for m in model.modules() if isinstance(m, nn.Linear)]
    sizes = [(m.in_features, m.out_features) for m in layers]
    if sizes != [(784, 200), (200, 64), (64, 10)]:
        malformed(f"expected linear layers 784→200, 200→64, 64→10, received {_arrows(sizes)}")
    if any(layer.bias is None for layer in layers):
        wrong("a linear layer has no bias; keep PyTorch's default")
    x = torch.rand(5, 784, generator=torch.Generator().manual_seed(0)) * 3
    logits = call(model, x)
    if not isinstance(logits, Tensor) or logits.shape != (5, 10):
        malformed(f"for 5 images: expected logits of shape (5, 10), received {describe(logits)}")
    with torch.no_grad():
        a, b, c = (
            layer(h)
            for layer, h in zip(layers, (x, torch.zeros(1, 200), torch.zeros(1, 64)), strict=True)
        )
        first = torch.tanh(a)
        second = torch.tanh(layers[1](first))
        outcomes = {
            "there is a unit after the last layer too; logits are left as they are": torch.tanh(
                layers[2](second)
            ),
            "there is a softmax at the end; cross-entropy applies it itself": torch.softmax(
                layers[2](second), 1
            ),
            "the second hidden layer has no unit": layers[2](layers[1](first)),
            "the first hidden layer has no unit": layers[2](torch.tanh(layers[1](a))),
            "no hidden layer has a unit": layers[2](layers[1](a)),
        }
        expect_close(
            logits,
            layers[2](second).numpy(),
            "five random images and tanh",
            rtol=1e-4,
            atol=1e-5,
            mistakes={sentence: value.numpy() for sentence, value in outcomes.items()},
        )
    betas = [p for name, p in call(answer, activations.Swish).named_parameters() if "beta" in name]
    if len(betas) != 2:
        wrong(
            f"with Swish the network has {len(betas)} β; each hidden layer learns its own.\n"
            "Call make_unit once for each layer."
        )


def _arrows(sizes: list[tuple[int, int]]) -> str:
    return ", ".join(f"{a}→{b}" for a, b in sizes) or "none"


@checklist.exercise("3.6 One step of gradient descent")
def descent_step(answer: Callable) -> None:
    """Make two steps on a linear model and compare its weights with the formula."""
    generator = torch.Generator().manual_seed(0)
    x, y = torch.randn(12, 3, generator=generator), torch.arange(12) % 4
    start = torch.randn(4, 3, generator=generator)
    model = nn.Linear(3, 4, bias=False)
    lr = 0.5

    def gradient(w: Tensor) -> Tensor:
        return (torch.softmax(x @ w.T, 1) - F.one_hot(y, 4)).T @ x / 12

    def loss_at(w: Tensor) -> float:
        return F.cross_entropy(x @ w.T, y).item()

    with torch.no_grad():
        model.weight.copy_(start)
    first = start - lr * gradient(start)
    second = first - lr * gradient(first)
    losses = [_number(_step(answer, model, x, y, lr))]
    given = f"a linear model, 12 examples and lr = {lr}"
    after_one = model.weight.detach().clone()
    if torch.equal(after_one, start):
        wrong(f"for {given}: the weights have not changed; is the optimiser's step missing?")
    expect_close(
        after_one,
        first.numpy(),
        f"{given}: the weights after one step",
        atol=1e-5,
        mistakes={
            "the step goes uphill: subtract lr times the gradient": (
                start + lr * gradient(start)
            ).numpy(),
            "the loss is summed over the examples; take their mean": (
                start - 12 * lr * gradient(start)
            ).numpy(),
            "lr is not used: the step is the whole gradient": (start - gradient(start)).numpy(),
        },
    )
    losses.append(_number(_step(answer, model, x, y, lr)))
    expect_close(
        model.weight,
        second.numpy(),
        f"{given}: the weights after a second step",
        atol=1e-5,
        mistakes={
            "gradients of the first step are added to those of the second: clear them before "
            "backward": (first - lr * (gradient(first) + gradient(start))).numpy(),
        },
    )
    expect_close(
        losses[0],
        loss_at(start),
        f"{given}: the loss returned",
        rtol=1e-4,
        mistakes={
            "the loss is that after the step; return the one before it": loss_at(first),
            "the loss returned is summed over the examples; return their mean": 12 * loss_at(start),
        },
    )


def _step(answer: Callable, model: nn.Module, x: Tensor, y: Tensor, lr: float) -> Any:
    def step(x: Tensor, y: Tensor, lr: float) -> Any:
        return answer(model, x, y, lr)  # not a copy: the step changes the model

    return call(step, x, y, lr, student=answer)


def _number(value: Any) -> float:
    array = as_array(value)
    expect_shape(array, (), "one step", "return the loss as one number")
    return float(array)


@checklist.exercise("3.7 Losses as they are drawn")
def displayed(answer: Callable) -> None:
    """Clip losses at 100, NaN included, without touching the original."""
    losses = np.array([2.3, 99.0, 1e7, np.inf, np.nan, 0.01])
    with np.errstate(invalid="ignore"):
        outcomes = {
            "NaN is still there, and a curve vanishes where it is NaN": np.minimum(losses, CLIP),
            "NaN became 0, as if a run that diverged were perfect": np.nan_to_num(
                np.minimum(losses, CLIP), nan=0.0
            ),
            "values above 100 are left as they are": np.nan_to_num(losses, nan=CLIP, posinf=CLIP),
            "infinity and NaN are both gone, but infinity became 0": np.where(
                np.isfinite(losses), np.minimum(losses, CLIP), 0
            ),
        }
    received = as_array(call(answer, losses))
    if received.ndim == 1 and len(received) < len(losses):
        malformed(
            f"for {describe(losses)}: {len(losses) - len(received)} values are gone; a curve "
            "needs one value for every record"
        )
    expect_close(
        received,
        np.array([2.3, 99.0, 100.0, 100.0, 100.0, 0.01]),
        f"losses = {describe(losses)}",
        inputs=losses,
        mistakes=outcomes,
    )


@checklist.exercise("3.8 The best learning rate, by rule")
def choose_rate(answer: Callable) -> None:
    """Choose among runs that were made to trap each shortcut."""
    rates = [0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 1.0, 2.0]
    nan = float("nan")
    last = {
        "validation_accuracy": [0.1, 0.61, 0.88, 0.8995, 0.9, 0.89, 0.7, 0.8, 0.11, 0.05],
        "validation_loss": [2.3, 0.9, 0.5, 0.4, 0.41, 0.45, 1.9, 0.2, nan, 9.0],
        "train_accuracy": [0.1, 0.6, 0.89, 0.9, 0.91, 0.92, 0.99, 0.9, 0.11, 0.05],
        "train_loss": [2.3, 0.9, 0.4, 0.35, 0.3, 0.25, 0.02, 0.3, nan, 9.0],
    }
    first = {"validation_accuracy": [0.97, *[0.1] * 9]}
    table = {  # (rates, records): a first and a last record
        name: np.array([first.get(name, [0.1] * 10), values]).T for name, values in last.items()
    }
    _choose(answer, rates, table, (0.002, False), "a best rate inside the grid")
    for accuracy, right, given in (
        ([0.5, 0.6, 0.7, 0.8], (1.0, True), "a best rate at the upper edge"),
        ([0.8, 0.7, 0.6, 0.5], (0.002, True), "a best rate at the lower edge"),
        ([0.5, 0.6, 0.77, 0.8], (0.1, True), "a best rate at the upper edge, a smaller as good"),
        ([0.77, 0.8, 0.6, 0.5], (0.002, False), "a best rate inside, the smallest as good"),
    ):
        four = {name: curve[[2, 3, 7, 8]] for name, curve in table.items()}
        four["validation_accuracy"] = np.array([[0.1] * 4, accuracy]).T
        _choose(answer, [rates[i] for i in (2, 3, 7, 8)], four, right, given)


def _choose(answer: Callable, rates: list, table: dict, right: tuple, given: str) -> None:
    images = 100
    received = call(answer, rates, table, images)
    if not isinstance(received, (tuple, list)) or len(received) != 2:
        malformed(f"expected (rate, on_edge), received {describe(received)}")
    rate, on_edge = received
    value = as_array(rate)
    expect_shape(value, (), given, "the first part is one learning rate")
    if not np.isclose(value, right[0]):
        said = f"for {given}, {images} images: expected {right[0]}, received {describe(rate)}"
        wrong("\n".join([*_shortcut(rate, value, rates, table, right[0], images)[:1], said]))
    if not isinstance(on_edge, (bool, np.bool_)):
        malformed(f"expected True or False for on_edge, received {describe(on_edge)}")
    if bool(on_edge) != right[1]:
        highest = rates[int(np.argmax(table["validation_accuracy"][:, -1]))]
        wrong(
            f"for {given}: the rate {right[0]} is right, but on_edge is {on_edge}; "
            f"the highest accuracy is at {highest}, the edges are {rates[0]} and {rates[-1]}"
        )


def _shortcut(
    rate: Any, value: np.ndarray, rates: list, table: dict, right: float, images: int
) -> list[str]:
    """Return the mistakes that lead from this table to this rate, each named."""
    final = {name: curve[:, -1] for name, curve in table.items()}
    accuracy = final["validation_accuracy"]
    top = accuracy.max()
    variance = top * (1 - top)
    enough = {
        "error": accuracy >= top - np.sqrt(variance / images),
        "deviation": accuracy >= top - np.sqrt(variance),
        "variance": accuracy >= top - variance / images,
    }
    named = {
        "this has the highest accuracy; the rule takes the smallest rate that is as good": (
            accuracy.argmax()
        ),
        "this is the largest rate within one standard error; the rule takes the smallest": (
            np.flatnonzero(enough["error"])[-1]
        ),
        "this is within √(p(1 − p)); the standard error is √(p(1 − p)/n), n the images": (
            enough["deviation"].argmax()
        ),
        "this is within p(1 − p)/n, a variance; the standard error is its square root": (
            enough["variance"].argmax()
        ),
        "this is the best training accuracy; the rule looks at validation": (
            final["train_accuracy"].argmax()
        ),
        "this is the best accuracy at any record; the rule looks at the last one": (
            table["validation_accuracy"].max(1).argmax()
        ),
        "this is where validation accuracy is lowest": accuracy.argmin(),
        "this is the run whose loss is NaN; NumPy's argmin takes NaN for the least": (
            np.argmin(final["validation_loss"])
        ),
        "this is the lowest validation loss; the rule compares accuracies": (
            np.nanargmin(final["validation_loss"])
        ),
    }
    found = [sentence for sentence, i in named.items() if np.isclose(value, rates[int(i)])]
    whole = isinstance(rate, (int, np.integer)) and not isinstance(rate, bool)
    if whole and 0 <= rate < len(rates) and np.isclose(rates[rate], right):
        found.insert(0, f"{rate} is the position of the rate in the list; return the rate itself")
    return found
