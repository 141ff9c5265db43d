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
from helpers.differences import Remark, by_name, describe, malformed, wrong
from helpers.drawn import pictures, title
from helpers.judge import Answer, Checklist, Given, each
from helpers.mnist_comparison import plots, search

checklist = Checklist("3 · Six activation units on MNIST", torch=True)
progress = checklist.progress


def _digits(rng: Generator, *labels: int) -> Given:
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
        told = set(re.findall(r"\d+", title(ax))) & set(labels)
        seen[f"the picture on axes[{i}]"] = pictures(ax)[-1].astype(float)
        seen[f"the label in the title of axes[{i}]"] = label if told == {label} else title(ax)
    plt.close(figure)
    return seen


def _draw(
    axes: Sequence, images: NDArray, labels: NDArray, changed: Callable = list, **style: Any
) -> None:
    for ax, image, label in zip(axes, changed(images), labels, strict=True):
        ax.imshow(image, **style)
        ax.set_title(label)


draw_digits = checklist.exercise(
    "3.1 Digits with their labels",
    _draw,
    {  # no label is also the position of another image
        "three digits": lambda rng: _digits(rng, *rng.permutation(range(5, 10))[:3].tolist()),
        "zero, and the same": lambda rng: _digits(rng, 0, 8, *rng.choice([7, 9], 3).tolist()),
    },
    {
        "the images are transposed": partial(_draw, changed=lambda a: a.transpose(0, 2, 1)),
        "the images are upside down": partial(_draw, origin="lower"),
        "every picture is of images[0]": partial(_draw, changed=lambda a: [a[0]] * len(a)),
        "the values are subtracted from 255": partial(_draw, changed=lambda a: 255 - a),
        "the values are divided by 255": partial(_draw, changed=lambda a: a / 255),
    },
    observe=_seen_on,
)


def _examples(n: int, used: int, rng: Generator, dtype: torch.dtype = torch.float32) -> Given:
    x = torch.tensor(rng.permutation(3 * n).reshape(n, 3)).to(dtype)
    y = torch.tensor(rng.integers(0, 10, n, np.int32 if dtype == torch.double else np.int64))
    return Given((x, y, used), said=f"{n} examples and used = {used}")


def _look(value: Any) -> str:
    """Return a tensor's type and shape in words, and the type of anything else."""
    if not isinstance(value, Tensor):
        return f"an object of type {type(value).__name__}"
    return f"a tensor of {value.dtype} and shape {tuple(value.shape)}"


def _parts(call: Callable, answer: Callable, given: Given) -> dict[str, Any]:
    parts = call(answer, *given.args)
    seen = by_name(parts, "train_x", "train_y", "validation_x", "validation_y")
    return seen | {f"the kind of {name}": _look(part) for name, part in seen.items()}


def _split(train: tuple, validation: tuple, x: Tensor, y: Tensor, used: int) -> list[Tensor]:
    """Return what lies between these bounds, which are in fifths of `used`."""
    windows = [slice(*(bound * used // 5 for bound in part)) for part in (train, validation)]
    return [part[window] for window in windows for part in (x, y)]


split_examples = checklist.exercise(
    "3.2 The split",
    partial(_split, (0, 4), (4, 5)),
    {
        "some of them": partial(_examples, 100, 50),
        "all of them": partial(_examples, 40, 40),
        "the fewest": partial(_examples, 7, 5),
        "many": lambda rng: _examples(2000, 5 * int(rng.integers(240, 390)), rng, torch.double),
    },
    {
        "training and validation parts are exchanged": partial(_split, (4, 5), (0, 4)),
        "all of x is in use": lambda x, y, used: _split((0, 4), (4, 5), x, y, len(x)),
        "the first fifth validates, not the last": partial(_split, (1, 5), (0, 1)),
        "validation does not end at `used`": partial(_split, (0, 4), (4, 99)),
        "training holds the validation examples too": partial(_split, (0, 5), (4, 5)),
    },
    observe=_parts,
)


def _passes(call: Callable, answer: Callable, given: Given) -> dict[str, Any]:
    """Return forward's value, and what backward itself returns: PyTorch would sum it to shape."""
    if not (isinstance(answer, type) and issubclass(answer, Function)):
        malformed(f"expected a subclass of torch.autograd.Function, received {answer}")
    names = ("backward's gradient for z", "backward's gradient for β")[: len(given.args) - 1]
    returned: list[Any] = []

    def backward(ctx: Any, grad_output: Tensor) -> tuple[None, ...]:
        returned.append(answer.backward(ctx, grad_output))
        return (None,) * len(names)

    function: Any = type(answer.__name__, (answer,), {"backward": staticmethod(backward)})

    def run(upstream: Tensor, *inputs: Tensor, others: Sequence[Tensor] = ()) -> Tensor:
        value = function.apply(*(tensor.requires_grad_() for tensor in inputs))
        if _look(value) != _look(upstream):
            malformed(f"forward: z is {_look(upstream)}, but the value is {_look(value)}")
        if others:
            function.apply(*others)
        kept = value.detach().clone()
        value.backward(upstream)
        return kept

    value = call(run, *given.args, **given.kwargs)
    gradients = returned[0] if isinstance(returned[0], tuple) else (returned[0],)
    if others := [_look(g) for g in gradients if not isinstance(g, Tensor)]:
        malformed(f"backward returned {others[0]}; PyTorch takes a tensor, or several: return a, b")
    return {"forward": value, **by_name(gradients, *names)}


def _inputs(rng: Generator, beta: bool = False) -> list[Given]:
    """Return grad_output and z, and a β where asked for: a kind of input in each row."""
    near = torch.tensor([-rng.uniform(0.3, 3), 0, rng.uniform(0.3, 3)], dtype=torch.double)
    far = rng.uniform((100, 100, 1000, 1000), (200, 200, 5000, 5000)) * (-1, 1, -1, 1)
    b = rng.uniform(0.5, 1.5)
    drawn = []
    for z, value, said in (
        (near, b, ""),
        (torch.tensor(rng.uniform(-12, 12, (120, 30))), b, ""),
        (near.float(), b, " in float32"),
        (torch.tensor(far).float(), b, " in float32, where e^|z| is infinite"),
        (near, b, USED_TWICE),
        (near, -b, ""),
        (near, 0, ""),
    ):
        inputs = [z, torch.tensor(value).to(z)] if beta else [z]
        upstream = torch.tensor(rng.normal(0.5, 1, z.shape)).to(z)
        shown = f"a table of {tuple(z.shape)}" if z.ndim > 1 else describe(z)
        words = f"z = {shown}{f', β = {value:.6g}' if beta else ''}{said}"
        others = [one / 2 + 0.3 for one in inputs] if said == USED_TWICE else ()
        drawn.append(Given((upstream, *inputs), {"others": others}, words))
    return drawn


def _function(
    value: Callable, slope: Callable, total: Callable | None = None, forgets: str = ""
) -> type[Function]:
    """Return a `Function` of this value and slope, each of z, β, s(βz) and tanh(ln(1 + e^z)).

    `total` sums Swish's gradient for β; gradients named in `forgets` ignore grad_output.
    """

    def terms(z: Tensor, beta: Any = 1) -> tuple:
        return z, beta, torch.sigmoid(beta * z), torch.tanh(F.softplus(z))

    class Made(Function):
        @staticmethod
        def forward(ctx: Any, *inputs: Tensor) -> Tensor:
            ctx.save_for_backward(*inputs)
            return value(*terms(*inputs))

        @staticmethod
        def backward(ctx: Any, g: Tensor) -> Any:
            z, beta, s, t = terms(*ctx.saved_tensors)
            by_z = (1 if "z" in forgets else g) * slope(z, beta, s, t)
            by_beta = (1 if "β" in forgets else g) * z**2 * s * (1 - s)
            return (by_z, total(by_beta)) if total else by_z

    return Made


USED_TWICE = ", used once more before the first use's backward"
ATEN: Any = torch.ops.aten
AUTOGRAD = (torch, "enable_grad"), (torch.autograd, "grad")  # it is what the exercise writes
MISH = (F, "mish"), (ATEN, "mish_backward"), (activations, "mish"), (activations.Mish, "forward")
_two_passes = partial(checklist.exercise, observe=_passes, near=(1e-8, 1e-10), a_class=True)
_mish = partial(
    _function, value=lambda z, b, s, t: z * t, slope=lambda z, b, s, t: t + z * (1 - t**2) * s
)
_swish = partial(
    _function,
    value=lambda z, b, s, t: z * s,
    slope=lambda z, b, s, t: s + b * z * s * (1 - s),
    total=torch.sum,
)

mish = _two_passes(
    "3.3 Mish, forward and backward",
    _mish(),
    _inputs,
    {
        "forward forgets the factor z": _mish(value=lambda z, b, s, t: t),
        "forward leaves the tanh out": _mish(value=lambda z, b, s, t: z * F.softplus(z)),
        "forward is Swish with β = 1, not Mish": _mish(value=lambda z, b, s, t: z * s),
        "backward forgets grad_output (the chain rule)": _mish(forgets="z"),
        "backward leaves out z (1 − t²) s(z)": _mish(slope=lambda z, b, s, t: t),
        "backward forgets s(z)": _mish(slope=lambda z, b, s, t: t + z * (1 - t**2)),
        "backward has t for t²": _mish(slope=lambda z, b, s, t: t + z * (1 - t) * s),
    },
    forbidden=[*MISH, *AUTOGRAD],
)

swish = _two_passes(
    "3.4 Swish, with a gradient for β",
    _swish(),
    partial(_inputs, beta=True),
    {
        "forward has e^{βz} for e^{−βz}": _swish(value=lambda z, b, s, t: z * (1 - s)),
        "forward ignores β": _swish(value=lambda z, b, s, t: z * z.sigmoid()),
        "forward forgets the factor z": _swish(value=lambda z, b, s, t: s),
        "both gradients forget grad_output": _swish(forgets="zβ"),
        "the gradient for z forgets grad_output": _swish(forgets="z"),
        "the gradient for z is s(βz) only": _swish(slope=lambda z, b, s, t: s),
        "the gradient for z forgets β": _swish(slope=lambda z, b, s, t: s + z * s * (1 - s)),
        "the gradient for z has e^{βz} for e^{−βz}, as has the assignment's note": _swish(
            slope=lambda z, b, s, t: 1 - s + b * z * s * (1 - s)
        ),
        "the gradient for β forgets grad_output": _swish(forgets="β"),
        "the gradient for β is not summed": _swish(total=lambda each: each),
        "the gradient for β is a mean": _swish(total=torch.mean),
    },
    forbidden=[(F, "silu"), (activations, "swish"), (activations.Swish, "forward"), *AUTOGRAD],
)


class _Unit(nn.Module):
    """f(βz) with a β of its own; it notes itself and the layer's width at every use."""

    def __init__(self, f: Callable[[Tensor], Tensor], uses: list[tuple[int, int]]) -> None:
        super().__init__()
        self.f, self.uses = f, uses
        self.beta = nn.Parameter(torch.tensor(0.8))

    def forward(self, z: Tensor) -> Tensor:
        self.uses.append((id(self), z.shape[-1]))
        return self.f(self.beta * z)


def _images(n: int, f: Callable[[Tensor], Tensor], rng: Generator) -> Given:
    x = torch.tensor(rng.uniform(-2, 3, (n, 784))).float() * (50 if n > 1000 else 1)
    return Given((x, f, int(rng.integers(1000))), said=f"{n} images and units of {f.__name__}")


def _as_drawn(layer: nn.Linear) -> bool:
    """Return whether weights and biases fill (−1/√n, 1/√n), with n inputs, and no more."""
    largest = [p.abs().max().item() * layer.in_features**0.5 for p in layer.parameters()]
    return all(0.2 < size < 1.0001 for size in largest)


def _network(call: Callable, answer: Callable, given: Given) -> dict[str, Any]:
    """Return what the network consists of, and its logits and gradients with weights as given."""
    x, f, seed = given.args
    uses: list[tuple[int, int]] = []
    model, second = (call(answer, make) for make in [lambda: _Unit(f, uses)] * 2)
    for network in (model, second):
        if not isinstance(network, nn.Module):
            malformed(f"expected an nn.Module, received {describe(network)}")

    def run(network: nn.Module, x: Tensor) -> Tensor:
        logits = network(x)
        if not getattr(logits, "requires_grad", False):
            wrong("no gradient can reach the weights: is there a no_grad or detach in the way?")
        logits.square().sum().backward()
        return logits.detach()

    for network in (model, second):
        call(partial(run, network), x)  # a lazy layer has its shape from now on
    started = sum(map(_as_drawn, (m for m in model.modules() if isinstance(m, nn.Linear))))
    weights, others = (
        sorted((p for p in network.parameters() if p.ndim), key=Tensor.numel)
        for network in (model, second)
    )
    alike = sum(map(torch.equal, weights, others))
    for p in weights:
        drawn = torch.Generator().manual_seed(seed + p.numel())
        p.data = torch.randn(p.shape, generator=drawn) * p.shape[-1] ** -0.5
    model.zero_grad()
    uses.clear()
    logits = call(partial(run, model), x)
    order = list(dict.fromkeys(unit for unit, _ in uses))
    return {
        "weights and biases": ", ".join("×".join(map(str, p.shape)) for p in weights),
        "units": ", ".join(f"unit {order.index(i) + 1} on {width} values" for i, width in uses),
        "layers that start as nn.Linear draws": started,
        "parameters that two networks share": len({*model.parameters()} & {*second.parameters()}),
        "weights and biases that two networks start with alike": alike,
        "logits": logits,
        "lengths of the gradients": [0 if p.grad is None else p.grad.norm() for p in weights],
        "β that learn": sum(not p.ndim and p.grad is not None for p in model.parameters()),
    }


def _chain(units: Callable[[Callable], list] = lambda unit: [unit(), unit()]) -> Callable:
    """Return a builder that puts these units after the three linear layers."""

    def build(make_unit: Callable) -> nn.Module:
        a, b, *c = units(make_unit)
        return nn.Sequential(nn.Linear(784, 200), a, nn.Linear(200, 64), b, nn.Linear(64, 10), *c)

    return build


build_network = checklist.exercise(
    "3.5 The network",
    _chain(),
    {
        "tanh": partial(_images, 5, torch.tanh),
        "one image": partial(_images, 1, torch.sigmoid),
        "many": partial(_images, 1200, torch.relu),
    },
    {
        "a unit after the last layer": _chain(lambda unit: [unit(), unit(), unit()]),
        "a softmax, which is in the loss": _chain(lambda unit: [unit(), unit(), nn.Softmax(1)]),
        "the second hidden layer has no unit": _chain(lambda unit: [unit(), nn.Identity()]),
        "no hidden layer has a unit": _chain(lambda unit: [nn.Identity(), nn.Identity()]),
        "the units are ReLU, not those of make_unit": _chain(lambda unit: [nn.ReLU()] * 2),
        "one unit is used twice; call make_unit for each": _chain(lambda unit: [unit()] * 2),
    },
    observe=_network,
    forbidden=[(networks, "mlp")],
)

HAS_GRADIENTS, RAW_PIXELS = " that has gradients already", " on raw pixels"


def _training_set(sizes: tuple, n: int, lrs: tuple, rng: Generator, said: str = "") -> Given:
    """Return n examples for a network of these sizes, and a learning rate for each step."""
    x = torch.tensor(rng.normal(size=(n, sizes[0])))
    x = (250 * x.abs()).float() if said == RAW_PIXELS else x
    args = x, torch.tensor(rng.integers(0, sizes[-1], n)), lrs, sizes, int(rng.integers(1000))
    words = f"a network {' → '.join(map(str, sizes))}{said}, {n} examples and lr = "
    return Given((*args, said == HAS_GRADIENTS), said=words + " then ".join(map(str, lrs)))


def _steps(call: Callable, answer: Callable, given: Given) -> dict[str, Any]:
    """Return the model's parameters and the loss told, step by step."""
    x, y, lrs, sizes, seed, used = given.args
    torch.manual_seed(seed)
    layers = [nn.Linear(*size, dtype=x.dtype) for size in itertools.pairwise(sizes)]
    unit = partial(nn.PReLU, dtype=x.dtype) if len(sizes) > 3 else nn.Tanh
    model = nn.Sequential(*[part for layer in layers for part in (layer, unit())][:-1])
    if used:
        model(x).square().sum().backward()
    seen: dict[str, Any] = {}
    for step, lr in enumerate(lrs, 1):
        loss = call(lambda x, y, lr: answer(model, x, y, lr), x, y, lr)
        if not isinstance(loss, Real) or isinstance(loss, bool):
            malformed(f"expected the loss as a number, received {_look(loss)}; use .item()")
        for name, parameter in model.named_parameters():
            seen[f"model[{name[0]}]{name[1:]} after step {step}"] = parameter.detach().clone()
        seen[f"loss returned by step {step}"] = loss
    return seen


def _descent(
    model: Any, x: Tensor, y: Tensor, lr: float, reduction: str = "mean", clear: bool = True
) -> float:
    loss = F.cross_entropy(model(x), y, reduction=reduction)
    if clear:
        model.zero_grad()
    loss.backward()
    for parameter in model.parameters():
        parameter.data -= lr * parameter.grad
    return loss.item()


def _told_after(model: Any, x: Tensor, y: Tensor, lr: float) -> float:
    _descent(model, x, y, lr)
    return F.cross_entropy(model(x), y).item()


descent_step = checklist.exercise(
    "3.6 One step of gradient descent",
    _descent,
    {
        "linear": partial(_training_set, (3, 4), 12, (0.5, 0.5)),
        "deep": partial(_training_set, (5, 8, 6, 3), 20, (0.1, 0.5)),
        "gradients": partial(_training_set, (2, 3), 8, (0.3,), said=HAS_GRADIENTS),
        "one example": partial(_training_set, (3, 30), 1, (0.2,)),
        "many": partial(_training_set, (4, 5, 3), 1500, (2.0,)),
        "raw pixels": partial(_training_set, (100, 10), 30, (0.001,), said=RAW_PIXELS),
    },
    {
        "the step goes uphill": lambda model, x, y, lr: _descent(model, x, y, -lr),
        "lr is not used": lambda model, x, y, lr: _descent(model, x, y, 1),
        "no parameter has moved": lambda model, x, y, lr: _descent(model, x, y, 0),
        "the loss is a sum, not the mean": partial(_descent, reduction="sum"),
        "gradients are added to earlier ones": partial(_descent, clear=False),
        "the loss is that after the step": _told_after,
    },
    observe=_steps,
    single=(1e-3, 1e-4),
    forbidden=[(training, "train")],
)


def _curve(rng: Generator, *special: float, n: int = 4, dtype: type = float) -> Given:
    """Return n losses below 5, with the special ones among them."""
    return Given((rng.permutation([*rng.uniform(0.001, 5, n), *special]).astype(dtype),))


def _copied(call: Callable, answer: Callable, given: Given) -> Any:
    def run(losses: NDArray) -> Any:
        value = answer(losses)
        if not isinstance(value, np.ndarray):
            return value
        if np.shares_memory(value, losses):
            return Remark("this is the array that was passed in; make a copy")
        return np.ma.filled(value, np.nan)  # what is masked is not drawn, like NaN

    return call(run, *given.args)


LOSSES = (
    *((400.5, 12345, np.inf, np.nan), (np.nan,), (np.inf,), (100, 99.5, 100.5, 0), (25, 75)),
    (1e5, 1e38, 1.7e308),
)
displayed = checklist.exercise(
    "3.8 Losses as they are drawn",
    lambda losses: np.where(losses <= 100, losses, 100),
    {
        "with special ones": each(_curve, *LOSSES),
        "NaN only": each(_curve, (np.nan, np.nan), n=0),
        "float32": each(_curve, (250, np.inf, np.nan), dtype=np.float32),
        "long": each(_curve, (np.nan, np.inf, 1e4), n=1000),
    },
    {
        "NaN is still there": lambda losses: np.minimum(losses, 100),
        "NaN became 0": lambda losses: np.nan_to_num(np.minimum(losses, 100), nan=0),
        "numbers above 100 are left": lambda losses: np.where(np.isfinite(losses), losses, 100),
        "only NaN is replaced": lambda losses: np.where(np.isnan(losses), 100, losses),
        "values are gone": lambda losses: np.minimum(losses[np.isfinite(losses)], 100),
    },
    observe=_copied,
    near=(1e-6, 0),
    forbidden=[(plots, "clipped")],
)


def _grid(below: tuple, images: int, rng: Generator, top: float | None = None) -> Given:
    """Return rates whose last accuracies lie `below` the highest, in standard errors."""
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


def _choice(call: Callable, answer: Callable, given: Given) -> dict[str, Any]:
    seen = by_name(call(answer, *given.args), "rate", "on_edge")
    truth = seen["on_edge"]
    return seen | {"on_edge": bool(truth) if isinstance(truth, np.bool_) else truth}


def _choose(
    part: str = "validation", since: int = -1, errors: int = 1, which: int = 0, on: int = 0
) -> Answer:
    """Return the rule; by options a wrong one, the edge `on` which is that of the chosen rate."""

    def answer(rates: list, curves: Mapping, images: int) -> tuple[float, bool]:
        p = curves[f"{part}_accuracy"][:, since:].max(1)
        error = np.sqrt(p.max() * (1 - p.max()) / images)
        chosen = np.flatnonzero(p >= p.max() - errors * error)[which]
        return rates[chosen], (p.argmax(), chosen)[on] in (0, len(rates) - 1)

    return answer


choose_rate = checklist.exercise(
    "3.9 The best learning rate, by rule",
    _choose(),
    {  # in the first grid every shortcut leads to a rate of its own; the one at 0.9 is right
        "traps": partial(_grid, (12, 6, 2.4, 1.6, 1.05, 0.9, 3, 0.5, 0, 0.3, 14), 100),
        "many images": partial(_grid, (30, 1.04, 1.03, 1.02, 1.01, 4, 0.97, 0, 2), 60000),
        "few images": partial(_grid, (6, 1.15, 0.8, 0.1, 0.03, 0, 3), 20),
        "upper edge": partial(_grid, (8, 1.95, 0.7, 1.5, 0), 150),
        "lower edge": partial(_grid, (0, 0.5, 2, 6), 150),
        "inside": partial(_grid, (0.5, 0.02, 0, 3), 150),
        "perfect": partial(_grid, (0.7, 0.1, 0, 0.05, 0, 0.5), 50, top=1),
        "two rates": partial(_grid, (0.4, 0), 500),
    },
    {
        "this is the rate of the highest accuracy": _choose(errors=0),
        "this is the largest rate within the error": _choose(which=-1),
        "two standard errors are one too many": _choose(errors=2),
        "the error ignores images": lambda rates, curves, images: _choose()(rates, curves, 1),
        "the training accuracy decides": _choose("train"),
        "the best record decides, not the last": _choose(since=0),
        "on_edge is about the highest accuracy": _choose(on=1),
    },
    observe=_choice,
    forbidden=[(search, "best_rate")],
)
