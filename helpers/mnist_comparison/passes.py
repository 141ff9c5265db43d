"""One pass, forward and back, of a network of one unit over examples in columns; for `fast`."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor, nn

from helpers.mnist_comparison.slopes import value_and_slope


@dataclass
class Network:
    """Weights (out, in), biases (out, 1), and Swish's βs (), one a hidden layer."""

    unit: Callable[..., tuple[Tensor, ...]]  # what `slopes.value_and_slope` returns
    weights: list[Tensor]
    biases: list[Tensor]
    betas: list[Tensor]  # none for the other units

    def all(self) -> list[Tensor]:
        """Return all parameters."""
        return [*self.weights, *self.biases, *self.betas]

    def above(self, layer: int) -> "Network":
        """Return the network from this layer on (0 is the first); the parameters are shared."""
        return Network(self.unit, self.weights[layer:], self.biases[layer:], self.betas[layer:])

    def zeros(self) -> "Network":
        """Return a network of this one's shape whose parameters are 0."""
        kinds = (self.weights, self.biases, self.betas)
        return Network(self.unit, *([torch.zeros_like(part) for part in kind] for kind in kinds))


def parameters_of(model: nn.Sequential, unit: str) -> Network:
    """Return the parameters of an `mlp` of this unit, shared with it."""
    state = model.state_dict()
    weights, biases, betas = (
        [value for name, value in state.items() if name.endswith(kind)]
        for kind in ("weight", "bias", "beta")
    )
    return Network(value_and_slope(unit), weights, [bias[:, None] for bias in biases], betas)


class Columns(NamedTuple):
    """Examples in columns: inputs (features, n) in the products' type, labels (n,)."""

    x: Tensor
    y: Tensor


def in_blocks(examples: Columns, size: int) -> tuple[Tensor, list[Columns]]:
    """Return an order of the inputs, and the examples in blocks that need only the first of them.

    Most of an image is 0. So inputs come in the order of how many examples use them, (features,),
    and examples in the order of the last input they use. A block of `size` leaves out the inputs
    that are 0 in all of it, up to a multiple of 16: products of such sizes are the fastest.
    """
    used = examples.x != 0
    order = used.sum(1).argsort(descending=True, stable=True)
    place = torch.arange(1, len(used) + 1, dtype=torch.int32, device=used.device)
    reach = (used[order] * place[:, None]).amax(0)
    blocks = []
    for members in reach.argsort(stable=True).split(size):
        needed = -(-int(reach[members].max()) // 16) * 16
        inputs = order[:needed]
        blocks.append(Columns(examples.x[inputs][:, members].contiguous(), examples.y[members]))
    return order, blocks


class Passed(NamedTuple):
    """What a forward pass leaves behind for the backward pass."""

    logits: Tensor  # (classes, n) float32
    inputs: list[Tensor]  # each layer's
    slopes: list[Tensor]  # each hidden layer's, (width, n)
    by_beta: list[Tensor]  # for Swish, each hidden layer's derivatives with respect to β


def forward(network: Network, x: Tensor) -> Passed:
    """Return the logits for x, (k, n): the first k features of n examples; the others are 0."""
    inputs, slopes, by_beta = [x], [], []
    for layer, (weight, bias) in enumerate(zip(network.weights, network.biases, strict=True)):
        a = inputs[-1]
        z = (weight[:, : len(a)].to(a.dtype) @ a).add_(bias.to(a.dtype))
        if layer < len(network.weights) - 1:
            a, slope, *rest = network.unit(z, *network.betas[layer : layer + 1])
            inputs.append(a)
            slopes.append(slope)
            by_beta.extend(rest)
    return Passed(z.float(), inputs, slopes, by_beta)


def add_gradients(total: Network, network: Network, seen: Passed, y: Tensor, n: int) -> None:
    """Add to `total` the gradients of n examples' mean cross-entropy from some, of labels y."""
    delta = torch.softmax(seen.logits, 0)
    delta[y, torch.arange(len(y), device=y.device)] -= 1
    delta = (delta / n).to(seen.inputs[0].dtype)  # the loss's gradient at the logits
    for layer in reversed(range(len(network.weights))):
        a = seen.inputs[layer]
        total.weights[layer][:, : len(a)] += delta @ a.T
        total.biases[layer] += delta.sum(1, keepdim=True)
        if layer:
            back = network.weights[layer].to(delta.dtype).T @ delta
            if seen.by_beta:
                total.betas[layer - 1] += torch.einsum("ij,ij->", back, seen.by_beta[layer - 1])
            delta = back.mul_(seen.slopes[layer - 1])
