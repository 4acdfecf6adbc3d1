import numpy as np
import pytest
from rules.builders import event, findings, run_rule, site, skip_reasons, trace_of

from nntrace.rules import Severity

UNITS = 32


def layer(path, kind="Linear", *, steps=20, fans=(UNITS, UNITS), **values):
    """A module with a weight: its parameter and its activation."""
    owner = {"module_type": kind, "parent": path, "shape": [fans[1], fans[0]], "numel": 1024}
    parameter = site(f"{path}.weight", "param", rms=0.1, fan_in=fans[0], fan_out=fans[1], **owner)
    return [parameter, plain(path, kind, **values)]


def plain(path, kind="ReLU", *, shape=(64, UNITS), **values):
    """A module without parameters. One `scale` gives its std, rms and example_std."""
    if "scale" in values:
        scale = values.pop("scale")
        values |= {"std": scale, "rms": scale, "example_std": scale}
    return site(path, "activation", module_type=kind, shape=list(shape), **values)


def norm(path):
    parameter = site(
        f"{path}.weight", "param", module_type="LayerNorm", parent=path, shape=[UNITS], numel=UNITS
    )
    return [parameter, plain(path, "LayerNorm", scale=1.0)]


def trace(*rows, steps=20, **columns):
    flat = [row for entry in rows for row in (entry if isinstance(entry, list) else [entry])]
    return trace_of(steps=steps, sites=flat, **columns)


def stack(*scales, steps=20):
    """Layers of these scales and a head."""
    layers = [layer(f"l{index}", scale=scale) for index, scale in enumerate(scales)]
    return trace(*layers, layer("head", scale=1.0), steps=steps)


# ACT02


@pytest.mark.parametrize(("last", "found"), [(0.9e-3, 1), (1.1e-3, 0)])
def test_a_signal_that_shrinks_a_thousandfold_is_a_warning(last, found):
    results = findings("ACT02", stack(1.0, 1.0, 0.03, last))
    assert len(results) == found
    assert all(f.level is Severity.WARNING and f.site.path == "l3" for f in results)


def test_a_large_bias_does_not_hide_that_the_signal_is_gone():
    gone = layer("l2", std=0.1, rms=0.1, example_std=1e-5)
    rows = [layer("l0", scale=1.0), layer("l1", scale=1.0), gone, layer("head", scale=1.0)]
    assert findings("ACT02", trace(*rows))


def test_a_zero_branch_beside_a_healthy_stream_is_no_vanishing_signal():
    rows = [layer("b.up", scale=1.0), layer("b.down", scale=1e-6), plain("b", "Block", scale=1.0)]
    assert not findings("ACT02", trace(layer("stem", scale=1.0), *rows, layer("head", scale=1.0)))


def test_a_norm_restores_a_small_signal():
    rows = [layer("l0", scale=1.0), layer("l1", scale=1e-6), norm("n"), layer("l2", scale=1.0)]
    rows += [layer("l3", scale=1.0)]
    assert not findings("ACT02", trace(*rows, layer("head", scale=1.0)))


def test_a_signal_that_comes_back_is_healthy():
    recovers = [*[1e-5] * 8, *[0.5] * 12]
    assert not findings("ACT02", stack(1.0, 1.0, recovers))


@pytest.mark.parametrize(("dead", "explained"), [((0, 0, 1), ("ACT04",)), ((0, 1, 1), ())])
def test_units_that_die_where_no_signal_comes_are_a_symptom(dead, explained):
    scales = [1.0, 1e-5, 1e-6]
    rows = [
        layer(f"l{n}", scale=scale, dead_fraction=share)
        for n, (scale, share) in enumerate(zip(scales, dead, strict=True))
    ]
    [finding] = findings("ACT02", trace(*rows, layer("head", scale=1.0)))
    assert finding.explains == finding.not_explained_by == explained


def test_outputs_that_are_exactly_constant_are_another_rules():
    assert not findings("ACT02", stack(1.0, 1.0, 0.0))


def test_a_network_without_depth_cannot_vanish():
    assert skip_reasons("ACT02", stack(1.0))


# ACT03


@pytest.mark.parametrize(("last", "found"), [(101.0, 1), (99.0, 0)])
def test_a_signal_that_grows_a_hundredfold_with_depth_is_a_warning(last, found):
    results = findings("ACT03", stack(1.0, 1.0, 10.0, last))
    assert len(results) == found
    assert all(finding.evidence["kind"] == "depth" for finding in results)


@pytest.mark.parametrize(("last", "found"), [(101.0, 1), (99.0, 0)])
def test_a_signal_that_grows_a_hundredfold_in_time_is_a_warning(last, found):
    growing = [*[1.0] * 10, *[last] * 10]
    results = findings("ACT03", stack(growing, growing, growing))
    assert len(results) == found
    assert all(f.evidence["kind"] == "time" and f.steps == (10, 19) for f in results)


@pytest.mark.parametrize(("last", "found"), [(10.5, 1), (9.5, 0)])
def test_a_tiny_signal_that_grows_in_time_comes_to_what_is_usual(last, found):
    growing = [*[1e-6] * 10, *[last] * 10]
    assert len(findings("ACT03", stack(growing, growing, growing))) == found


@pytest.mark.parametrize(("end", "found"), [(1.1, 1), (0.9, 0)])
def test_growth_in_time_while_the_loss_halves_is_healthy(end, found):
    growing = [*[1.0] * 10, *[500.0] * 10]
    loss = [*[2.0] * 10, *[end] * 10]
    rows = [layer("l0", scale=growing), layer("l1", scale=growing), layer("head", scale=1.0)]
    assert len(findings("ACT03", trace(*rows, loss=loss))) == found


def test_growing_logits_are_healthy():
    rows = [layer("l0", scale=1.0), layer("l1", scale=1.0)]
    assert not findings("ACT03", trace(*rows, layer("head", scale=[1.0, *[500.0] * 19])))


def test_the_logits_of_two_heads_are_healthy():
    rows = [layer("l0", scale=1.0), layer("l1", scale=1.0)]
    heads = [
        layer("policy", scale=500.0, fans=(UNITS, 2)),
        layer("value", scale=1.0, fans=(UNITS, 1)),
    ]
    assert not findings("ACT03", trace(*rows, *heads))


def test_the_head_of_each_of_several_models_may_grow():
    growing = [*[1.0] * 10, *[500.0] * 10]
    rows = [layer("actor", scale=1.0), layer("l1", scale=1.0), layer("critic", scale=growing)]
    rows += [layer("l2", scale=1.0), layer("head", scale=1.0)]
    assert findings("ACT03", trace(*rows))
    graph = {"vertices": ["l1", "critic", ":sub"], "edges": [[0, 1], [1, 2]]}
    assert not findings("ACT03", trace(*rows, events=[event("graph", **graph)]))


def test_a_recurrent_layer_as_wide_as_its_input_is_no_head():
    rows = [layer("l0", scale=1.0), layer("l1", scale=1.0)]
    gates = layer("lstm", scale=500.0, fans=(UNITS, 4 * UNITS))
    assert findings("ACT03", trace(*rows, gates, layer("head", scale=1.0, fans=(UNITS, 1))))


def test_a_bottleneck_before_the_head_is_no_head():
    rows = [layer("l0", scale=1.0), layer("l1", scale=1.0)]
    narrow = [
        layer("code", scale=500.0, fans=(UNITS, 2)),
        layer("wide", scale=1.0, fans=(2, UNITS)),
    ]
    assert findings("ACT03", trace(*rows, *narrow, layer("head", scale=1.0, fans=(UNITS, 1))))


def test_a_stream_that_a_last_norm_takes_back_is_healthy():
    rows = [layer("l0", scale=1.0), layer("l1", scale=1e4), norm("n")]
    rows += [layer("l2", scale=1.0), layer("l3", scale=1.0), layer("head", scale=1.0)]
    assert not findings("ACT03", trace(*rows))


def test_a_branch_that_starts_at_zero_may_grow():
    assert not findings("ACT03", stack(1.0, 1.0, [0.0, *[1.0] * 19]))


def test_an_explosion_that_was_recovered_from_is_silent():
    assert not findings("ACT03", stack(1.0, 1.0, [*[500.0] * 5, *[2.0] * 15]))


# ACT04


def dead(fraction, *, path="r", kind="ReLU", **values):
    return plain(path, kind, min=0.0, zero_fraction=0.6, dead_fraction=fraction, **values)


@pytest.mark.parametrize(
    ("fraction", "level"),
    [(0.19, None), (0.22, Severity.WARNING), (0.49, Severity.WARNING), (0.53, Severity.ERROR)],
)
def test_dead_units_are_a_warning_above_a_fifth_and_an_error_above_a_half(fraction, level):
    results = findings("ACT04", trace(layer("l"), dead(fraction)))
    assert [finding.level for finding in results] == ([level] if level else [])


def test_a_layer_with_a_quarter_of_dead_units_in_a_lively_model_is_only_noted():
    rows = [layer("a"), dead(0.0, path="r1"), layer("b"), dead(0.25, path="r2")]
    [finding] = findings("ACT04", trace(*rows))
    assert finding.level is Severity.INFO


@pytest.mark.parametrize(("end", "level"), [(0.51, Severity.ERROR), (0.49, Severity.INFO)])
def test_dead_units_of_a_model_that_learns_are_only_noted(end, level):
    [finding] = findings("ACT04", trace(layer("l"), dead(0.7), loss=[1.0] * 5 + [end] * 15))
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


# ACT05


def bounded(saturated, *, path="t", kind="Tanh", low=-1.0, **values):
    values = {"rms": 0.9, **values}
    return plain(path, kind, range_low=low, range_high=1.0, saturated_fraction=saturated, **values)


@pytest.mark.parametrize(("fraction", "found"), [(0.51, 1), (0.49, 0)])
def test_a_hidden_tanh_at_its_ends_for_most_outputs_is_a_warning(fraction, found):
    results = findings("ACT05", trace(layer("l"), bounded(fraction), layer("head")))
    assert len(results) == found


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


# all


@pytest.mark.parametrize("code", ["ACT02", "ACT03", "ACT04", "ACT05"])
@pytest.mark.parametrize("value", [None, float("nan"), float("inf"), 0.0, 1.0])
@pytest.mark.parametrize("steps", [1, 20])
def test_degenerate_activations_raise_nothing(code, value, steps):
    names = ("std", "rms", "example_std", "min", "zero_fraction", "dead_fraction")
    values = dict.fromkeys(names, value)
    rows = [layer("a", **values), bounded(value, path="t"), layer("b", **values), layer("head")]
    run_rule(code, trace(*rows, steps=steps))
    run_rule(code, trace())
