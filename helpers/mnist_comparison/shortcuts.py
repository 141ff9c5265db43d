"""What a training run need not compute any more, and what is left of it to train.

Used by `fast`. What can change no more is left out, be it a whole run, the layers below a dead
one, or the dead neurons of the first layer: the same arithmetic without the part that stands still.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from helpers.mnist_comparison.passes import Columns, Network, Passed, in_blocks

BLOCK = 1600  # examples at a time on a CPU: few enough for its cache, enough to multiply fast


@dataclass
class Part:
    """What is left of a network to train, and the examples that it trains on."""

    whole: Network
    layer: int  # from which on it is left
    neurons: Tensor  # which of that layer's neurons are left
    inputs: Tensor  # which of that layer's inputs, in the order of the blocks'
    blocks: list[Columns]  # the training examples
    validation: Columns

    def __post_init__(self) -> None:
        """Take the part out; its upper layers are the whole network's own."""
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
    """Return what is left to train of a part: the part itself where nothing of it stands still.

    `passes` is what `forward` returned for each block, `unseen` for the validation examples.
    """
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
    """Return the last hidden layer that no gradient can pass any more, or None.

    Where a layer's slope is exactly 0 for every unit and example, neither it nor a layer below
    gets a gradient; so its values stay as they are, and its slope stays 0.
    """
    for layer in reversed(range(len(passes[0].slopes))):
        slopes = [(seen.slopes[layer], *seen.by_beta[layer : layer + 1]) for seen in passes]
        if not any(slope.any() for block in slopes for slope in block):
            return layer
    return None


def awake_neurons(passes: Sequence[Passed], unseen: Passed) -> Tensor | None:
    """Return which first-layer neurons are awake, (width,) bool, or None where most may be.

    A neuron whose value and slope are exactly 0 for every example gets no gradient, and neither
    do the weights that lead on from it; so, with finite weights, it stays as it is, as if it were
    not there. A Swish neuron need not stay so: its β changes with the others of its layer.
    """
    if unseen.by_beta or not unseen.slopes:
        return None
    awake = torch.zeros_like(unseen.slopes[0][:, 0], dtype=torch.bool)
    for seen in (*passes, unseen):
        awake |= seen.inputs[1].any(1) | seen.slopes[0].any(1)
        if 2 * awake.sum() > len(awake):
            return None
    return awake
