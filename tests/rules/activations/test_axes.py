from dataclasses import replace

import pytest
from rules.builders import event, findings, skip_reasons, trace_of

from nntrace.rules import Severity

PLACE = {"file": "train.py", "line": 7}
CALL = event("loss_call", 0, function="cross_entropy", path="cross_entropy", **PLACE)


def told(**payload):
    events = [CALL, event("objective", 0, terms=[], **PLACE), event("axes", 2, **payload)]
    return findings("ACT14", trace_of(steps=20, events=events))


def test_without_the_graph_of_a_loss_nothing_is_judged():
    assert skip_reasons("ACT14", trace_of(steps=20))


def test_predictions_laid_out_without_moving_their_classes_are_an_error():
    shapes = {"shape": [16, 3, 8, 8], "result": [1024, 3], "axis": 3, "right": 1}
    [finding] = told(what="classes", **shapes)
    assert finding.level is Severity.ERROR
    assert "out.permute(0, 2, 3, 1).reshape(-1, 3)" in finding.advice
    assert finding.location.line == 7


def test_predictions_whose_classes_a_view_was_to_move_are_an_error():
    [finding] = told(what="classes", shape=[16, 12, 5], result=[16, 5, 12], axis=2, right=1)
    assert finding.level is Severity.ERROR
    assert "`out.permute(0, 2, 1)`" in finding.advice


def test_heads_cut_out_of_the_positions_are_a_warning_at_the_layer():
    shapes = {"shape": [8, 12, 24], "result": [8, 3, 12, 8], "axis": 1, "right": 2}
    [finding] = told(what="heads", **shapes, **PLACE)
    assert finding.level is Severity.WARNING
    assert "each of the 3 heads gets some of the positions" in finding.message
    assert finding.location.line == 7


def test_heads_put_together_without_moving_their_axis_are_a_warning_at_the_layer():
    shapes = {"shape": [8, 3, 12, 8], "result": [8, 12, 24], "axis": 1, "right": 2}
    [finding] = told(what="heads", **shapes, **PLACE)
    assert finding.level is Severity.WARNING
    assert "what attention returns" in finding.message
    assert finding.location.line == 7


def test_a_softmax_over_the_queries_is_a_warning_that_names_the_right_axis():
    [finding] = told(what="attention", shape=[8, 4, 12, 12], axis=2, right=3, **PLACE)
    assert finding.level is Severity.WARNING
    assert "dim=-1" in finding.advice
    assert finding.location.line == 7


def test_norms_over_another_axis_than_the_product_sums_are_a_warning():
    [finding] = told(what="norm", shape=[64, 32], axis=0, right=1, **PLACE)
    assert finding.level is Severity.WARNING
    assert "dim=-1" in finding.advice
    assert "the others of its batch" in finding.message


@pytest.mark.parametrize(("shape", "axis"), [([64, 4], 0), ([64, 15, 1], 2)])
def test_weights_of_another_axis_are_an_error_that_names_the_right_one(shape, axis):
    [finding] = told(what="weights", shape=shape, axis=axis, right=1, **PLACE)
    assert finding.level is Severity.ERROR
    assert ("each weight is 1" in finding.message) == (axis == 2)
    assert f"dim={1 - len(shape)}" in finding.advice
    assert finding.location.line == 7


def test_a_keras_user_reads_axis_and_none():
    events = [event("objective", 0, terms=[], **PLACE)]
    events.append(event("axes", 0, what="weights", shape=[-1, 24, 24], axis=0, right=2, **PLACE))
    trace = trace_of(steps=20, events=events)
    trace.manifest = replace(trace.manifest, versions={"keras": "3"})
    [finding] = findings("ACT14", trace)
    assert "weights of shape [None, 24, 24]" in finding.message
    assert "`axis=-1`" in finding.advice


def test_mixed_examples_name_the_layer_that_takes_them_along_the_second_axis():
    [finding] = told(what="examples", text="one changes another", layer="LSTM", **PLACE)
    assert "`LSTM` takes them along the second axis" in finding.message
    assert "batch_first=True" in finding.advice


def test_examples_mixed_by_a_reshape_name_no_layer():
    [finding] = told(what="examples", text="one changes another", layer="")
    assert "batch_first" not in finding.message + finding.advice


OPERATION = {"text": "one changes another", "op": "Reshape", "module": "turn", **PLACE}
TURNED = {"shape": [50, 3, 40], "result": [40, 50, 3]}


def test_a_reshape_of_a_graph_that_mixes_examples_is_named_with_its_shapes():
    [finding] = told(what="examples", **OPERATION, **TURNED)
    assert "`Reshape` in `turn`, which makes [40, 50, 3] of [50, 3, 40]" in finding.message
    assert "ops.transpose" in finding.advice
    assert finding.location.line == 7


def test_a_reduction_over_the_examples_is_told_to_take_another_axis():
    [finding] = told(what="examples", **{**OPERATION, "op": "Mean"}, **TURNED)
    assert "axis=-1" in finding.advice


def test_what_a_newer_recorder_tells_is_left_alone():
    assert told(what="time") == []


def test_a_state_carried_across_shuffled_batches_is_a_warning_at_the_layer():
    events = [event("objective", 0, terms=[], **PLACE)]
    events.append(event("carried", 4, **{"class": "LSTM"}, **PLACE))
    [finding] = findings("ACT14", trace_of(steps=20, events=events))
    assert finding.level is Severity.WARNING
    assert "the LSTM begins each batch" in finding.message
    assert finding.location.line == 7


def test_an_input_whose_axes_a_view_exchanged_is_a_warning_where_the_layer_is_called():
    laid_out = event(
        "axes",
        what="input",
        shape=[8, 4, 6],
        result=[8, 6, 4],
        layer="LSTM",
        file="train.py",
        line=12,
    )
    [finding] = findings("ACT14", trace_of(steps=5, events=[event("objective"), laid_out]))
    assert finding.level is Severity.WARNING
    assert "LSTM is given the model's input of shape [8, 4, 6]" in finding.message
    assert finding.location.line == 12
