"""Notebook 04's fits, figures, explorer and claims."""

import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch
from torch import nn

from helpers import activations, initialization, settings
from helpers.networks import sine_mlp, sine_sizes
from helpers.numerical_stability import depth, explore, floating_point, plots, sine_fit
from helpers.plotting import use_style

BASELINE = 0.4853  # mean of sin²(10x) over the points: the loss of answering 0


@pytest.fixture(autouse=True)
def closed_figures():
    use_style()
    yield
    plt.close("all")


def normal(variance):
    return lambda fan_in, fan_out, rng: initialization.normal(fan_in, fan_out, variance**0.5, rng)


# --- floating point ------------------------------------------------------------------------------


def test_what_python_prints():
    c, d = 1e-250, 1e250
    assert 1e-10000 == 0 and 1e10000 == float("inf")
    assert c + d - d == 0 and c + (d - d) == c
    assert c * c == 0 and d * d == float("inf") and np.isnan(d * d - d * d)


@pytest.mark.parametrize(
    ("dtype", "expected"),
    [
        (torch.float64, (1.79769e308, 2.2251e-308, 4.9407e-324, 2.2204e-16)),
        (torch.float32, (3.4028e38, 1.1755e-38, 1.4013e-45, 1.1921e-07)),
        (torch.bfloat16, (3.3895e38, 1.1755e-38, 9.1835e-41, 0.0078125)),
        (torch.float16, (65504, 6.1035e-05, 5.9605e-08, 0.00097656)),
    ],
)
def test_limits_are_known_and_the_machine_agrees(dtype, expected):
    limits = floating_point.limits(dtype)
    assert np.allclose(np.log10(limits), np.log10(expected), rtol=0, atol=1e-4)
    with settings.one_thread():
        smallest = torch.tensor(limits.smallest, dtype=dtype)
        one = torch.ones((), dtype=dtype)
        assert smallest > 0 and smallest / 2 == 0
        assert one + limits.spacing > one and one + limits.spacing / 2 == one


def test_subnormals_are_flushed_where_asked_and_settings_return():
    tiny = torch.tensor([1e-40, 1.0, 0.0, -1e-39])
    assert floating_point.subnormal_share(tiny) == 0.5
    threads = torch.get_num_threads()
    torch.set_num_threads(3)
    try:
        with settings.one_thread(flush=True):
            assert torch.get_num_threads() == 1
            flushed = tiny * 1
        assert torch.get_num_threads() == 3
    finally:
        torch.set_num_threads(threads)
    assert (tiny * 1)[0] > 0  # no longer flushed
    if torch.set_flush_denormal(True):  # where the processor can
        torch.set_flush_denormal(False)
        assert flushed.tolist() == [0, 1, 0, 0]


def test_floating_points_bad_arguments_are_named():
    with pytest.raises(ValueError, match="dtype is torch.int32"):
        floating_point.limits(torch.int32)
    with pytest.raises(ValueError, match="repeats is 0"):
        floating_point.seconds(lambda: None, 0)


# --- sine fits -----------------------------------------------------------------------------------


def test_the_data_are_the_assignments():
    inputs, targets = sine_fit.sine_data()
    assert inputs.shape == (20, 2) and targets.shape == (20, 1)
    assert inputs[0].tolist() == [-1, 1] and inputs[-1, 0] == pytest.approx(0.9)
    assert torch.allclose(targets, torch.sin(10 * inputs[:, :1]))
    assert float(targets.square().mean()) == pytest.approx(BASELINE, abs=1e-4)


def test_the_network_has_no_unit_after_its_first_and_last_layer():
    kinds = [type(module).__name__ for module in sine_mlp(4, 16, "sigmoid")]
    assert kinds == ["Linear", "Linear", "Sigmoid", "Linear", "Sigmoid", "Linear"]
    sizes = [
        (m.in_features, m.out_features) for m in sine_mlp(5, 8, "tanh") if hasattr(m, "weight")
    ]
    assert sizes == [(2, 8), (8, 8), (8, 8), (8, 8), (8, 1)]
    assert all(m.bias is None for m in sine_mlp(5, 8, "tanh") if hasattr(m, "weight"))
    with pytest.raises(ValueError, match="layers is 2"):
        sine_sizes(2, 8)


@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
def test_a_stack_trains_like_single_networks(optimizer):
    stack = sine_fit.draw_stack(sine_sizes(4, 8), "xavier_normal", [3, 4])
    start = [weight.clone() for weight in stack]
    fits = sine_fit.fit(stack, torch.tanh, optimizer, lr=0.01, epochs=12, every=4)
    assert all(torch.equal(a, b) for a, b in zip(start, stack, strict=True))
    assert fits.steps.tolist() == [0, 4, 8]
    assert fits.gradients.shape == (3, 2, 4) and fits.losses.shape == (13, 2)
    make = {"sgd": torch.optim.SGD, "adam": torch.optim.Adam}[optimizer]
    inputs, targets = sine_fit.sine_data()
    for k, seed in enumerate((3, 4)):
        network = sine_mlp(4, 8, "tanh")
        initialization.initialize(network, "xavier_normal", np.random.default_rng(seed))
        optimiser = make(network.parameters(), lr=0.01)
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


def test_weights_depend_on_their_seed_alone():
    first = sine_fit.draw_stack(sine_sizes(4, 8), "kaiming_uniform", [0, 1])
    torch.manual_seed(5)
    second = sine_fit.draw_stack(sine_sizes(4, 8), "kaiming_uniform", [1])
    assert all(torch.equal(a[1], b[0]) for a, b in zip(first, second, strict=True))


def test_fits_bad_arguments_are_named():
    stack = sine_fit.draw_stack(sine_sizes(3, 4), "xavier_normal", [0])
    with pytest.raises(ValueError, match="optimizer 'adamw' unknown"):
        sine_fit.fit(stack, torch.tanh, "adamw")
    with pytest.raises(ValueError, match="lr is 0"):
        sine_fit.fit(stack, torch.tanh, lr=0)
    with pytest.raises(ValueError, match="method 'he' unknown"):
        sine_fit.draw_stack(sine_sizes(3, 4), "he", [0])


def test_zero_weights_leave_two_layers_at_gradient_zero_for_ever():
    zeros = sine_fit.draw_stack(
        sine_sizes(4, 16), lambda i, o, rng: initialization.constant(i, o), [0]
    )
    fits = sine_fit.fit(zeros, torch.sigmoid, epochs=60)
    assert not fits.gradients[:, 0, :2].any()
    assert fits.gradients[:, 0, 3].all() and fits.gradients[-1, 0, 2] > 0
    assert fits.losses[-1, 0] == pytest.approx(BASELINE, rel=0.02)


def test_deep_sigmoid_networks_have_vanishing_gradients_and_wide_shallow_ones_fit():
    shallow = sine_fit.draw_stack(sine_sizes(4, 128), normal(0.05), range(3))
    deep = sine_fit.draw_stack(sine_sizes(32, 128), normal(0.05), range(3))
    start = sine_fit.fit(deep, torch.sigmoid, epochs=1).gradients[0]
    assert (start[:, 0] < 1e-7 * start[:, -1]).all()
    start = sine_fit.fit(shallow, torch.sigmoid, epochs=1).gradients[0]
    assert (start[:, 0] > 1e-3 * start[:, -1]).all()
    fits = sine_fit.fit(shallow, torch.sigmoid, epochs=1000)
    assert np.median(fits.losses[-1]) < 0.1


def test_saturated_sigmoids_pass_nothing_back():
    stack = sine_fit.draw_stack(sine_sizes(4, 128), normal(1024), range(5))
    fits = sine_fit.fit(stack, torch.sigmoid, epochs=20)
    assert np.median(fits.losses) > 1000


def compare(unit, layers, width, seeds, epochs, lr, methods=tuple(initialization.METHODS)):
    """Return for each method the last losses of one network a seed."""
    stacks = [sine_fit.draw_stack(sine_sizes(layers, width), m, seeds) for m in methods]
    together = [torch.cat(weights) for weights in zip(*stacks, strict=True)]
    losses = sine_fit.fit(together, unit, "sgd", lr=lr, epochs=epochs).losses[-1]
    return dict(zip(methods, np.split(losses, len(methods)), strict=True))


@pytest.mark.parametrize(("unit", "width"), [(torch.tanh, 16), (torch.relu, 32)])
def test_fifty_small_steps_rank_nothing(unit, width):
    last = compare(unit, 4, width, range(60), 50, 1e-3)
    wins = np.bincount(np.argmin(list(last.values()), axis=0), minlength=4) / 60
    assert (wins > 0.1).all() and (wins < 0.45).all()
    assert all(np.median(losses) > BASELINE for losses in last.values())


def test_twenty_layers_need_kaiming():
    methods = ("xavier_normal", "kaiming_normal")
    for unit in (torch.relu, torch.tanh):
        last = compare(unit, 20, 32, range(4), 800, 1e-2, methods)
        assert last["xavier_normal"].min() > 2 * np.median(last["kaiming_normal"])
        if unit is torch.relu:
            assert last["xavier_normal"] == pytest.approx(BASELINE, rel=0.02)


def test_a_sigmoid_mapped_to_4s_minus_2_keeps_a_signal_that_s_minus_half_loses():
    rng = np.random.default_rng(0)
    x = np.linspace(-8, 8, 101)
    assert np.allclose(4 * activations.sigmoid(x) - 2, 2 * np.tanh(x / 2), atol=1e-14)
    signals = {4: rng.normal(size=(128, 8)), 1: rng.normal(size=(128, 8))}
    for _ in range(20):
        W = initialization.xavier_normal(128, 128, rng)
        signals = {k: k * (activations.sigmoid(W @ a) - 0.5) for k, a in signals.items()}
    assert np.mean(signals[4] ** 2) > 0.02
    assert np.mean(signals[1] ** 2) < 1e-22


# --- figures -------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def fits():
    stack = sine_fit.draw_stack(sine_sizes(4, 6), "xavier_normal", [0, 1, 2])
    zeros = [torch.zeros_like(weight) for weight in stack]
    return {
        "a": sine_fit.fit(stack, torch.sigmoid, epochs=21, every=5),
        "b": sine_fit.fit(zeros, torch.sigmoid, epochs=21, every=5),
    }


def test_magnitudes_show_medians_and_count_zeros():
    logs = np.random.default_rng(0).normal(-90, 1, 500)
    figure = plots.magnitudes({"small": np.append(logs, [-np.inf] * 7), "ordinary": logs + 90})
    dots = [line.get_xdata()[0] for line in figure.axes[0].lines]
    assert dots == pytest.approx([np.median(logs), np.median(logs) + 90])
    assert figure.axes[1].get_title("left") == "small, 7 zeros"
    assert sum(bar.get_height() for bar in figure.axes[1].patches) == 500
    assert all("log₁₀" in ax.get_xlabel() for ax in figure.axes)


def test_five_fits_draw_zeros_on_a_line_of_their_own(fits):
    x = np.arange(-10, 10) / 10
    figure = plots.five_fits(x, fits, BASELINE)
    axes = np.reshape(figure.axes, (3, 2))
    assert axes[0, 0].get_ylabel() == "y" and axes[1, 0].get_yscale() == "log"
    gradients = axes[2]
    assert gradients[0].get_yticklabels()[0].get_text() == "0"
    floor = gradients[0].get_yticks()[0]
    by_label = {line.get_label(): line for line in gradients[1].lines}
    assert set(by_label) == {"1", "2", "3", "4"}
    assert (by_label["1"].get_ydata() == floor).all()
    positive = fits["a"].gradients
    assert floor < positive[positive > 0].min()
    expected = np.median(positive[:, :, 3], axis=1)
    last = next(line for line in gradients[0].lines if line.get_label() == "4")
    assert last.get_ydata() == pytest.approx(expected)


def test_losses_say_how_many_diverged_and_show_the_median():
    values = np.ones((5, 4)) * [1.0, 2.0, 3.0, 4.0]
    values[3:, 3] = np.nan
    ax = plots.losses({"xavier_normal": values}, baseline=0.5)
    (line,) = [line for line in ax.lines if not line.get_label().startswith("_")]
    assert line.get_label() == "Xavier normal (1 diverged)"
    assert np.isfinite(line.get_ydata()).all() and (line.get_ydata() >= 2).all()
    assert ax.get_yscale() == "log" and ax.get_ylabel()


def test_final_losses_have_a_row_a_method_and_a_dot_a_network():
    runs = {"xavier_normal": np.array([0.5, 0.6, 0.9]), "kaiming_normal": np.array([0.4])}
    ax = plots.final_losses(runs, BASELINE)
    dots = [line for line in ax.lines if line.get_marker() == "o"]
    assert sorted(dots[0].get_xdata()) == [0.5, 0.6, 0.9] and len(dots) == 2
    assert [t.get_text() for t in ax.get_yticklabels()] == ["Xavier normal", "Kaiming normal"]
    assert ax.get_ylim() == (1.5, -0.5)


def test_depth_curves_hold_medians_and_theory():
    pair = ("tanh", 1.0)
    signal = depth.through_depth([pair], 6, 32, range(5))
    theory = {"Xavier": depth.mean_field(*pair, 6, 32)}
    _, axes = plt.subplots(1, 2)
    for ax, quantity, first in zip(axes, ("activations", "gradients"), (0, 1), strict=True):
        plots.depth_curves({"Xavier": signal[pair]}, theory, quantity, ax)
        measured, expected = ax.lines
        assert measured.get_xdata()[0] == first and measured.get_xdata()[-1] == 6
        values = getattr(signal[pair], quantity)
        assert measured.get_ydata() == pytest.approx(np.median(values, axis=0))
        assert expected.get_ydata() == pytest.approx(getattr(theory["Xavier"].typical, quantity))
    plots.label_depth_curves(axes[None])
    assert axes[0].get_ylim() == axes[1].get_ylim() and axes[1].get_ylabel() == ""
    with pytest.raises(ValueError, match="quantity 'weights' unknown"):
        plots.depth_curves({}, theory, "weights")


def test_balanced_units_label_their_curves():
    x = np.linspace(-3, 3, 31)
    ax = plots.balanced_units({"one": np.tanh(x), "two": x / 4}, x)
    assert [line.get_label() for line in ax.lines] == ["x", "one", "two"]
    assert {text.get_text() for text in ax.texts} == {"x", "one", "two"}


def test_methods_are_named_beside_the_axes():
    _, axes = plt.subplots(1, 2)
    for ax in axes:
        plots.losses({"kaiming_uniform": np.ones((3, 1))}, ax)
    plots.label_methods(axes)
    assert [t.get_text() for t in axes[1].get_legend().get_texts()] == ["Kaiming uniform"]


# --- explorer ------------------------------------------------------------------------------------


def drawn(explorer):
    return [line for ax in explorer._painter._figure.axes for line in ax.lines]


def test_the_explorer_opens_on_relu_with_xavier_fading_by_half_a_layer():
    explorer = explore.through_layers()
    assert "over 30 layers of 128 units" in explorer.sentence
    assert "(theory 9.3e-10)" in explorer.sentence
    a, theory, delta, _ = drawn(explorer)
    assert theory.get_ydata() == pytest.approx(np.log10(0.5) * np.arange(31), abs=1e-3)
    assert a.get_ydata()[-1] == pytest.approx(-9.03, abs=1)
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


def test_log_histograms_count_every_number_in_range_and_tell_the_zeros():
    rng = np.random.default_rng(0)
    signals = [10.0 ** rng.uniform(-k, 1 - k, 1000) * 0.99 for k in range(4)]
    signals[-1][:250] = 0
    counts, low, high, zeros = explore.log_histograms(signals)
    assert counts.shape == (explore.BINS, 4) and zeros == 0.25
    assert counts.max(axis=0) == pytest.approx(1)
    assert (low, high) == (-3, 1)
    places = low + (np.arange(explore.BINS) + 0.5) / explore.BINS * (high - low)
    centers = (counts * places[:, None]).sum(axis=0) / counts.sum(axis=0)
    assert centers == pytest.approx([0.5, -0.5, -1.5, -2.5], abs=0.1)
