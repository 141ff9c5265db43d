"""Notebook 04's fits, figures, explorer and claims."""

import numpy as np
import pytest
import torch
from torch import nn

from helpers import activations, initialization
from helpers.numerical_stability import depth, explore, plots, sine_fit
from helpers.numerical_stability.sine_fit import sine_mlp
from helpers.plotting import use_style
from helpers.settings import one_thread

BASELINE = 0.4853  # mean of sin²(10x) over the points: the loss of answering 0


@pytest.fixture(autouse=True)
def style():
    use_style()


def normal(variance):
    return lambda fan_in, fan_out, rng: initialization.normal(fan_in, fan_out, variance**0.5, rng)


def draw_stack(layers, width, draw, seeds):
    return initialization.draw_stack(sine_fit.widths(layers, width), draw, seeds)


def test_subnormals_are_flushed_where_asked_and_settings_return():
    tiny, threads = torch.tensor([1e-40, 1.0, 0.0, -1e-39]), torch.get_num_threads()
    torch.set_num_threads(3)
    try:
        with one_thread(flush=True):
            assert torch.get_num_threads() == 1
            flushed = tiny * 1
        assert torch.get_num_threads() == 3
    finally:
        torch.set_num_threads(threads)
    assert (tiny * 1)[0] > 0  # no longer flushed
    if torch.set_flush_denormal(True):  # where the processor can
        torch.set_flush_denormal(False)
        assert flushed.tolist() == [0, 1, 0, 0]


# --- sine fits -----------------------------------------------------------------------------------


def test_the_data_are_the_assignments():
    inputs, targets = sine_fit.sine_data()
    assert inputs.shape == (20, 2) and targets.shape == (20, 1)
    assert inputs[0].tolist() == [-1, 1] and inputs[-1, 0] == pytest.approx(0.9)
    assert torch.allclose(targets, torch.sin(10 * inputs[:, :1]))
    assert float(targets.square().mean()) == pytest.approx(BASELINE, abs=1e-4)


def test_the_network_has_no_biases_and_no_unit_after_its_first_and_last_layer():
    network = sine_mlp(4, 16, "sigmoid")
    kinds = [type(module).__name__ for module in network]
    assert kinds == ["Linear", "Linear", "Sigmoid", "Linear", "Sigmoid", "Linear"]
    sizes = [tuple(weight.shape) for weight in network.parameters()]
    assert sizes == [(16, 2), (16, 16), (16, 16), (1, 16)]


@pytest.mark.parametrize("optimizer", [torch.optim.SGD, torch.optim.Adam])
def test_a_stack_trains_like_single_networks(optimizer):
    stack = draw_stack(4, 8, "xavier_normal", [3, 4])
    fits = sine_fit.fit(stack, torch.tanh, optimizer, lr=0.01, epochs=12, every=4)
    assert fits.steps.tolist() == [0, 4, 8]
    assert fits.gradients.shape == (3, 2, 4) and fits.losses.shape == (13, 2)
    inputs, targets = sine_fit.sine_data()
    for k, seed in enumerate((3, 4)):
        network = sine_mlp(4, 8, "tanh")
        initialization.initialize(network, "xavier_normal", np.random.default_rng(seed))
        optimiser = optimizer(network.parameters(), lr=0.01)
        for step in range(12):
            optimiser.zero_grad()
            loss = nn.functional.mse_loss(network(inputs), targets)
            loss.backward()
            assert loss.item() == pytest.approx(fits.losses[step, k], rel=1e-4)
            if step % 4 == 0:
                sizes = [p.grad.abs().mean().item() for p in network.parameters()]
                assert sizes == pytest.approx(fits.gradients[step // 4, k], rel=1e-3)
            optimiser.step()
        assert np.allclose(network(inputs)[:, 0].detach(), fits.predictions[k], atol=1e-4)


def test_two_layers_are_too_few():
    with pytest.raises(ValueError, match="layers is 2"):
        sine_mlp(2, 8, "tanh")


def test_zero_weights_leave_two_layers_at_gradient_zero_for_ever():
    zeros = draw_stack(4, 16, lambda i, o, rng: initialization.constant(i, o), [0])
    fits = sine_fit.fit(zeros, torch.sigmoid, epochs=60)
    assert not fits.gradients[:, 0, :2].any()
    assert fits.gradients[:, 0, 3].all() and fits.gradients[-1, 0, 2] > 0
    assert fits.losses[-1, 0] == pytest.approx(BASELINE, rel=0.02)


def test_deep_sigmoid_networks_have_vanishing_gradients_and_wide_shallow_ones_fit():
    deep = draw_stack(32, 128, normal(0.05), range(3))
    start = sine_fit.fit(deep, torch.sigmoid, epochs=1).gradients[0]
    assert (start[:, 0] < 1e-7 * start[:, -1]).all()
    shallow = draw_stack(4, 128, normal(0.05), range(3))
    fits = sine_fit.fit(shallow, torch.sigmoid, epochs=1000)
    assert (fits.gradients[0, :, 0] > 1e-3 * fits.gradients[0, :, -1]).all()
    assert np.median(fits.losses[-1]) < 0.1


def test_saturated_sigmoids_pass_nothing_back():
    stack = draw_stack(4, 128, normal(1024), range(5))
    fits = sine_fit.fit(stack, torch.sigmoid, epochs=20)
    assert np.median(fits.losses) > 1000


def test_residual_layers_add_to_what_they_get():
    stack = draw_stack(4, 8, "xavier_normal", [0])
    fits = sine_fit.fit(stack, torch.tanh, torch.optim.SGD, 0.01, 1, branch=0.5)
    first, second, third, last = (torch.tensor(weight[0]) for weight in stack)
    inputs, targets = sine_fit.sine_data()
    a = inputs.double() @ first.T
    for weight in (second, third):
        a = a + 0.5 * torch.tanh(a) @ weight.T
    loss = (a @ last.T - targets).square().mean()
    assert fits.losses[0, 0] == pytest.approx(loss.item(), rel=1e-5)


@pytest.mark.parametrize(("unit", "width"), [(torch.tanh, 16), (torch.relu, 32)])
def test_fifty_small_steps_rank_nothing(unit, width):
    losses = sine_fit.compare(unit, 4, width, range(60), 100, lr=1e-3)
    assert list(losses) == list(initialization.METHODS)
    for law in ("normal", "uniform"):  # Kaiming starts higher, is nearly level at 50, then ahead
        ahead = losses[f"kaiming_{law}"] - losses[f"xavier_{law}"]
        assert np.mean(ahead[0] > 0) > 0.9 and np.mean(ahead[50] < ahead[0]) > 0.9
        assert 0.005 < ahead[50].mean() < 0.02 and -0.03 < ahead[100].mean() < 0
    last = np.array([each[50] for each in losses.values()])
    wins = np.bincount(np.argmin(last, axis=0), minlength=4) / 60
    assert (wins > 0.1).all() and (wins < 0.45).all()
    assert (np.median(last, axis=1) > BASELINE).all()


@pytest.mark.parametrize("unit", [torch.relu, torch.tanh])
def test_twenty_layers_need_kaiming(unit):
    losses = sine_fit.compare(unit, 20, 32, range(4), 800, lr=1e-2)
    xavier, kaiming = losses["xavier_normal"][-1], losses["kaiming_normal"][-1]
    assert xavier.min() > 2 * np.median(kaiming)
    if unit is torch.relu:
        assert xavier == pytest.approx(BASELINE, rel=0.02)


# --- figures -------------------------------------------------------------------------------------


def labelled(ax):
    """Return the axes' lines that have a label, by label."""
    return {line.get_label(): line for line in ax.lines if not line.get_label().startswith("_")}


def test_magnitudes_show_medians_and_histograms():
    logs = np.random.default_rng(0).normal(-90, 1, 500)
    figure = plots.magnitudes({"small": logs, "ordinary": logs + 90})
    dots = [line.get_xdata()[0] for line in figure.axes[0].lines]
    assert dots == pytest.approx([np.median(logs), np.median(logs) + 90])
    assert figure.axes[1].get_title("left") == "small"
    assert sum(bar.get_height() for bar in figure.axes[1].patches) == 500
    assert all("log₁₀" in ax.get_xlabel() for ax in figure.axes)


def test_five_fits_draw_zeros_below_the_smallest_gradient():
    stack = draw_stack(4, 6, "xavier_normal", [0, 1, 2])
    runs = {
        name: sine_fit.fit(weights, torch.sigmoid, epochs=21, every=5)
        for name, weights in {"a": stack, "b": [0 * weight for weight in stack]}.items()
    }
    figure = plots.five_fits(np.arange(-10, 10) / 10, runs, BASELINE)
    axes = np.reshape(figure.axes, (3, 2))
    assert axes[0, 0].get_ylabel() == "y" and axes[1, 0].get_yscale() == "log"
    zeros, gradients = labelled(axes[2, 1]), runs["a"].gradients
    assert set(zeros) == {"1, 2", "3", "4"} and not zeros["1, 2"].get_ydata().any()
    expected = np.median(gradients[:, :, 3], axis=1)
    assert labelled(axes[2, 0])["4"].get_ydata() == pytest.approx(expected)
    low, floor = axes[2, 0].transData.transform([(0, 0), (0, gradients[gradients > 0].min())])[:, 1]
    assert axes[2, 0].bbox.y0 < low < floor - 10, "0 is on the axes, and clear of what is not 0"


def test_losses_say_how_many_diverged_and_show_the_median():
    values = np.ones((5, 4)) * [1.0, 2.0, 3.0, 4.0]
    values[3:, 3] = np.nan
    (ax,) = plots.losses({"ReLU": {"xavier_normal": values}}, 0.5, "4 seeds").axes
    line = labelled(ax)["Xavier normal (1 diverged)"]
    assert line.get_ydata() == pytest.approx(2.5)
    assert ax.get_title("left") == "ReLU, 4 seeds" and ax.get_yscale() == "log"
    (name,) = ax.get_legend().get_texts()
    assert name.get_text() == "Xavier normal (1 diverged)"


def test_final_losses_have_a_row_a_method_and_a_dot_a_network():
    runs = {
        "xavier_normal": np.array([[9, 9, 9], [0.5, 0.6, 0.9]]),
        "kaiming_normal": np.ones((2, 1)),
    }
    (ax,) = plots.final_losses({"ReLU": runs}, BASELINE, "3 seeds").axes
    dots = [sorted(line.get_xdata()) for line in ax.lines if line.get_marker() == "o"]
    assert dots == [[0.5, 0.6, 0.9], [1.0]]
    assert [t.get_text() for t in ax.get_yticklabels()] == ["Xavier normal", "Kaiming normal"]
    assert "ReLU Xavier normal 0.6; ReLU Kaiming normal 1" in ax.figure.get_label()


def test_depth_curves_hold_medians_and_theory():
    pair = ("tanh", 1.0)
    (signal,) = depth.through_depth([pair], 6, 32, range(5)).values()
    theory = depth.mean_field(*pair, 6, 32).typical
    figure = plots.depth_curves({"Tanh": {"Xavier": (signal, theory)}})
    for ax, quantity, first in zip(figure.axes, ("activations", "gradients"), (0, 1), strict=True):
        measured, expected = ax.lines
        way = -1 if first else 1  # δ goes back, and so does its axis
        assert measured.get_xdata().tolist() == list(range(first, 7))[::way]
        assert ax.get_xlim()[::way] == tuple(sorted(ax.get_xlim()))
        values = getattr(signal, quantity)
        assert measured.get_ydata() == pytest.approx(np.median(values, axis=0)[::way])
        assert expected.get_ydata() == pytest.approx(getattr(theory, quantity)[::way])
        assert [text.get_text() for text in ax.texts] == ["Xavier"] and ax.get_ylabel()
    told = [np.median(signal.activations[:, -1]), np.median(signal.gradients[:, 0])]
    assert all(f"Tanh, Xavier: {value:.3g} (" in figure.get_label() for value in told)


def test_cosines_and_sizes_draw_medians_by_layer():
    values, theory = np.array([[0.3, 0.5, 0.7], [0.3, 0.6, 0.9]]), np.array([0.3, 0.5, 0.75])
    figure = plots.cosines({"ReLU": {"κ = 2": (values, theory)}})
    measured, expected = figure.axes[0].lines
    assert measured.get_ydata() == pytest.approx([0.3, 0.55, 0.8])
    assert expected.get_ydata() == pytest.approx(theory)
    assert measured.get_xdata().tolist() == [0, 1, 2] and "0.8 (0.75)" in figure.get_label()
    figure = plots.sizes({"by gain": {"gelu": values}, "by data": {"gelu": 2 * values}})
    assert [ax.lines[0].get_ydata()[-1] for ax in figure.axes] == pytest.approx([0.8, 1.6])
    assert "by data, gelu 1.6" in figure.get_label()


def test_balanced_units_label_their_curves():
    x = np.linspace(-3, 3, 31)
    (ax,) = plots.balanced_units({"one": np.tanh(x), "two": x / 4}, x).axes
    assert {text.get_text() for text in ax.texts} == set(labelled(ax)) == {"x", "one", "two"}


# --- explorer ------------------------------------------------------------------------------------


def drawn(explorer):
    return [line for ax in explorer._painter._figure.axes for line in ax.lines]


def test_the_explorer_opens_on_relu_with_xavier_fading_by_half_a_layer():
    explorer = explore.through_layers()
    assert "over 50 layers of 128 units" in explorer.sentence
    assert "(theory 8.9e-16)" in explorer.sentence
    a, theory, delta, _ = drawn(explorer)
    assert theory.get_ydata() == pytest.approx(np.log10(0.5) * np.arange(51), abs=1e-3)
    assert a.get_ydata()[-1] == pytest.approx(-15.05, abs=1.5)
    assert delta.get_xdata()[0] == 1 and delta.get_ydata()[-1] == 0


@pytest.mark.parametrize("end", [0, -1])
@pytest.mark.parametrize("unit", activations.UNITS)
def test_the_explorer_draws_at_both_ends_of_every_control(unit, end):
    explorer = explore.through_layers()
    explorer.controls["unit"].value = unit
    before = explorer._picture.value
    for name in ("scale", "width"):
        explorer.controls[name].value = explorer.controls[name].options[end]
    slider = explorer.controls["layers"]
    slider.value = (slider.min, slider.max)[end]
    for method in initialization.METHODS:
        explorer.controls["method"].value = method
        assert not explorer.sentence.startswith("!"), explorer.sentence
        assert all(np.isfinite(line.get_ydata()).all() for line in drawn(explorer))
        assert all(
            len(line.get_ydata()) in (slider.value, slider.value + 1) for line in drawn(explorer)
        )
    assert explorer._picture.value != before


def test_log_histograms_count_every_number_in_range():
    rng = np.random.default_rng(0)
    signals = [10.0 ** rng.uniform(-k, 1 - k, 1000) * 0.99 for k in range(4)]
    signals[-1][:250] = 0
    counts, low, high = explore.log_histograms(signals)
    assert counts.shape == (explore.BINS, 4) and (low, high) == (-3, 1)
    assert counts.max(axis=0) == pytest.approx(1)
    places = low + (np.arange(explore.BINS) + 0.5) / explore.BINS * (high - low)
    centers = (counts * places[:, None]).sum(axis=0) / counts.sum(axis=0)
    assert centers == pytest.approx([0.5, -0.5, -1.5, -2.5], abs=0.1)
