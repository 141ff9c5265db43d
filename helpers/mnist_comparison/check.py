"""The checks of notebook 03: the split, Mish and Swish by hand, the network, a step, the choice."""

import itertools
import re
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from numbers import Real
from typing import Any

import numpy as np
import torch
from matplotlib import pyplot as plt
from numpy.random import Generator
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.autograd import Function
from torch.nn import functional as F

from helpers import activations, networks, training
from helpers.differences import describe, malformed, wrong
from helpers.drawn import pictures, title
from helpers.judge import Checklist, Given, Task
from helpers.mnist_comparison import search

checklist = Checklist("3 · Six activation units on MNIST", torch=True)
progress = checklist.progress

# --- 3.1: what a reader sees on each axes ---------------------------------------------------------


def _digits(rng: Generator, *labels: int) -> Given:
    """Return images with these labels, none of which is also the position of another image."""
    images = rng.integers(0, 256, (len(labels), 28, 28)).astype(np.uint8)
    return Given((images, np.array(labels)), said=f"images with the labels {labels}")


def _seen_on(call: Callable, answer: Callable, given: Given) -> dict[str, Any]:
    labels = [str(label) for label in given.args[1]]
    figure, (axes,) = plt.subplots(1, len(labels), squeeze=False)
    call(lambda images, labels: [answer(axes, images, labels)], *given.args)
    seen: dict[str, Any] = {}
    for i, (ax, label) in enumerate(zip(axes, labels, strict=True)):
        if not pictures(ax):
            malformed(f"axes[{i}] shows no image; draw images[{i}] there, with imshow")
        numbers = set(re.findall(r"\d+", title(ax)))
        its_own = label in numbers and not numbers & set(labels) - {label}
        seen[f"the picture on axes[{i}]"] = pictures(ax)[-1].astype(float)
        seen[f"the label in the title of axes[{i}]"] = label if its_own else title(ax)
    plt.close(figure)
    return seen


def _draw(
    changed: Callable = lambda images: images,
    words: Callable = lambda label: label,
    **style: Any,
) -> Callable:
    def draw(axes: Sequence, images: NDArray, labels: NDArray) -> None:
        for ax, image, label in zip(axes, changed(images), labels, strict=True):
            ax.imshow(image, **style)
            ax.set_title(words(label))

    return draw


draw_digits = checklist.exercise(
    "3.1 Digits with their labels",
    Task(
        _draw(),
        {
            "three digits": lambda rng: _digits(rng, *rng.permutation(range(5, 10))[:3].tolist()),
            "zero, and the same": lambda rng: _digits(rng, 0, 8, *rng.choice([7, 9], 3).tolist()),
        },
        {
            "the images are transposed": _draw(lambda images: images.transpose(0, 2, 1)),
            "the images are upside down": _draw(origin="lower"),
            "every axes shows images[0]": _draw(lambda images: images[:1].repeat(len(images), 0)),
            "the values are subtracted from 255": _draw(lambda images: 255 - images),
            "the values are divided by 255": _draw(lambda images: images / 255),
            "the titles are missing": _draw(words=lambda label: ""),
        },
        observe=_seen_on,
    ),
)

# --- 3.2: examples of which each is told from all others ------------------------------------------

PARTS = ("train_x", "train_y", "validation_x", "validation_y")


def _examples(rng: Generator, n: int, used: int, dtype: torch.dtype = torch.float32) -> Given:
    x = torch.tensor(rng.permutation(3 * n).reshape(n, 3)).to(dtype)
    args = x, torch.tensor(rng.integers(0, 10, n)), used
    return Given(args, said=f"{n} examples and used = {used}")


def _parts(call: Callable, answer: Callable, given: Given) -> dict[str, Any]:
    parts = call(answer, *given.args)
    if not isinstance(parts, (tuple, list)) or len(parts) != 4:
        malformed(f"expected four parts, {', '.join(PARTS)}; received {describe(parts)}")
    for name, part, whole in zip(PARTS, parts, given.args[:2] * 2, strict=True):
        got = part.dtype if isinstance(part, Tensor) else f"an object of type {type(part).__name__}"
        if got != whole.dtype:
            malformed(f"{name}: expected a tensor of {whole.dtype} like the input, received {got}")
    return dict(zip(PARTS, parts, strict=True))


def _split(a: int, b: int, c: int, d: int | None, all_of_x: bool = False) -> Callable:
    """Return a split that trains from a to b and validates from c to d, in fifths of `used`."""

    def split(x: Tensor, y: Tensor, used: int) -> list[Tensor]:
        fifth = (len(x) if all_of_x else used) // 5
        windows = slice(a * fifth, b * fifth), slice(c * fifth, None if d is None else d * fifth)
        return [part[window] for window in windows for part in (x, y)]

    return split


split_examples = checklist.exercise(
    "3.2 The split",
    Task(
        _split(0, 4, 4, 5),
        {
            "some of them": lambda rng: _examples(rng, 100, 50),
            "all of them": lambda rng: _examples(rng, 40, 40),
            "the fewest": lambda rng: _examples(rng, 7, 5),
            "many": lambda rng: _examples(rng, 2000, 5 * int(rng.integers(240, 390)), torch.double),
        },
        {
            "training and validation parts are exchanged: 1/5 trains": _split(4, 5, 0, 4),
            "all examples are in use; take the first `used` only": _split(
                0, 4, 4, 5, all_of_x=True
            ),
            "the first fifth validates; the last was asked for": _split(1, 5, 0, 1),
            "validation is all that follows training; it ends at `used`": _split(0, 4, 4, None),
            "validation is the end of all x, not of the first `used`": _split(0, 4, -1, None),
            "training holds the validation examples too": _split(0, 5, 4, 5),
            "`used` examples train, and those that follow validate": _split(0, 5, 5, 6),
        },
        observe=_parts,
    ),
)

# --- 3.3 and 3.4: a forward and a backward pass ---------------------------------------------------


def _passes(call: Callable, answer: Callable, given: Given) -> dict[str, Any]:
    """Return forward's value, and what backward itself returns: PyTorch would sum it to shape."""
    if not (isinstance(answer, type) and issubclass(answer, Function)):
        malformed(f"expected a subclass of torch.autograd.Function, received {answer}")
    returned: list[Any] = []

    def backward(ctx: Any, grad_output: Tensor) -> tuple[None, ...]:
        returned.append(answer.backward(ctx, grad_output))
        return (None,) * len(names)

    def run(upstream: Tensor, *inputs: Tensor, others: Sequence[Tensor] = ()) -> Tensor:
        value = function.apply(*(tensor.requires_grad_() for tensor in inputs))
        if not isinstance(value, Tensor):
            malformed(f"forward returned {describe(value)}; expected a tensor of z's shape")
        if (value.shape, value.dtype) != (upstream.shape, upstream.dtype):
            got, z = (f"shape {tuple(t.shape)} and {t.dtype}" for t in (value, upstream))
            malformed(f"forward: for z of {z} the value has {got}")
        if others:
            function.apply(*others)
        kept = value.detach().clone()
        value.backward(upstream)
        return kept

    names = ("z", "β")[: len(given.args) - 1]
    function: Any = type(answer.__name__, (answer,), {"backward": staticmethod(backward)})
    value = call(run, *given.args, **given.kwargs)
    gradients = list(returned[0]) if isinstance(returned[0], (tuple, list)) else [returned[0]]
    if len(gradients) != len(names) or any(gradient is None for gradient in gradients):
        got = ["none" if gradient is None else "one" for gradient in gradients]
        wanted = " and one for ".join(names)
        wrong(f"backward must return a gradient for {wanted}; received {', '.join(got)}")
    told = (f"backward, gradient for {name}" for name in names)
    return {"forward": value, **dict(zip(told, gradients, strict=True))}


def _function(value: Callable, gradients: Callable) -> type[Function]:
    """Return a `Function` with this value of its inputs and these gradients of (g, *inputs)."""

    class Made(Function):
        @staticmethod
        def forward(ctx: Any, *inputs: Tensor) -> Tensor:
            ctx.save_for_backward(*inputs)
            return value(*inputs)

        @staticmethod
        def backward(ctx: Any, g: Tensor) -> Any:
            return gradients(g, *ctx.saved_tensors)

    return Made


def _kind(
    z: Callable[[Generator], Tensor],
    beta: tuple[float, float] | None = None,
    said: str = "",
    twice: bool = False,
) -> Callable[[Generator], Given]:
    """Return a kind of input: z, a β of this range, and grad_output."""

    def draw(rng: Generator) -> Given:
        inputs = [z(rng)]
        inputs += [torch.tensor(rng.uniform(*beta)).to(inputs[0])] if beta else []
        upstream = torch.tensor(rng.normal(size=inputs[0].shape)).to(inputs[0])
        shown = [describe(t) if t.ndim < 2 else f"a table of {tuple(t.shape)}" for t in inputs]
        words = [f"{name} = {one}" for name, one in zip(("z", "β"), shown, strict=False)]
        kwargs = {"others": [value / 2 + 0.3 for value in inputs]} if twice else {}
        return Given((upstream, *inputs), kwargs, ", ".join(words) + said)

    return draw


def _around_zero(rng: Generator) -> Tensor:
    return torch.tensor([-rng.uniform(0.3, 3), 0, rng.uniform(0.3, 3)], dtype=torch.double)


def _far(rng: Generator) -> Tensor:
    sizes = torch.tensor([*rng.uniform(100, 200, 2), *rng.uniform(1000, 5000, 2)])
    return sizes.float() * torch.tensor([-1, 1, -1, 1])


def _kinds(beta: tuple[float, float] | None = None) -> dict[str, Callable]:
    uses = ", used once more before the first use's backward"
    return {
        "around 0": _kind(_around_zero, beta),
        "a table": _kind(lambda rng: torch.tensor(rng.uniform(-4, 4, (40, 30))), beta),
        "float32": _kind(lambda rng: _around_zero(rng).float(), beta, " in float32"),
        "far": _kind(_far, beta, " in float32, where e^|z| is infinite"),
        "two uses": _kind(_around_zero, beta, uses, twice=True),
    }


_function_task = partial(Task, observe=_passes, rtol=1e-8, atol=1e-10, a_class=True)
AUTOGRAD = (torch, "enable_grad"), (torch.autograd, "grad")  # it is what the exercise writes


def _forgotten(g: Tensor, slope: Tensor) -> Tensor:
    return slope


def _mish(
    value: Callable = lambda z, t: z * t,
    slope: Callable = lambda z, t, s: t + z * (1 - t**2) * s,
    chain: Callable = torch.mul,
) -> type[Function]:
    def t(z: Tensor) -> Tensor:
        return torch.tanh(F.softplus(z))

    return _function(
        lambda z: value(z, t(z)), lambda g, z: chain(g, slope(z, t(z), torch.sigmoid(z)))
    )


mish = checklist.exercise(
    "3.3 Mish, forward and backward",
    _function_task(
        _mish(),
        _kinds(),
        {
            "forward forgets the factor z": _mish(lambda z, t: t),
            "forward leaves the tanh out: this is z ln(1 + e^z)": _mish(
                lambda z, t: z * F.softplus(z)
            ),
            "forward takes tanh of e^z, not of ln(1 + e^z)": _mish(lambda z, t: z * z.exp().tanh()),
            "forward is Swish with β = 1, not Mish": _mish(lambda z, t: z * z.sigmoid()),
            "backward forgets grad_output (the chain rule)": _mish(chain=_forgotten),
            "backward leaves out z (1 − t²) s(z)": _mish(slope=lambda z, t, s: t),
            "backward leaves out the first term, t": _mish(
                slope=lambda z, t, s: z * (1 - t**2) * s
            ),
            "backward forgets s(z), the derivative of ln(1 + e^z)": _mish(
                slope=lambda z, t, s: t + z * (1 - t**2)
            ),
            "backward has 1 − t where the derivative of tanh is 1 − t²": _mish(
                slope=lambda z, t, s: t + z * (1 - t) * s
            ),
        },
        forbidden=[(F, "mish"), (activations, "mish"), (activations.Mish, "forward"), *AUTOGRAD],
    ),
)


def _swish(
    value: Callable = lambda z, beta, s: z * s,
    slope: Callable = lambda z, beta, s: s + beta * z * s * (1 - s),
    by_beta: Callable = lambda g, z, s: (g * z**2 * s * (1 - s)).sum(),
    chain: Callable = torch.mul,
) -> type[Function]:
    def gradients(g: Tensor, z: Tensor, beta: Tensor) -> tuple[Tensor, Tensor]:
        s = torch.sigmoid(beta * z)
        return chain(g, slope(z, beta, s)), by_beta(g, z, s)

    return _function(lambda z, beta: value(z, beta, torch.sigmoid(beta * z)), gradients)


swish = checklist.exercise(
    "3.4 Swish, with a gradient for β",
    _function_task(
        _swish(),
        {
            **_kinds((0.5, 1.5)),
            "negative β": _kind(_around_zero, (-1.5, -0.5)),
            "β = 0": _kind(_around_zero, (0, 0)),
        },
        {
            "forward has e^{βz} where e^{−βz} is meant": _swish(lambda z, beta, s: z * (1 - s)),
            "forward ignores β": _swish(lambda z, beta, s: z * z.sigmoid()),
            "forward forgets the factor z": _swish(lambda z, beta, s: s),
            "forward has a factor β too many": _swish(lambda z, beta, s: beta * z * s),
            "both gradients forget grad_output": _swish(
                chain=_forgotten, by_beta=lambda g, z, s: (z**2 * s * (1 - s)).sum()
            ),
            "the gradient for z forgets grad_output": _swish(chain=_forgotten),
            "the gradient for z leaves out βz s(βz)(1 − s(βz))": _swish(slope=lambda z, beta, s: s),
            "the gradient for z forgets the inner derivative, β": _swish(
                slope=lambda z, beta, s: s + z * s * (1 - s)
            ),
            "the gradient for z has e^{βz} for e^{−βz}, as has the assignment's note": _swish(
                slope=lambda z, beta, s: 1 - s + beta * z * s * (1 - s)
            ),
            "the gradient for β forgets grad_output": _swish(
                by_beta=lambda g, z, s: (z**2 * s * (1 - s)).sum()
            ),
            "the gradient for β is not summed: β is one number, used for every z": _swish(
                by_beta=lambda g, z, s: g * z**2 * s * (1 - s)
            ),
            "the gradient for β is the mean over z; it is the sum": _swish(
                by_beta=lambda g, z, s: (g * z**2 * s * (1 - s)).mean()
            ),
            "the gradient for β has z where z² is meant": _swish(
                by_beta=lambda g, z, s: (g * z * s * (1 - s)).sum()
            ),
        },
        forbidden=[(F, "silu"), (activations, "swish"), (activations.Swish, "forward"), *AUTOGRAD],
    ),
)

# --- 3.5: layers, units, logits and gradients of a network ----------------------------------------

SHAPES = ((200, 784), (64, 200), (10, 64), (200,), (64,), (10,))


class _Unit(nn.Module):
    """f(βz) with a β of its own; it notes itself and the layer's width at every use."""

    def __init__(self, f: Callable[[Tensor], Tensor], uses: list[tuple[int, int]]) -> None:
        super().__init__()
        self.f, self.uses = f, uses
        self.beta = nn.Parameter(torch.tensor(0.8))

    def forward(self, z: Tensor) -> Tensor:
        self.uses.append((id(self), z.shape[-1]))
        return self.f(self.beta * z)


def _images(n: int, f: Callable[[Tensor], Tensor]) -> Callable[[Generator], Given]:
    def draw(rng: Generator) -> Given:
        values = [torch.tensor(rng.normal(0, s[-1] ** -0.5, s)).float() for s in SHAPES]
        x = torch.tensor(rng.uniform(-2, 3, (n, 784))).float()
        return Given((x, f, values), said=f"{n} images and units of {f.__name__}")

    return draw


def _size(parameter: Tensor) -> str:
    return "×".join(map(str, sorted((n for n in parameter.shape if n > 1), reverse=True)))


def _network(call: Callable, answer: Callable, given: Given) -> dict[str, Any]:
    """Return what the network consists of, and its logits and gradients with weights as given."""
    x, f, values = given.args
    uses: list[tuple[int, int]] = []

    def make_unit() -> nn.Module:
        return _Unit(f, uses)

    model, second = call(answer, make_unit), call(answer, make_unit)
    if not isinstance(model, nn.Module):
        malformed(f"expected an nn.Module, received {describe(model)}")

    def run(x: Tensor) -> Tensor:
        logits = model(x)
        if not isinstance(logits, Tensor):
            malformed(f"expected logits of shape ({len(x)}, 10), received {describe(logits)}")
        if not logits.requires_grad:
            wrong("no gradient can reach the weights: is there a no_grad or detach in the way?")
        logits.square().sum().backward()
        return logits.detach()

    call(run, x)  # a lazy layer has its shape from now on
    parameters = {_size(p): p for p in model.parameters() if p.ndim}
    wanted, found = ([_size(p) for p in ps if p.ndim] for ps in (values, model.parameters()))
    if sorted(found) != sorted(wanted):
        sizes = f"{', '.join(wanted)}; received {', '.join(found) or 'none'}"
        malformed(f"expected weights and biases of sizes {sizes}")
    with torch.no_grad():
        for value in values:
            p = parameters[_size(value)]
            p.copy_(value if p.shape[-1] == value.shape[-1] else value.T)
    model.zero_grad()
    uses.clear()
    logits = call(run, x)
    order = list(dict.fromkeys(unit for unit, _ in uses))
    learn = sum(p.ndim == 0 and p.grad is not None for p in model.parameters())
    lengths = {
        f"length of the gradient of {size}": "there is none" if p.grad is None else p.grad.norm()
        for size, p in sorted(parameters.items())
    }
    return {
        "units": ", ".join(f"unit {order.index(i) + 1} on {width} values" for i, width in uses),
        "parameters that two networks share": len({*model.parameters()} & {*second.parameters()}),
        "logits": logits,
        **lengths,
        "number of β that learn": learn,
    }


def _chain(*after: str) -> Callable[[Callable], nn.Module]:
    """Return a builder that puts these after the three linear layers."""

    def build(make_unit: Callable) -> nn.Module:
        made: dict[str, Callable] = {
            "unit": make_unit,
            "ReLU": nn.ReLU,
            "softmax": partial(nn.Softmax, 1),
        }
        a, b, c = (made.get(name, nn.Identity)() for name in after)
        return nn.Sequential(nn.Linear(784, 200), a, nn.Linear(200, 64), b, nn.Linear(64, 10), c)

    return build


def _one_unit(make_unit: Callable) -> nn.Module:
    unit = make_unit()
    return _chain("unit", "unit", "")(lambda: unit)


build_network = checklist.exercise(
    "3.5 The network",
    Task(
        _chain("unit", "unit", ""),
        {
            "tanh": _images(5, torch.tanh),
            "one image": _images(1, torch.sigmoid),
            "many": _images(1200, torch.relu),
        },
        {
            "there is a unit after the last layer too": _chain("unit", "unit", "unit"),
            "there is a softmax at the end; cross-entropy applies it": _chain(
                "unit", "unit", "softmax"
            ),
            "the second hidden layer has no unit": _chain("unit", "", ""),
            "the first hidden layer has no unit": _chain("", "unit", ""),
            "no hidden layer has a unit": _chain("", "", ""),
            "make_unit is not used: the units are always ReLU": _chain("ReLU", "ReLU", ""),
            "both hidden layers use one and the same unit; call make_unit for each": _one_unit,
        },
        observe=_network,
        forbidden=[(networks, "mlp")],
    ),
)

# --- 3.6: a few steps of a few networks -----------------------------------------------------------


def _training_set(
    sizes: Sequence[int], n: int, *lrs: float, said: str, scale: float = 0, **kwargs: Any
) -> Callable[[Generator], Given]:
    """Return a kind: n examples for a network of these sizes, and a learning rate for each step."""

    def draw(rng: Generator) -> Given:
        x = torch.tensor(rng.normal(size=(n, sizes[0])))
        x = (scale * x.abs()).float() if scale else x
        y = torch.tensor(rng.integers(0, sizes[-1], n))
        words = f"{said}, number of examples {n} and lr = {' then '.join(map(str, lrs))}"
        return Given((x, y, lrs, sizes, int(rng.integers(1000))), kwargs, words)

    return draw


def _steps(call: Callable, answer: Callable, given: Given) -> dict[str, Any]:
    """Return the model's parameters and the loss told, step by step."""
    x, y, lrs, sizes, seed = given.args
    torch.manual_seed(seed)
    layers = [nn.Linear(*size, dtype=x.dtype) for size in itertools.pairwise(sizes)]
    model = nn.Sequential(*[part for layer in layers for part in (layer, nn.Tanh())][:-1])
    if given.kwargs.get("gradients"):
        model(x).square().sum().backward()
    seen: dict[str, Any] = {}
    for step, lr in enumerate(lrs, 1):
        loss = call(lambda x, y, lr: answer(model, x, y, lr), x, y, lr)
        if not isinstance(loss, Real) or isinstance(loss, bool):
            kind = "a tensor" if isinstance(loss, Tensor) else describe(loss)
            malformed(f"expected the loss as a plain number, received {kind}; use .item()")
        for i, layer in enumerate(layers, 1):
            for name, parameter in layer.named_parameters():
                key = f"{name} of layer {i} after step {step}"
                seen[key] = parameter.detach().clone()
        seen[f"loss returned by step {step}"] = loss
    return seen


def _descent(
    loss: Callable = F.cross_entropy,
    rate: Callable[[float], float] = lambda lr: lr,
    clear: str = "before",
    moved: Callable[[list], list] = lambda parameters: parameters,
    told: Callable[[Tensor, Tensor], Tensor] = lambda before, after: before,
) -> Callable:
    def step(model: nn.Module, x: Tensor, y: Tensor, lr: float) -> float:
        before = loss(model(x), y)
        if clear == "before":
            model.zero_grad()
        before.backward()
        with torch.no_grad():
            for parameter in moved(list(model.parameters())):
                parameter -= rate(lr) * parameter.grad
        if clear == "after":
            model.zero_grad()
        return told(before, loss(model(x), y)).item()

    return step


descent_step = checklist.exercise(
    "3.6 One step of gradient descent",
    Task(
        _descent(),
        {
            "linear": _training_set((3, 4), 12, 0.5, 0.5, said="one layer"),
            "deep": _training_set((5, 8, 6, 3), 20, 0.1, 0.5, said="three layers"),
            "gradients": _training_set(
                (2, 3), 8, 0.3, said="a model that has gradients already", gradients=True
            ),
            "one example": _training_set((3, 30), 1, 0.2, said="one layer"),
            "many": _training_set((4, 5, 3), 1500, 2.0, said="two layers"),
            "raw pixels": _training_set((100, 10), 30, 0.001, said="raw pixels", scale=250),
        },
        {
            "the step goes uphill": _descent(rate=lambda lr: -lr),
            "the loss is summed; take the mean": _descent(
                partial(F.cross_entropy, reduction="sum")
            ),
            "lr is not used: the step is the whole gradient": _descent(rate=lambda lr: 1),
            "gradients are added to earlier ones; clear them before backward": _descent(clear=""),
            "gradients are cleared after the step; the model may arrive with some": _descent(
                clear="after"
            ),
            "the loss is that after the step": _descent(told=lambda before, after: after),
            "no parameter has moved": _descent(moved=lambda parameters: []),
            "the biases do not move": _descent(
                moved=lambda parameters: [p for p in parameters if p.ndim > 1]
            ),
            "only the last layer moves": _descent(moved=lambda parameters: parameters[-2:]),
        },
        observe=_steps,
        single=(1e-3, 1e-4),
        forbidden=[(training, "train")],
    ),
)

# --- 3.7: a few curves ----------------------------------------------------------------------------


def _curve(*special: float, n: int = 4, dtype: type = float) -> Callable[[Generator], tuple]:
    """Return a kind: n losses below 5, with the special ones among them."""

    def draw(rng: Generator) -> tuple[NDArray]:
        losses = [*rng.uniform(0.001, 5, n), *special]
        return (rng.permutation(np.array(losses, dtype)),)

    return draw


def _copied(call: Callable, answer: Callable, given: Given) -> Any:
    def run(losses: NDArray) -> Any:
        value = answer(losses)
        itself = isinstance(value, np.ndarray) and np.shares_memory(value, losses)
        return "the array that was passed in; make a copy" if itself else value

    return call(run, *given.args)


displayed = checklist.exercise(
    "3.7 Losses as they are drawn",
    Task(
        lambda losses: np.where(losses <= 100, losses, 100),
        {
            "a run that diverges": _curve(400.5, 12345, np.inf, np.nan),
            "NaN alone": _curve(np.nan),
            "infinity alone": _curve(np.inf),
            "about 100": _curve(100, 99.5, 100.5, 0),
            "large": _curve(1e5, 1e38, 1.7e308),
            "none to replace": _curve(25, 75),
            "NaN only": _curve(np.nan, np.nan, n=0),
            "float32": _curve(250, np.inf, np.nan, dtype=np.float32),
            "long": _curve(np.nan, np.inf, 1e4, n=1000),
        },
        {
            "NaN is still there": lambda losses: np.minimum(losses, 100),
            "NaN became 0": lambda losses: np.nan_to_num(np.minimum(losses, 100), nan=0),
            "numbers above 100 are left": lambda losses: np.where(np.isfinite(losses), losses, 100),
            "only NaN is replaced": lambda losses: np.where(np.isnan(losses), 100, losses),
            "infinity became 0": lambda losses: np.where(np.isinf(losses), 0, np.fmin(losses, 100)),
            "infinity and NaN became 0": lambda losses: np.fmin(losses, 100) * np.isfinite(losses),
            "values are gone": lambda losses: np.minimum(losses[np.isfinite(losses)], 100),
        },
        observe=_copied,
        rtol=1e-6,
        atol=0,
    ),
)

# --- 3.8: grids of rates in which shortcuts lead elsewhere ----------------------------------------


def _grid(*below: float, images: int, top: float | None = None) -> Callable[[Generator], Given]:
    """Return a kind: rates whose last accuracies lie `below` the highest, in standard errors."""

    def draw(rng: Generator) -> Given:
        p = rng.uniform(0.87, 0.92) if top is None else top
        n, records = len(below), int(rng.integers(3, 7))
        rates = (np.logspace(-3, 0, n) * rng.uniform(0.8, 1.2)).tolist()
        curves = {}
        for name in ("train_loss", "train_accuracy", "validation_loss", "validation_accuracy"):
            curves[name] = rng.uniform(0.1, 0.5, (n, records))
            curves[name][rng.integers(n), 1] = 0.97  # the highest of all, but not the last
            if name.endswith("loss"):
                curves[name][rng.integers(n), -1] = np.nan
        last = p - np.array(below) * (np.sqrt(p * (1 - p) / images) or 1)
        curves["validation_accuracy"][:, -1] = last
        said = f"rates {describe(np.array(rates))}, last validation accuracies {describe(last)}"
        return Given((rates, curves, images), said=f"{said} and {images} images")

    return draw


def _choice(call: Callable, answer: Callable, given: Given) -> dict[str, Any]:
    received = call(answer, *given.args)
    if not isinstance(received, (tuple, list)) or len(received) != 2:
        malformed(f"expected (rate, on_edge), received {describe(received)}")
    rate, on_edge = received
    return {"rate": rate, "on_edge": bool(on_edge) if isinstance(on_edge, np.bool_) else on_edge}


def _error(p: Any, n: int) -> Any:
    return np.sqrt(p * (1 - p) / n)


def _choose(
    seen: Callable[[Mapping], Any] = lambda curves: curves["validation_accuracy"],
    error: Callable = lambda p, top, n: _error(top, n),
    pick: Callable[[NDArray, int], Any] = lambda within, top: within[0],
    edge: Callable[[int, int], int] = lambda top, chosen: top,
    tell: Callable[[Sequence, int], Any] = lambda rates, i: rates[i],
) -> Callable:
    def choose(rates: list, curves: Mapping, images: int) -> tuple[float, bool]:
        p = seen(curves)[:, -1]
        top = int(np.nanargmax(p))
        chosen = int(pick(np.flatnonzero(p >= p[top] - error(p, p[top], images)), top))
        return tell(rates, chosen), edge(top, chosen) in (0, len(rates) - 1)

    return choose


choose_rate = checklist.exercise(
    "3.8 The best learning rate, by rule",
    Task(
        _choose(),
        {  # in the first grid every shortcut leads to a rate of its own; the one at 0.9 is right
            "traps": _grid(12, 6, 2.4, 1.6, 1.05, 0.9, 3, 0.5, 0, 0.3, 14, images=100),
            "many images": _grid(30, 1.04, 1.03, 1.02, 1.01, 4, 0.97, 0, 2, images=60000),
            "few images": _grid(6, 1.15, 0.8, 0.1, 0.03, 0, 3, images=20),
            "upper edge": _grid(8, 1.95, 0.7, 1.5, 0, images=150),
            "lower edge": _grid(0, 0.5, 2, 6, images=150),
            "inside": _grid(0.5, 0.02, 0, 3, images=150),
            "perfect": _grid(0.7, 0.1, 0, 0.05, 0, 0.5, images=50, top=1),
            "two rates": _grid(0.4, 0, images=500),
        },
        {
            "the highest accuracy; a smaller rate is as good": _choose(error=lambda p, top, n: 0),
            "the largest rate within the error": _choose(pick=lambda within, top: within[-1]),
            "within √(p(1 − p)), without the images": _choose(
                error=lambda p, top, n: _error(top, 1)
            ),
            "within p(1 − p)/n, a variance": _choose(error=lambda p, top, n: _error(top, n) ** 2),
            "within two standard errors": _choose(error=lambda p, top, n: 2 * _error(top, n)),
            "each rate has an error of its own": _choose(error=lambda p, top, n: _error(p, n)),
            "going down from the highest, this stops at the first that is worse": _choose(
                pick=lambda within, top: max({*within[within <= top]} - {*within + 1})
            ),
            "the training accuracy decides": _choose(lambda curves: curves["train_accuracy"]),
            "the best accuracy of any record decides, not that of the last": _choose(
                lambda curves: curves["validation_accuracy"].max(1, keepdims=True)
            ),
            "the lowest validation loss decides, not the accuracy": _choose(
                lambda curves: -curves["validation_loss"], lambda p, top, n: 0
            ),
            "a loss of NaN decides: np.argmin takes it for the least": _choose(
                lambda curves: np.isnan(curves["validation_loss"]), lambda p, top, n: 0
            ),
            "this is the rate's position, not the rate": _choose(tell=lambda rates, i: i),
            "on_edge is about the highest accuracy": _choose(edge=lambda top, chosen: chosen),
        },
        observe=_choice,
        forbidden=[(search, "best_rate")],
    ),
)
