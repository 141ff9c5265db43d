"""What all tests share: no windows for figures, and the same examples on every run."""

import os

import matplotlib
import pytest
import torch
from hypothesis import settings
from matplotlib import pyplot as plt

os.environ.setdefault("MPLBACKEND", "Agg")
pytest.register_assert_rewrite("tests.judging")

# No time limit for one example (the first call of torch is slow); a red run can be repeated.
settings.register_profile("course", deadline=None, derandomize=True)
settings.load_profile("course")

# The tests' tensors are small: a second thread costs more than it brings.
torch.set_num_threads(1)


@pytest.fixture(autouse=True)
def style_of_its_own():
    """Every test begins with Matplotlib's own settings, whatever ran before it, and no figures."""
    matplotlib.rcdefaults()
    yield
    plt.close("all")
