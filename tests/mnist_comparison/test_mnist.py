"""The stand-in, the split and the titles; on the real data too where MNIST_DIR names them."""

import dataclasses
import os
import subprocess
import sys

import numpy as np
import pytest
import torch

from helpers.mnist_comparison import mnist, standin

REAL = os.environ.get("MNIST_DIR")
needs_real = pytest.mark.skipif(not REAL, reason="MNIST_DIR names no folder with MNIST")


@pytest.fixture(scope="module")
def digits():
    return mnist.stand_in()


def numbered(train=50, test=20):
    """Data whose first pixel, second pixel and label tell where each image came from."""
    images = np.zeros((train + test, 28, 28), dtype=np.uint8)
    images[:, 0, 0] = images[:, 0, 1] = np.arange(train + test)
    labels = np.arange(train + test) % 10
    parts = (images[:train], labels[:train], images[train:], labels[train:])
    return mnist.Mnist(*parts, source="MNIST", is_real=True, digest="0" * 64)


# --- the stand-in ---


def test_stand_in_has_the_protocols_sizes_and_every_digit_about_equally_often(digits):
    for images, labels, count in (
        (digits.train_images, digits.train_labels, 12000),
        (digits.test_images, digits.test_labels, 10000),
    ):
        assert images.shape == (count, 28, 28) and images.dtype == np.uint8
        assert labels.shape == (count,) and labels.dtype == np.int64
        assert np.bincount(labels, minlength=10).shape == (10,)
        assert np.bincount(labels).min() > count / 12


def test_stand_in_looks_like_mnist_in_its_grey_levels(digits):
    """White on black with soft edges and room around; MNIST: mean 33.6, 13 % of pixels bright."""
    images = digits.train_images
    assert 30 < images.mean() < 45
    assert 0.10 < (images > 127).mean() < 0.18
    assert images.min() == 0 and images.max() == 255
    grey = (images > 0) & (images < 255)
    assert 0.03 < grey.mean() < 0.30
    assert images[:, :2].mean() < 2 and images[:, :, :2].mean() < 2
    ink = images.astype(float).mean(axis=0)
    row, column = np.indices(ink.shape)
    assert abs((row * ink).sum() / ink.sum() - 13.5) < 0.5
    assert abs((column * ink).sum() / ink.sum() - 13.5) < 0.5


def test_stand_in_depends_on_its_arguments_alone():
    """Not on the process, and not on the global random state, which it leaves alone."""
    before, torch_before = np.random.get_state()[1].copy(), torch.get_rng_state()
    first, again, other = (mnist.stand_in(seed, train=600, test=200) for seed in (1, 1, 2))
    assert first.digest == again.digest != other.digest
    np.testing.assert_array_equal(first.test_images, again.test_images)
    np.testing.assert_array_equal(np.random.get_state()[1], before)
    assert torch.equal(torch.get_rng_state(), torch_before)
    code = """
import numpy as np
from helpers.mnist_comparison import standin
print(standin.draw(50, np.random.default_rng(1))[0].sum(axis=(1, 2)).tolist())
"""
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    ink = standin.draw(50, np.random.default_rng(1))[0].sum(axis=(1, 2)).tolist()
    assert told.stdout == f"{ink}\n"


def test_stand_in_can_be_learned_but_not_at_a_glance(digits):
    """Nearest class mean: 82 % of MNIST's test images; well above chance, well below a network."""
    x, y = (digits.train_images.reshape(-1, 784).astype(float), digits.train_labels)
    means = np.stack([x[y == digit].mean(axis=0) for digit in range(10)])
    test = digits.test_images.reshape(-1, 784).astype(float)
    nearest = ((means**2).sum(axis=1) - 2 * test @ means.T).argmin(axis=1)
    assert 0.6 < (nearest == digits.test_labels).mean() < 0.9


# --- the split ---


def test_split_of_the_protocol_is_9600_2400_10000(digits):
    parts = mnist.split(digits)
    for name, count in (("train", 9600), ("validation", 2400), ("test", 10000)):
        x, y = getattr(parts, f"{name}_x"), getattr(parts, f"{name}_y")
        assert x.shape == (count, 784) and x.dtype == torch.float32
        assert y.shape == (count,) and y.dtype == torch.int64


def test_the_last_fifth_validates_and_pixels_are_not_scaled():
    data = numbered()
    parts = mnist.split(data, used=40)
    assert parts.train_x[:, 0].tolist() == list(range(32))
    assert parts.validation_x[:, 0].tolist() == list(range(32, 40))
    assert parts.test_x[:, 0].tolist() == list(range(50, 70))
    assert parts.validation_y.tolist() == [n % 10 for n in range(32, 40)]
    assert parts.train_y.tolist() == [n % 10 for n in range(32)]
    assert parts.test_y.tolist() == [n % 10 for n in range(50, 70)]
    assert parts.train_x[5, 1] == 5 and parts.train_x[5, 28] == 0  # row by row


def test_split_is_a_copy():
    data = numbered()
    parts = mnist.split(data, used=50)
    parts.train_x.zero_()
    parts.train_y.zero_()
    assert data.train_images[5, 0, 0] == 5 and data.train_labels[5] == 5


@pytest.mark.parametrize("used", [4, 51, -5])
def test_split_refuses_a_number_of_images_that_is_not_there(used):
    with pytest.raises(ValueError, match=rf"used is {used}; give a number from 5 to 50"):
        mnist.split(numbered(), used=used)


# --- what the data are called ---


def test_titles_and_representations_never_pass_the_stand_in_off_as_mnist(digits):
    for data in (digits, mnist.split(digits)):
        assert data.title("Six images") == "Six images (stand-in digits, not MNIST)"
        assert "not MNIST" in data.source and data.source in repr(data)
        assert data.digest == digits.digest and not data.is_real
        assert repr(data).isascii() and "\n" not in repr(data)
    assert "12,000 training and 10,000 test images" in repr(digits)
    assert "9,600 / 2,400 / 10,000" in repr(mnist.split(digits))


def test_mnist_keeps_its_titles_and_cannot_be_exchanged_by_accident():
    for data in (numbered(), mnist.split(numbered(), used=40)):
        assert data.title("Six images") == "Six images"
        with pytest.raises(dataclasses.FrozenInstanceError):
            data.source = "other"


# --- the real data ---


@needs_real
def test_real_mnist():
    data = mnist.load()
    assert data.is_real and data.source == "MNIST"
    assert data.train_images.shape == (60000, 28, 28) and data.test_images.shape == (10000, 28, 28)
    assert data.train_labels[:6].tolist() == [5, 0, 4, 1, 9, 2]
    assert data.test_labels[:6].tolist() == [7, 2, 1, 0, 4, 1]
    parts = mnist.split(data)
    np.testing.assert_array_equal(parts.validation_y, data.train_labels[9600:12000])
    np.testing.assert_array_equal(parts.train_x[0].numpy(), data.train_images[0].ravel())
