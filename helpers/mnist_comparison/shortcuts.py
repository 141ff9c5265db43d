"""What a training run need not compute any more as it stands still, and what is left to train."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from helpers.mnist_comparison.passes import Columns, Network, Passed, in_blocks

BLOCK = 1600  # examples at a time on a CPU: few enough for its cache, enough to multiply fast


@dataclass
class Part:
    """What is left of a network to train, its upper layers shared, and what it trains on."""

    whole: Network
    layer: int  # from which on it is left
    neurons: Tensor  # which of that layer's neurons are left
    inputs: Tensor  # which of that layer's inputs, in the order of the blocks'
    blocks: list[Columns]  # the training examples
    validation: Columns

    def __post_init__(self) -> None:
        self.network = network = self.whole.above(self.layer)
        network.weights[0] = network.weights[0][self.neurons[:, None], self.inputs]
        network.biases[0] = network.biases[0][self.neurons]
        if len(network.weights) > 1:
            network.weights[1] = network.weights[1][:, self.neurons]

    def put_back(self) -> None:
        """Put the trained parameters in their places in the whole network."""
        places, network = self.whole.above(self.layer), self.network
        places.weights[0][self.neurons[:, None], self.inputs] = network.weights[0]
        places.biases[0][self.neurons] = network.biases[0]
        if len(network.weights) > 1:
            places.weights[1][:, self.neurons] = network.weights[1]


def from_layer(
    whole: Network, layer: int, inputs: Tensor, train: Columns, validation: Columns
) -> Part:
    """Return the network from a layer on; of its inputs there, the examples have only these."""
    order, blocks = in_blocks(train, BLOCK if train.x.device.type == "cpu" else len(train.y))
    neurons = torch.arange(len(whole.weights[layer]), device=order.device)
    validation = Columns(validation.x[order], validation.y)
    return Part(whole, layer, neurons, inputs[order], blocks, validation)


def rest(part: Part, passes: Sequence[Passed], unseen: Passed) -> Part:
    """Return what is left to train after these passes, of each block and of the validation."""
    if (dead := dead_layer(passes)) is not None:
        part.put_back()
        x = torch.cat([seen.inputs[dead + 1] for seen in passes], 1)  # it changes no more
        train = Columns(x, torch.cat([block.y for block in part.blocks]))
        validation = Columns(unseen.inputs[dead + 1], part.validation.y)
        inputs = torch.arange(len(x), device=x.device) if dead else part.neurons
        return from_layer(part.whole, part.layer + dead + 1, inputs, train, validation)
    if (awake := awake_neurons(passes, unseen)) is not None:
        part.put_back()
        return replace(part, neurons=part.neurons[awake])
    return part


def diverged(passes: Sequence[Passed]) -> bool:
    """Return whether every output is NaN; so it stays."""
    return all(bool(seen.logits.isnan().all()) for seen in passes)


def dead_layer(passes: Sequence[Passed]) -> int | None:
    """Return the last hidden layer whose slopes are all 0, so that no gradient passes, or None."""
    for layer in reversed(range(len(passes[0].slopes))):
        slopes = [(seen.slopes[layer], *seen.by_beta[layer : layer + 1]) for seen in passes]
        if not any(slope.any() for block in slopes for slope in block):
            return layer
    return None


def awake_neurons(passes: Sequence[Passed], unseen: Passed) -> Tensor | None:
    """Return which first-layer neurons are awake, (width,) bool, or None where most may be.

    One whose value and slope are 0 for every example gets no gradient, nor do the weights that lead
    on from it, so it stays so; but not in Swish, whose β changes with the others of its layer.
    """
    if unseen.by_beta or not unseen.slopes:
        return None
    awake = torch.zeros_like(unseen.slopes[0][:, 0], dtype=torch.bool)
    for seen in (*passes, unseen):
        awake |= seen.inputs[1].any(1) | seen.slopes[0].any(1)
        if 2 * awake.sum() > len(awake):
            return None
    return awake
