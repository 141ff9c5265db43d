"""What a training run need not compute any more, and what is left of it to train.

Used by `batched`. What can change no more is left out, be it a whole run, the layers below a dead
one, or the dead neurons of the first layer: the same arithmetic without the part that stands still.
"""

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from helpers.mnist_comparison.passes import Batch, Columns, Passed, in_blocks

BLOCK = 1600  # examples at a time on a CPU: few enough for its cache, enough to multiply fast


@dataclass(frozen=True)
class Part:
    """Networks, or what is left of them, and the examples that they train on."""

    batch: Batch  # trained in place
    rows: list[int]  # which networks these are, of all that train
    blocks: list[Columns]  # the training examples
    validation: Columns  # their inputs in the order of the blocks'


@contextmanager
def taken_out(
    batch: Batch, places: list[int], rows: list[int], train: Columns, validation: Columns
) -> Iterator[Part]:
    """Take the networks at these places out of a batch; in the end put them back."""
    order, blocks = in_blocks(train, BLOCK if train.x.device.type == "cpu" else len(train.y))
    taken = batch[places]
    taken.weights[0] = taken.weights[0][:, :, order]
    yield Part(taken, rows, blocks, Columns(validation.x[order], validation.y))
    taken.weights[0] = taken.weights[0][:, :, order.argsort()]
    batch[places] = taken


def rest(
    part: Part, passes: Sequence[Passed], unseen: Passed
) -> list[AbstractContextManager[Part]] | None:
    """Return the parts that are left to train, or None where nothing of the networks stands still.

    Args:
        part: the networks, which are changed when the returned contexts end.
        passes: what `forward` returned for each of the part's blocks.
        unseen: the same for the validation examples.
    """
    stay, parts = [], []
    for i in range(len(part.rows)):
        if diverged(i, [*passes, unseen]):
            continue
        if (layer := dead_layer(i, passes)) is not None:
            parts.append(_above(part, i, layer, passes, unseen))
        elif (awake := awake_neurons(passes, unseen)) is not None:
            parts.append(_without_dead_neurons(part, awake))
        else:
            stay.append(i)
    if len(stay) == len(part.rows):
        return None
    return [*parts, _staying(part, stay)] if stay else parts


def diverged(i: int, passes: Sequence[Passed]) -> bool:
    """Return whether every output of network `i` is NaN; so it stays."""
    return all(bool(seen.logits[i].isnan().all()) for seen in passes)


def dead_layer(i: int, passes: Sequence[Passed]) -> int | None:
    """Return the last hidden layer of network `i` that no gradient can pass any more, or None.

    Where a layer's slope is exactly 0 for every unit and example, neither it nor a layer below
    gets a gradient; so its values stay as they are, and its slope stays 0.
    """
    for layer in reversed(range(len(passes[0].slopes))):
        if not any(
            part[i].any()
            for seen in passes
            for part in (seen.slopes[layer], *seen.by_beta[layer : layer + 1])
        ):
            return layer
    return None


def awake_neurons(passes: Sequence[Passed], unseen: Passed) -> Tensor | None:
    """Return which first-layer neurons of the one network are awake, or None where most may be.

    A neuron whose value and slope are exactly 0 for every example gets no gradient, and neither
    do the weights that lead on from it; so, with finite weights, it stays as it is, as if it were
    not there. A Swish neuron need not stay so: its β changes with the others of its layer.
    What is returned is (width,) bool, at most half of them true; None where more are awake, for
    Swish, for a network without a hidden layer, and for more than one network.
    """
    if unseen.by_beta or not unseen.slopes or len(unseen.logits) > 1:
        return None
    awake = torch.zeros_like(unseen.slopes[0][0, :, 0], dtype=torch.bool)
    for seen in (*passes, unseen):
        awake |= seen.inputs[1][0].any(1) | seen.slopes[0][0].any(1)
        if 2 * awake.sum() > len(awake):
            return None
    return awake


def _above(
    part: Part, i: int, layer: int, passes: Sequence[Passed], unseen: Passed
) -> AbstractContextManager[Part]:
    """Return network `i` above a hidden layer, on that layer's values, which change no more."""
    fixed = torch.cat([seen.inputs[layer + 1][i] for seen in passes], 1)
    y = torch.cat([block.y for block in part.blocks])
    held_out = Columns(unseen.inputs[layer + 1][i], part.validation.y)
    batch = part.batch.above(layer)
    return taken_out(batch, [i], [part.rows[i]], Columns(fixed, y), held_out)


@contextmanager
def _without_dead_neurons(part: Part, awake: Tensor) -> Iterator[Part]:
    """Take the part's one network out with only these neurons, (width,) bool, in layer 1."""
    batch, left = part.batch, part.batch[[0]]
    left.weights[0], left.biases[0] = left.weights[0][:, awake], left.biases[0][:, awake]
    left.weights[1] = left.weights[1][:, :, awake]
    yield replace(part, batch=left)
    whole = batch[[0]]
    whole.weights[0][:, awake], whole.biases[0][:, awake] = left.weights[0], left.biases[0]
    whole.weights[1][:, :, awake] = left.weights[1]
    left.weights[:2], left.biases[0] = whole.weights[:2], whole.biases[0]
    batch[[0]] = left


@contextmanager
def _staying(part: Part, stay: list[int]) -> Iterator[Part]:
    """Take out networks of which nothing stands still."""
    batch = part.batch[stay]
    yield replace(part, batch=batch, rows=[part.rows[i] for i in stay])
    part.batch[stay] = batch
