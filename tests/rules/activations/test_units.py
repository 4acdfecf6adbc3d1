import numpy as np
import pytest
from rules.activations.layer_rows import UNITS, bounded, dead, layer, plain, trace
from rules.builders import batches, event, findings, site, skip_reasons

from nntrace.rules import Severity


@pytest.mark.parametrize(
    ("fraction", "level"),
    [(0.19, None), (0.22, Severity.WARNING), (0.49, Severity.WARNING), (0.53, Severity.ERROR)],
)
def test_dead_units_are_a_warning_above_a_fifth_and_an_error_above_a_half(fraction, level):
    results = findings("ACT04", trace(layer("l"), dead(fraction)))
    assert [finding.level for finding in results] == ([level] if level else [])


@pytest.mark.parametrize(("fraction", "explained"), [(0.78, False), (0.83, True)])
def test_a_layer_of_which_a_fifth_fires_does_not_explain_a_loss_that_stays(fraction, explained):
    [finding] = findings("ACT04", trace(layer("l"), dead(fraction)))
    assert ("LOS11" in finding.explains) is explained


def test_a_layer_with_a_quarter_of_dead_units_in_a_lively_model_is_only_noted():
    rows = [layer("a"), dead(0.0, path="r1"), layer("b"), dead(0.25, path="r2")]
    [finding] = findings("ACT04", trace(*rows))
    assert finding.level is Severity.INFO


@pytest.mark.parametrize(("end", "level"), [(0.51, Severity.ERROR), (0.49, Severity.INFO)])
def test_dead_units_of_a_model_that_learns_are_only_noted(end, level):
    [finding] = findings("ACT04", trace(layer("l"), dead(0.7), loss=[1.0] * 5 + [end] * 15))
    assert finding.level is level


@pytest.mark.parametrize(
    ("share", "end", "level"),
    [
        (0.55, 0.06, Severity.INFO),
        (0.55, 0.08, Severity.ERROR),
        (0.85, 0.06, Severity.ERROR),
    ],
)
def test_units_that_die_while_the_data_is_fitted_are_only_noted(share, end, level):
    dying = dead([0.1] * 13 + [share] * 7)
    labelled = batches(20, loss_function="cross_entropy", classes=4)
    losses = [1.4] * 5 + [end] * 15  # ln 4 · 0.05 = 0.069
    [finding] = findings("ACT04", trace(layer("l"), dying, loss=losses, batches=labelled))
    assert finding.level is level


@pytest.mark.parametrize(("share", "level"), [(0.79, Severity.INFO), (0.82, Severity.ERROR)])
def test_dead_units_beside_a_network_that_makes_the_targets_are_only_noted(share, level):
    events = [event("loss_call", function="mse_loss")]
    events += [event("evaluation", step, examples=8) for step in range(20)]
    [finding] = findings("ACT04", trace(layer("l"), dead(share), events=events))
    assert finding.level is level


@pytest.mark.parametrize(
    ("share", "turns", "level"),
    [(0.79, 2, Severity.INFO), (0.82, 2, Severity.ERROR), (0.79, 1, Severity.ERROR)],
)
def test_dead_units_where_adversaries_take_turns_are_only_noted(share, turns, level):
    names = [f"Adam.{step % turns}" for step in range(20)]
    [finding] = findings("ACT04", trace(layer("l"), dead(share), loss=[1.0] * 20, optimizer=names))
    assert finding.level is level


@pytest.mark.parametrize(("late", "level"), [(0.42, Severity.WARNING), (0.39, Severity.INFO)])
def test_units_that_die_off_are_a_warning_though_the_model_learns(late, level):
    dying = dead([0.3] * 13 + [late] * 7)
    [finding] = findings("ACT04", trace(layer("l"), dying, loss=[1.0] * 5 + [0.1] * 15))
    assert finding.level is level


@pytest.mark.parametrize(("late", "level"), [(0.5, Severity.INFO), (0.55, Severity.ERROR)])
def test_up_to_half_may_die_off_while_the_loss_falls_steadily(late, level):
    dying = dead([0.3] * 13 + [late] * 7)
    falling = np.linspace(1.0, 0.1, 20).tolist()
    [finding] = findings("ACT04", trace(layer("l"), dying, loss=falling))
    assert finding.level is level


def functional(taker):
    """A layer with dead units, none of whose outputs is zero, and what takes them."""
    rows = [layer("l", min=-2.0, zero_fraction=0.0, dead_fraction=0.7), layer("m", scale=1.0)]
    graph = event("graph", vertices=["l", taker, "m"], edges=[[0, 1], [1, 2]])
    return trace(*rows, events=[graph])


def test_units_that_a_functional_relu_silences_are_dead():
    [finding] = findings("ACT04", functional(":relu"))
    assert finding.level is Severity.ERROR
    assert finding.site.path == "l"


def test_negative_outputs_that_nothing_rectifies_are_no_dead_units():
    [reason] = skip_reasons("ACT04", functional(":gelu"))
    assert "no rectified output" in reason


def test_sparse_outputs_without_dead_units_are_healthy():
    assert not findings("ACT04", trace(layer("l"), dead(0.0)))


def test_shares_of_attention_that_a_mask_sets_to_zero_are_no_units():
    masked = dead(0.7, path="drop", kind="Dropout")
    assert findings("ACT04", trace(layer("l"), masked))
    shares = dead(0.0, path="shares", kind="Softmax")
    assert skip_reasons("ACT04", trace(layer("l"), shares, masked))


@pytest.mark.parametrize(("total", "are_shares"), [(1.0, True), (1.00005, True), (1.001, False)])
def test_units_that_add_up_to_one_in_every_row_are_shares(total, are_shares):
    shares = dead(0.7, path="s", kind="Sparsemax", mean=total / UNITS)
    other = [layer("m"), dead(0.0, path="r")]
    assert bool(findings("ACT04", trace(layer("l"), shares, *other))) is not are_shares


def test_units_that_add_up_to_one_in_one_sample_are_no_shares():
    means = [1 / UNITS, *[1.1 / UNITS] * 19]
    assert findings("ACT04", trace(layer("l"), dead(0.7, mean=means)))


def test_only_the_first_rectified_output_of_a_layer_is_reported():
    rows = [layer("l"), dead(0.7), dead(0.7, path="pool", kind="MaxPool2d")]
    [finding] = findings("ACT04", trace(*rows))
    assert finding.site.path == "r"
    assert "22 of 32" in finding.message


def test_pixels_that_are_never_lit_are_no_dead_units():
    flat = dead(0.4, path="flatten", kind="Flatten")
    assert not findings("ACT04", trace(flat, layer("l"), dead(0.0)))


def test_outputs_below_zero_are_not_rectified():
    rows = [layer("l"), plain("t", "Tanh", min=-1.0, zero_fraction=0.1, dead_fraction=0.9)]
    assert skip_reasons("ACT04", trace(*rows))


def test_masked_attention_weights_are_no_dead_units():
    rows = [layer("l"), dead(0.9, kind="Softmax"), layer("m"), dead(0.0, path="r2")]
    assert not findings("ACT04", trace(*rows))


def test_units_that_wake_up_are_healthy():
    assert not findings("ACT04", trace(layer("l"), dead([*[0.8] * 10, *[0.1] * 10])))


@pytest.mark.parametrize(("last", "judged"), [(9, False), (20, True)])
def test_samples_of_the_first_half_do_not_say_which_units_never_fire(last, judged):
    sampled = [*range(5), last]
    long = trace(layer("l"), dead(0.7), steps=40, sampled=sampled)
    assert bool(skip_reasons("ACT04", long)) is not judged


def test_one_dead_unit_of_a_few_is_chance():
    assert not findings("ACT04", trace(layer("l"), dead(0.25, shape=(64, 4))))


def test_the_share_that_is_told_is_that_of_the_units_counted():
    [finding] = findings("ACT04", trace(layer("l"), dead(0.993, shape=(64, 64))))
    assert "100% of the units of `r` (64 of 64)" in finding.message


@pytest.mark.parametrize(("units", "level"), [(8, Severity.ERROR), (4, Severity.WARNING)])
def test_most_of_a_few_units_is_no_error(units, level):
    [finding] = findings("ACT04", trace(layer("l"), dead(0.75, shape=(64, units))))
    assert finding.level is level


def test_the_finding_says_since_when_units_are_dead():
    [finding] = findings("ACT04", trace(layer("l"), dead([None, *[0.1] * 9, *[0.6] * 10])))
    assert finding.steps == (10, 19)


@pytest.mark.parametrize(("fraction", "found"), [(0.51, 1), (0.49, 0)])
def test_a_hidden_tanh_at_its_ends_for_most_outputs_is_a_warning(fraction, found):
    results = findings("ACT05", trace(layer("l"), bounded(fraction), layer("head")))
    assert len(results) == found


@pytest.mark.parametrize(("late", "found"), [(5, 0), (10, 0), (11, 1)])
def test_units_that_are_at_their_ends_for_a_moment_may_come_back(late, found):
    share = [*[0.1] * (100 - late), *[0.9] * late]
    results = findings("ACT05", trace(layer("l"), bounded(share), layer("head"), steps=100))
    assert len(results) == found


def test_a_bounded_function_of_the_inputs_is_judged_before_any_layer():
    [finding] = findings("ACT05", trace(bounded(0.9), layer("l"), layer("head")))
    assert finding.site.path == "t"


def test_the_output_activation_may_be_sure():
    sure = bounded(0.95, path="out", kind="Sigmoid", low=0.0)
    assert not findings("ACT05", trace(layer("l"), bounded(0.1), layer("head"), sure))


def test_the_output_activation_alone_is_not_judged():
    assert skip_reasons("ACT05", trace(layer("l"), bounded(0.95, kind="Sigmoid", low=0.0)))


def test_a_sigmoid_gate_may_be_open_or_shut():
    gate = bounded(0.9, path="se.gate", kind="Sigmoid", low=0.0)
    rows = [layer("se.fc"), gate, plain("se", "SqueezeExcite", rms=1.0), layer("head")]
    assert skip_reasons("ACT05", trace(*rows))


def test_a_head_of_one_unit_does_not_feed_the_next_layer():
    score = bounded(0.9, path="score", kind="Sigmoid", low=0.0, shape=(64, 1))
    assert skip_reasons("ACT05", trace(layer("l"), score, layer("boxes")))


def test_a_layer_of_another_width_is_not_fed():
    other = layer("other", fans=(7, 4))
    assert skip_reasons("ACT05", trace(layer("l"), bounded(0.9), other))


def test_the_output_of_a_generator_is_not_hidden():
    alternately = [0.01, None] * 10
    steps = [
        site(f"{path}.weight", "update", parent=path, shape=[32, 32], numel=1024, rms=values)
        for path, values in (("g", alternately), ("d", alternately[::-1]))
    ]
    rows = trace(layer("g"), bounded(0.9), layer("d"), *steps)
    assert skip_reasons("ACT05", rows)


def test_a_saturation_that_passes_is_healthy():
    rows = [layer("l"), bounded([*[0.9] * 12, *[0.2] * 8]), layer("head")]
    assert not findings("ACT05", trace(*rows))


@pytest.mark.parametrize(("free", "found"), [([17], 1), ([10, 17], 0)])
def test_units_that_come_back_again_and_again_are_not_stuck(free, found):
    share = [0.3 if index in free else 0.9 for index in range(20)]
    assert len(findings("ACT05", trace(layer("l"), bounded(share), layer("head")))) == found


@pytest.mark.parametrize(("end", "found"), [(0.06, 1), (0.04, 0)])
def test_a_model_that_has_fitted_its_data_may_saturate(end, found):
    loss = [*[1.0] * 10, *[end] * 10]
    rows = [layer("l"), bounded(0.9), layer("head")]
    assert len(findings("ACT05", trace(*rows, loss=loss))) == found


def test_five_samples_are_needed_to_call_a_saturation_lasting():
    rows = [layer("l"), bounded(0.9), layer("head")]
    assert skip_reasons("ACT05", trace(*rows, steps=4))
    assert findings("ACT05", trace(*rows, steps=5))
