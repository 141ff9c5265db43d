"""The random-product model: theory against both samplers, within stated sampling error."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from helpers.numerical_stability import gradients
from helpers.numerical_stability.gradients import RandomProduct

# (L, layer, N, slope, weight, output, activation); the assignment's own is the first
SETTINGS = [
    (8, 2, 64, 2.0, 2.0, 2.0, 2.0),
    (4, 2, 32, 0.5, 0.3, 1.0, 1.0),
    (4, 3, 100, 1.0, 0.1, 3.0, 0.2),
    (6, 3, 24, 0.7, 1.5, 0.1, 4.0),
    (10, 5, 48, 0.25, 0.6, 1.0, 2.0),
    (12, 2, 80, 1.0, 0.11, 1.0, 1.0),
    (5, 4, 16, 3.0, 0.01, 10.0, 0.5),
]
REPEATS = 1000
STDS = ("slope", "weight", "output", "activation")


@pytest.mark.parametrize("numbers", SETTINGS)
def test_matrices_have_the_variance_of_the_formula(numbers):
    """Within four standard errors: the spread of the ratio is known in closed form."""
    model, rng = RandomProduct(*numbers), np.random.default_rng(0)
    squares = [np.mean(gradients.sample_gradient(model, rng) ** 2) for _ in range(REPEATS)]
    ratio = np.mean(squares) / 10 ** gradients.log10_variance(model)
    assert abs(ratio - 1) < 4 * gradients.spread(model, REPEATS)
    measured = np.std(squares) / np.mean(squares) / REPEATS**0.5
    assert measured == pytest.approx(gradients.spread(model, REPEATS), rel=0.5)  # heavy tails


def test_deviations_not_given_are_1():
    assert gradients.log10_variance(RandomProduct(6, 3, 10)) == pytest.approx(3, abs=1e-12)


@pytest.mark.parametrize("numbers", SETTINGS)
def test_logarithms_have_the_variance_of_the_formula(numbers):
    model = RandomProduct(*numbers)
    sample = gradients.sample_log10(model, 4000, np.random.default_rng(1))
    found = gradients.log10_mean(sample.mean_square) - gradients.log10_variance(model)
    assert abs(10**found - 1) < 4 * gradients.spread(model, 4000)


@pytest.mark.parametrize("numbers", SETTINGS[:4])
def test_both_samplers_have_one_law(numbers):
    """Kolmogorov–Smirnov on log mean squares and on log entries: distance below its 1e-5 value."""
    model, rng = RandomProduct(*numbers), np.random.default_rng(2)
    matrices = [gradients.sample_gradient(model, rng) for _ in range(REPEATS)]
    sample = gradients.sample_log10(model, REPEATS, rng)
    for first, second in (
        (np.log10([np.mean(g**2) for g in matrices]), sample.mean_square),
        (np.log10([abs(g[0, 0]) for g in matrices]), sample.diagonal[:, 0]),
    ):
        grid = np.sort(np.concatenate([first, second]))
        below = [np.searchsorted(np.sort(x), grid, side="right") / REPEATS for x in (first, second)]
        assert np.abs(below[0] - below[1]).max() < 2.47 * (2 / REPEATS) ** 0.5
        assert first.mean() == pytest.approx(
            second.mean(), abs=5 * (2 / REPEATS) ** 0.5 * second.std()
        )


@pytest.mark.parametrize("weight", [1024.0, 0.001])
def test_out_of_range_settings_are_computed_in_logarithms(weight):
    model = RandomProduct(64, 2, 256, 2.0, weight, 2.0, 2.0)
    sample = gradients.sample_log10(model, 1000, np.random.default_rng(3))
    theory = gradients.log10_variance(model)
    assert theory == pytest.approx({1024.0: 561.722, 0.001: -183.555}[weight], abs=1e-3)
    assert np.isfinite(sample.diagonal).all()
    ratio = 10 ** (gradients.log10_mean(sample.mean_square) - theory)
    assert abs(ratio - 1) < 4 * gradients.spread(model, 1000)
    # what the naive ways make of it
    single = gradients.sample_gradient(model, np.random.default_rng(4), np.float32)
    double = gradients.sample_gradient(model, np.random.default_rng(4), np.float64)
    assert np.isfinite(double).all()
    if weight > 1:
        assert not np.isfinite(single).any()
        with np.errstate(over="ignore"):
            assert np.isinf(double**2).all()
    else:
        assert not single.any()
        assert (double**2 > 0).all()  # the sample's variance fits; the naive formula is 0
        assert np.float64(weight**2) ** (64 - 2) == 0


@given(
    L=st.integers(3, 200),
    down=st.integers(0, 197),
    N=st.integers(1, 500),
    logs=st.lists(st.floats(-6, 6), min_size=4, max_size=4),
)
def test_log_variance_is_the_logarithm_of_the_product(L, down, N, logs):
    layer = 2 + down % (L - 2)
    slope, weight, output, activation = (10**x for x in logs)
    steps = L - layer
    exact = steps * np.log10(N) + 2 * (logs[0] * (steps + 1) + logs[1] * steps + logs[2] + logs[3])
    model = RandomProduct(L, layer, N, slope, weight, output, activation)
    assert gradients.log10_variance(model) == pytest.approx(exact, abs=1e-8)


def test_a_vanishing_factor_gives_minus_infinity_without_a_warning():
    model = RandomProduct(5, 2, 8, 1.0, 0.0, 1.0, 1.0)
    assert gradients.log10_variance(model) == -np.inf
    sample = gradients.sample_log10(model, 3, np.random.default_rng(0))
    assert (sample.diagonal == -np.inf).all() and (sample.mean_square == -np.inf).all()
    assert not gradients.sample_gradient(model, np.random.default_rng(0)).any()


def test_log10_mean_far_out_of_range():
    assert gradients.log10_mean([400.0, 400.0]) == pytest.approx(400)
    assert gradients.log10_mean([-500.0, -np.inf]) == pytest.approx(-500 - np.log10(2))
    assert gradients.log10_mean(np.full((2, 3), 700.0), axis=1).shape == (2,)


def test_a_sample_is_an_outer_product():
    sample = gradients.sample_gradient(RandomProduct(*SETTINGS[1]), np.random.default_rng(9))
    assert sample.shape == (32, 32) and np.linalg.matrix_rank(sample) == 1


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        *[({"layer": layer}, f"layer is {layer} with L = 8") for layer in (1, 8)],
        ({"N": 0}, "N = 0; choose a layer from 2 to L − 1, and N at least 1"),
        *[({name: -0.1}, f"{name} is -0.1; a standard deviation is at least 0") for name in STDS],
        ({"weight": float("nan")}, "weight is nan"),
    ],
)
def test_a_number_out_of_its_range_is_refused(changes, message):
    with pytest.raises(ValueError, match=message):
        RandomProduct(**{"L": 8, "layer": 2, "N": 64, **changes})
