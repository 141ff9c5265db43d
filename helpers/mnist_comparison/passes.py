"""One pass, forward and back, of many networks of one unit at once.

Used by `batched`, which says why it is fast. Examples lie in columns; a block of them needs only
the first so many inputs.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor


@dataclass(repr=False)
class Batch:
    """R networks of one shape: weights (R, out, in), biases (R, out, 1), Swish's βs (R, 1, 1).

    `unit` is the function that `slopes.value_and_slope` returns for the networks' unit.
    """

    unit: Callable[..., tuple[Tensor, ...]]
    weights: list[Tensor]
    biases: list[Tensor]
    betas: list[Tensor]  # one a hidden layer for Swish, none for the other units

    def __repr__(self) -> str:
        """Return the number of networks and the layer sizes."""
        sizes = [self.weights[0].shape[2], *(w.shape[1] for w in self.weights)]
        return f"Batch({len(self.weights[0])} networks of sizes {sizes})"

    def __getitem__(self, rows: list[int]) -> "Batch":
        """Return copies of the networks of these indices."""
        parts = (self.weights, self.biases, self.betas)
        return Batch(self.unit, *([tensor[rows] for tensor in part] for part in parts))

    def __setitem__(self, rows: list[int], other: "Batch") -> None:
        """Put another batch's networks in the place of those of these indices."""
        for mine, theirs in zip(self.tensors(), other.tensors(), strict=True):
            mine[rows] = theirs

    def tensors(self) -> list[Tensor]:
        """Return all parameters, each with one row a network."""
        return [*self.weights, *self.biases, *self.betas]

    def above(self, layer: int) -> "Batch":
        """Return the part of the networks above hidden layer `layer` (0 is the first); shared."""
        cut = slice(layer + 1, None)
        return Batch(self.unit, self.weights[cut], self.biases[cut], self.betas[cut])

    def state_dict(self, row: int) -> dict[str, NDArray[np.float32]]:
        """Return network `row`'s parameters by the names they have in `helpers.networks.mlp`."""
        state = {}
        for i, (weight, bias) in enumerate(zip(self.weights, self.biases, strict=True)):
            state[f"{2 * i}.weight"] = weight[row]
            state[f"{2 * i}.bias"] = bias[row, :, 0]
        for i, beta in enumerate(self.betas):
            state[f"{2 * i + 1}.beta"] = beta[row, 0, 0]
        return {name: value.cpu().numpy().copy() for name, value in state.items()}


@dataclass(frozen=True)
class Columns:
    """Examples in columns: inputs (features, n) in the products' type, labels (n,)."""

    x: Tensor
    y: Tensor


def in_blocks(examples: Columns, size: int) -> tuple[Tensor, list[Columns]]:
    """Return an order of the inputs, and the examples in blocks that need only the first of them.

    Most of an image is 0, and a product with 0 is 0. So inputs come in the order of how many
    examples use them, and examples in the order of the last input that they use. A block leaves
    out the inputs that are 0 in all its examples (with finite weights that changes nothing), but
    for their number to be a multiple of 16: matrix products of such sizes run faster than those
    of slightly smaller ones.
    What is returned is the positions of the inputs in their new order, (features,), and the
    blocks of `size` examples; the last may be smaller.
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


def _affine(weight: Tensor, bias: Tensor, a: Tensor) -> Tensor:
    """Return W a + b, (R, out, n), for shared (in, n) or own (R, in, n) inputs."""
    weight, bias = weight.to(a.dtype), bias.to(a.dtype)
    if a.ndim == 3:
        return torch.bmm(weight, a).add_(bias)
    return (weight.flatten(0, 1) @ a).unflatten(0, weight.shape[:2]).add_(bias)


def _weight_gradient(delta: Tensor, a: Tensor) -> Tensor:
    """Return (R, out, in), the sum over the n examples of δ aᵀ."""
    if a.ndim == 3:
        return torch.bmm(delta, a.mT)
    return (delta.flatten(0, 1) @ a.T).unflatten(0, delta.shape[:2])


class Passed(NamedTuple):
    """What a forward pass leaves behind for the backward pass."""

    logits: Tensor  # (R, classes, n) float32
    inputs: list[Tensor]  # each layer's; the first layer's are shared by all networks
    slopes: list[Tensor]  # each hidden layer's, (R, width, n)
    by_beta: list[Tensor]  # for Swish, each hidden layer's derivatives with respect to β


def forward(batch: Batch, x: Tensor) -> Passed:
    """Return the logits for x, (k, n): the first k features of n examples; the others are 0."""
    inputs, slopes, by_beta = [x], [], []
    for layer, (weight, bias) in enumerate(zip(batch.weights, batch.biases, strict=True)):
        z = _affine(weight[:, :, : inputs[-1].shape[-2]], bias, inputs[-1])
        if layer < len(batch.weights) - 1:
            a, slope, *rest = batch.unit(z, *batch.betas[layer : layer + 1])
            inputs.append(a)
            slopes.append(slope)
            by_beta.extend(rest)
    return Passed(z.float(), inputs, slopes, by_beta)


def add_gradients(total: Batch, batch: Batch, seen: Passed, y: Tensor, n: int) -> None:
    """Add the gradients of the mean cross-entropy of n examples to `total`, in place.

    `seen` is what `forward` returned for some of them, y are the labels of those.
    """
    delta = torch.softmax(seen.logits, 1)
    delta[:, y, torch.arange(len(y), device=y.device)] -= 1
    delta = (delta / n).to(seen.inputs[0].dtype)  # the loss's gradient at the logits
    for layer in reversed(range(len(batch.weights))):
        a = seen.inputs[layer]
        total.weights[layer][:, :, : a.shape[-2]] += _weight_gradient(delta, a)
        total.biases[layer] += delta.sum(2, keepdim=True)
        if layer:
            back = torch.bmm(batch.weights[layer].to(delta.dtype).mT, delta)
            if seen.by_beta:
                by_beta = torch.einsum("rij,rij->r", back, seen.by_beta[layer - 1])
                total.betas[layer - 1] += by_beta[:, None, None]
            delta = back.mul_(seen.slopes[layer - 1])
