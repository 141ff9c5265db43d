"""Record how neurons die, by unit, rate and start on MNIST, for the site (`make record-neurons`).

The networks are notebook 3's, trained by the plain loop on fewer images for fewer epochs. For each
record it keeps of every hidden neuron the share of images on which its unit lets a gradient
through, so a dead neuron is a 0 and so is a saturated one. Takes 10 minutes of one processor.
"""

import argparse
import sys
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from helpers import activations, initialization
from helpers.mnist_comparison import mnist
from helpers.networks import MNIST_SIZES, mlp
from helpers.training import loss_and_accuracy

ROOT = Path(__file__).resolve().parent.parent
RECORDED = ROOT / "docs" / "site" / "recorded_runs.npz"
RATES = (0.0027, 0.0193, 0.1389, 1.0)
EPOCHS = (0, 1, 2, 3, 5, 8, 13, 21, 34, 55, 100)  # before whose step a record is taken
STARTS = "PyTorch's default", "normal, σ = 1"
FLAT = 0.005  # of the unit's steepest slope: below LeakyReLU's 0.01, which is small but no death
TRAIN, HELD_OUT, DIGITS = 2000, 1000, 20  # how many images


def passing(model: nn.Sequential, steepest: float, x: Tensor) -> np.ndarray:
    """Return for each hidden neuron the share of `x` on which its slope is not flat, in 255ths.

    A share above 0 is at least 1, so that only what never passes anything is 0.
    """
    shares = []
    for layer in model:
        if isinstance(layer, nn.Linear):
            x = layer(x)
        else:
            z = x.detach().requires_grad_()
            (slope,) = torch.autograd.grad(layer(z).sum(), z)
            shares.append((slope.abs() > FLAT * steepest).double().mean(0))
            x = layer(x)
    return np.ceil(255 * torch.cat(shares).numpy()).astype(np.uint8)


def train(model: nn.Sequential, unit: str, lr: float, split: mnist.Split, epochs: tuple) -> dict:
    """Train in place by gradient descent on the full batch; return the records by name."""
    x, y = split.train_x[:TRAIN], split.train_y[:TRAIN]
    unseen = split.validation_x[:HELD_OUT], split.validation_y[:HELD_OUT]
    steepest = float(activations.get(unit).derivative(np.linspace(-6, 6, 4001)).max())
    optimizer = torch.optim.SGD(model.parameters(), lr=lr)
    accuracy, neurons = [], []
    for epoch in range(epochs[-1] + 1):
        optimizer.zero_grad()
        if epoch in epochs:
            with torch.no_grad():
                logits = model(unseen[0])
                right = loss_and_accuracy(logits, unseen[1])[1]
                accuracy.append(right if logits.isfinite().all() else np.nan)  # diverged
            neurons.append(passing(model, steepest, unseen[0]))
        if epoch < epochs[-1]:
            F.cross_entropy(model(x), y).backward()
            optimizer.step()
    return {"accuracy": np.array(accuracy, np.float32), "neurons": neurons}


def wide(fan_in: int, fan_out: int, rng: np.random.Generator) -> np.ndarray:
    """Return N(0, 1) weights, (fan_out, fan_in): far too large for a network of this size."""
    return initialization.normal(fan_in, fan_out, 1.0, rng)


def record(split: mnist.Split, epochs: tuple = EPOCHS, rates: tuple = RATES) -> dict:
    """Return arrays by name; the first axes are start, unit and rate."""
    found: dict[str, list] = {"accuracy": [], "neurons": []}
    for start in STARTS:
        for unit in activations.UNITS:
            for lr in rates:
                torch.manual_seed(0)
                model = mlp(MNIST_SIZES, unit)
                if start != STARTS[0]:
                    rng = np.random.default_rng(0)
                    initialization.initialize(model, wide, rng)
                run = train(model, unit, lr, split, epochs)
                for name, values in found.items():
                    values.append(run[name])
                print(f"{start!a}, {unit}, {lr}: {run['accuracy'][-1]:.3f}", flush=True)
    grid = len(STARTS), len(activations.UNITS), len(rates)
    arrays = {name: np.array(all_) for name, all_ in found.items()}
    arrays = {name: array.reshape(*grid, *array.shape[1:]) for name, array in arrays.items()}
    return arrays | {
        "starts": np.array(STARTS),
        "units": np.array(activations.UNITS),
        "rates": np.array(rates),
        "epochs": np.array(epochs),
        "validation_y": split.validation_y.numpy().astype(np.uint8),
        "digits": split.test_x[:DIGITS].numpy().astype(np.uint8),
        "digits_y": split.test_y[:DIGITS].numpy().astype(np.uint8),
    }


def main(arguments: list[str] | None = None) -> int:
    """Record all runs on real MNIST and write them; return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--to", type=Path, default=RECORDED, help="file to write")
    options = parser.parse_args(arguments)
    data = mnist.load()
    if not data.is_real:
        print("The records are of real MNIST, which was not found: set MNIST_DIR.", file=sys.stderr)
        return 1
    np.savez_compressed(options.to, **record(mnist.split(data)))
    print(f"{options.to}: {options.to.stat().st_size / 1000:.0f} kB")
    return 0


if __name__ == "__main__":
    sys.exit(main())
