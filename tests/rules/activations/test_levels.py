import numpy as np
import pytest
from rules.activations.unit_rows import FALLING, STEPS, WIDTH, layer, module, trace
from rules.builders import event, findings, site, skip_reasons, trace_of

from nntrace.rules import Severity

# ACT01


def test_a_hidden_layer_out_of_the_band_is_only_noted_in_learning_by_trial_and_error():
    events = [event("objective", n, terms=["other"], single_calls=8 * (n + 1)) for n in range(4)]
    [finding] = findings("ACT01", trace(layer("a", std=0.01), layer("head"), events=events))
    assert finding.level is Severity.INFO


def test_a_hidden_layer_out_of_the_band_is_only_noted_between_adversaries():
    rows = [row for one in (layer("a", std=0.01), layer("head")) for row in one]
    turns = trace_of(steps=20, loss=1.0, optimizer=["Adam", "Adam.2"] * 10, sites=rows)
    [finding] = findings("ACT01", turns)
    assert finding.level is Severity.INFO


@pytest.mark.parametrize(("std", "found"), [(0.019, 1), (0.021, 0), (51.0, 1), (49.0, 0), (0.0, 0)])
def test_a_hidden_layer_that_stays_out_of_the_band_is_a_warning(std, found):
    results = findings("ACT01", trace(layer("a", std=std), layer("head")))
    assert len(results) == found
    assert all(f.level is Severity.WARNING and f.site.path == "a" for f in results)


@pytest.mark.parametrize(("begin", "explained"), [(0.019, True), (0.021, False)])
def test_a_level_that_was_usual_at_first_does_not_explain_a_loss_that_stays(begin, explained):
    falling = [begin] * 2 + [0.001] * 30
    [finding] = findings("ACT01", trace(layer("a", std=falling), layer("head")))
    assert ("LOS11" in finding.explains) is explained


@pytest.mark.parametrize(("end", "found"), [(10.5, 1), (9.5, 0), (0.095, 1), (0.105, 0)])
def test_a_tenfold_drift_from_the_start_is_a_warning(end, found):
    drifting = [1.0] * 5 + [end] * 15
    results = findings("ACT01", trace(layer("a", std=drifting), layer("head")))
    assert len(results) == found
    assert all("drifted" in f.message and f.steps == (5, 19) for f in results)


@pytest.mark.parametrize(("end", "found"), [(9.0, 0), (11.0, 1)])
def test_a_drift_that_ends_nearer_to_one_is_healthy(end, found):
    drifting = [0.1] * 5 + [end] * 15
    assert len(findings("ACT01", trace(layer("a", std=drifting), layer("head")))) == found


@pytest.mark.parametrize(("end", "found"), [(0.0124, 1), (0.0126, 0)])
def test_a_level_that_comes_nearer_to_one_by_a_quarter_is_on_its_way(end, found):
    rows = trace(layer("a", std=[0.01] * 5 + [end] * 15), layer("head"))
    assert len(findings("ACT01", rows)) == found


def test_biases_that_differ_between_units_carry_no_signal():
    rising = [1e-6] * 5 + [0.5] * 15
    results = findings("ACT01", trace(layer("a", std=rising, example_std=1e-6), layer("head")))
    assert [f.site.path for f in results] == ["a"]
    assert "stays at 1e-06" in results[0].message
    assert results[0].evidence["between_examples"]
    assert results[0].evidence["std"] == pytest.approx([1e-6])


@pytest.mark.parametrize(("first", "found"), [(0.0, 0), (1e-3, 1)])
def test_a_layer_whose_weights_began_at_zero_has_no_lost_signal(first, found):
    grows = [first, *np.linspace(1e-3, 1.1e-3, 19)]
    rows = trace(layer("a", std=[0.5] * 20, example_std=grows), layer("head"))
    assert len(findings("ACT01", rows)) == found


def test_a_level_that_was_left_again_does_not_count():
    passing = [1.0] * 5 + [100.0] * 5 + [1.0] * 10
    assert not findings("ACT01", trace(layer("a", std=passing), layer("head")))


def test_a_model_that_learns_may_have_any_level():
    [finding] = findings("ACT01", trace(layer("a", std=100.0), layer("head"), loss=FALLING))
    assert finding.level is Severity.INFO


@pytest.mark.parametrize(("end", "level"), [(0.69, Severity.INFO), (0.71, Severity.WARNING)])
def test_a_model_that_learns_has_lost_three_tenths_of_its_first_loss(end, level):
    losses = [1.0] * 5 + [end] * 15
    [finding] = findings("ACT01", trace(layer("a", std=100.0), layer("head"), loss=losses))
    assert finding.level is level


def test_the_head_and_what_a_norm_takes_are_not_judged():
    norm = module("norm", "LayerNorm", std=1.0)
    rows = trace(layer("a", std=100.0), norm, layer("head", std=100.0))
    assert skip_reasons("ACT01", rows)


# ACT06


@pytest.mark.parametrize(("mean", "found"), [(3.1, 1), (2.9, 0), (-3.1, 1)])
def test_outputs_three_deviations_from_zero_are_a_warning(mean, found):
    results = findings("ACT06", trace(layer("a", mean=mean), layer("head")))
    assert len(results) == found
    assert all(f.level is Severity.WARNING and f.site.path == "a" for f in results)


@pytest.mark.parametrize(("near", "found"), [((11, 14), 1), ((11, 14, 17), 0), ((18, 19), 0)])
def test_outputs_off_zero_may_come_near_it_in_a_quarter_of_the_late_samples(near, found):
    means = [2.9 if place in near else 3.1 for place in range(20)]
    assert len(findings("ACT06", trace(layer("a", mean=means), layer("head")))) == found


def test_fewer_than_five_samples_off_zero_are_a_moment():
    means = [3.1] * 4 + [None] * 16
    assert findings("ACT06", trace(layer("a", mean=means), layer("head"))) == []


def test_outputs_off_zero_are_information_where_the_loss_says_nothing():
    taking_turns = {"optimizer": ["Adam", "Adam.2"] * (STEPS // 2)}
    [finding] = findings("ACT06", trace(layer("a", mean=9.0), layer("head"), **taking_turns))
    assert finding.level is Severity.INFO


def test_outputs_that_cannot_be_negative_have_an_offset_by_nature():
    fused = layer("a", "Dense", mean=5.0, min=0.0)
    assert skip_reasons("ACT06", trace(fused, layer("head")))
    assert findings("ACT06", trace(layer("a", mean=5.0, min=0.0), layer("head")))


def test_a_layer_of_keras_that_feeds_a_layer_holds_no_activation_function():
    def dense_before(between):
        flow = event("graph", vertices=["a", between, "head"], edges=[[0, 1], [1, 2]])
        return trace(layer("a", "Dense", mean=5.0, min=0.0), layer("head"), events=[flow])

    assert findings("ACT06", dense_before("leaky"))
    assert skip_reasons("ACT06", dense_before(":relu"))


def test_logarithms_of_a_scale_lie_where_the_scale_is():
    def before(operation):
        flow = event("graph", vertices=["a", operation, "head"], edges=[[0, 1], [1, 2]])
        return trace(layer("a", mean=-5.0), layer("head"), events=[flow])

    assert skip_reasons("ACT06", before(":exp"))
    assert findings("ACT06", before(":relu"))


@pytest.mark.parametrize(("taker", "skipped"), [(":mseloss", True), ("g", False)])
def test_the_head_of_a_model_before_another_is_a_head(taker, skipped):
    flow = event("graph", vertices=["d", taker], edges=[[0, 1]])
    rows = trace(layer("d", mean=5.0), layer("g"), layer("h"), events=[flow])
    assert [f.site.path for f in findings("ACT06", rows)] == ["d"] * (not skipped)


def test_a_bias_of_a_module_of_its_own_leaves_a_head_a_head():
    bias = [site("add.value", "param", parent="add", shape=[WIDTH], numel=WIDTH)]
    added = module("add", "AddBias", mean=5.0, std=1.0)
    flow = event("graph", vertices=["d", "add", ":mseloss"], edges=[[0, 1], [1, 2]])
    rows = trace(layer("d", mean=5.0), bias, added, layer("g"), layer("h"), events=[flow])
    assert not findings("ACT06", rows)


@pytest.mark.parametrize(("taker", "found"), [(":mseloss", 0), ("g", 1)])
def test_the_head_of_a_critic_beside_an_actor_may_grow_with_its_values(taker, found):
    flow = event("graph", vertices=["d", taker], edges=[[0, 1]])
    rows = trace(layer("d", std=[1.0] * 5 + [12.0] * 15), layer("g"), layer("h"), events=[flow])
    assert len(findings("ACT01", rows)) == found


def test_a_shift_at_the_start_only_is_none():
    passing = [5.0] * 5 + [0.0] * 15
    assert not findings("ACT06", trace(layer("a", mean=passing), layer("head")))


def test_a_shift_of_a_model_that_learns_is_information():
    [finding] = findings("ACT06", trace(layer("a", mean=5.0), layer("head"), loss=FALLING))
    assert finding.level is Severity.INFO


@pytest.mark.parametrize(("end", "level"), [(0.75, Severity.INFO), (0.9, Severity.WARNING)])
def test_so_is_one_where_the_loss_falls_steadily_towards_a_floor_that_is_not_zero(end, level):
    falling = np.linspace(1.0, end, STEPS).tolist()
    [finding] = findings("ACT06", trace(layer("a", mean=5.0), layer("head"), loss=falling))
    assert finding.level is level
