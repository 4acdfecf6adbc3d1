import json
import math

import pytest
from rules.builders import batch, event, findings, site, trace_of

from nntrace.rules import Severity
from nntrace.trace import Trace

CLEAN = 0.0


def network(**broken):
    """The sites of a two-layer network; keywords give their non-finite fractions by step."""

    def at(name):
        return broken.get(name, CLEAN)

    return [
        site("input.0", "input", nonfinite_fraction=at("input")),
        site("fc1", "activation", module_type="Linear", nonfinite_fraction=at("fc1")),
        site("fc2", "activation", module_type="Linear", nonfinite_fraction=at("fc2")),
        site("mse_loss", "output", nonfinite_fraction=at("output")),
        site("fc1.weight", "param", nonfinite_fraction=at("param")),
        site("fc1.weight", "param_grad", nonfinite_fraction=at("grad1")),
        site("fc2.weight", "param_grad", nonfinite_fraction=at("grad2")),
        site("fc1.weight", "update", nonfinite_fraction=at("update")),
    ]


FROM_2 = [CLEAN, CLEAN, 0.25]
FROM_3 = [CLEAN, CLEAN, CLEAN, 1.0]
NAN_FROM_2 = [1.0, 1.0, math.nan, math.nan]


def test_a_finite_run_is_healthy():
    assert findings("NUM01", trace_of(loss=[1.0] * 4, sites=network())) == []


def test_classes_that_are_forbidden_are_no_broken_predictions():
    masked = network(output=[0.25] * 4)
    told = {"role": "output", "site": "mse_loss", "nan": False}
    forbidden = [event("nonfinite", **told)]
    assert findings("NUM01", trace_of(loss=[1.0] * 4, sites=masked, events=forbidden)) == []
    [finding] = findings("NUM01", trace_of(loss=NAN_FROM_2, sites=masked, events=forbidden))
    assert finding.steps == (2, 3)
    broken = [event("nonfinite", **{**told, "nan": True})]
    [finding] = findings("NUM01", trace_of(loss=[1.0] * 4, sites=masked, events=broken))
    assert finding.steps == (0, 3)


@pytest.mark.parametrize(
    ("trainable", "nan", "found"), [(False, False, 0), (True, False, 1), (False, True, 1)]
)
def test_a_frozen_parameter_may_hold_the_infinities_of_a_mask(trainable, nan, found):
    constant = site("att.low", "param", nonfinite_fraction=[1.0], requires_grad=trainable)
    told = event("nonfinite", role="param", site="att.low", nan=nan)
    trace = trace_of(loss=[1.0] * 4, sites=[*network(), constant], events=[told])
    assert len(findings("NUM01", trace)) == len(findings("NUM09", trace)) == found


def test_the_first_broken_activation_is_named_with_its_step():
    sites = network(fc2=FROM_2, output=FROM_2, grad1=FROM_2, grad2=FROM_2, param=FROM_3)
    [finding] = findings("NUM01", trace_of(loss=NAN_FROM_2, sites=sites))
    assert (finding.site.path, finding.evidence["role"]) == ("fc2", "activation")
    assert finding.steps == (2, 3)
    assert finding.level is Severity.ERROR


def test_attention_may_be_the_first_that_broke():
    sites = [*network(output=FROM_2), site("attn", "attention", nonfinite_fraction=FROM_2)]
    [finding] = findings("NUM01", trace_of(loss=NAN_FROM_2, sites=sites))
    assert finding.site.path == "attn"
    assert "the attention of `attn`" in finding.message


def test_broken_inputs_come_before_what_they_infect():
    sites = network(input=FROM_2, fc1=FROM_2, fc2=FROM_2, output=FROM_2)
    [finding] = findings("NUM01", trace_of(loss=NAN_FROM_2, sites=sites))
    assert finding.site.path == "input.0"
    assert "data" in finding.message


def test_a_broken_gradient_of_a_finite_loss_is_named_in_backward_order():
    sites = network(grad1=FROM_2, grad2=FROM_2, update=FROM_2, param=FROM_3, fc1=FROM_3)
    trace = trace_of(loss=[1.0, 1.0, 1.0, math.nan], sites=sites)
    [finding] = findings("NUM01", trace)
    assert (finding.site.path, finding.evidence["role"]) == ("fc2.weight", "param_grad")
    assert "only gradients" in finding.message
    assert finding.level is Severity.ERROR


def test_gradients_that_break_without_reaching_loss_or_parameters_are_a_warning():
    [finding] = findings("NUM01", trace_of(loss=[1.0] * 4, sites=network(grad2=[0.0, 0.5, 0.0])))
    assert finding.level is Severity.WARNING


def test_a_broken_update_of_finite_gradients_is_named():
    sites = network(update=FROM_2, param=FROM_3, fc1=FROM_3)
    [finding] = findings("NUM01", trace_of(loss=[1.0] * 3 + [math.nan], sites=sites))
    assert finding.evidence["role"] == "update"


def test_a_broken_update_of_finite_gradients_is_the_optimizers_and_no_early_nan():
    trace = trace_of(
        loss=[1.0] * 3 + [math.nan], sites=network(update=FROM_2, param=FROM_3, fc1=FROM_3)
    )
    [finding] = findings("NUM04", trace)
    assert (finding.steps[0], finding.evidence["role"]) == (2, "update")
    assert findings("NUM09", trace) == []


def test_a_broken_gradient_is_not_the_optimizers():
    sites = network(grad1=FROM_2, update=FROM_2, param=FROM_3)
    assert findings("NUM04", trace_of(loss=[1.0] * 3 + [math.nan], sites=sites)) == []


def test_a_parameter_broken_between_samples_comes_before_the_activations():
    sites = network(param=FROM_2, fc1=FROM_2, fc2=FROM_2, output=FROM_2)
    [finding] = findings("NUM01", trace_of(loss=NAN_FROM_2, sites=sites))
    assert finding.evidence["role"] == "param"
    assert "earlier" in finding.message


def test_a_broken_loss_of_finite_predictions_points_at_the_loss():
    sites = network(grad1=FROM_2, grad2=FROM_2)
    [finding] = findings("NUM01", trace_of(loss=NAN_FROM_2, sites=sites))
    assert finding.site is None
    assert "look at the loss" in finding.message


def test_of_a_run_without_activations_and_predictions_none_is_said_to_be_finite():
    sites = [site for site in network(grad1=FROM_2) if site["role"].startswith("param")]
    [finding] = findings("NUM01", trace_of(loss=NAN_FROM_2, sites=sites))
    assert "Nothing of the forward pass is seen" in finding.message


def test_a_step_that_was_not_sampled_is_said_to_be_unseen():
    sites = network(param=[CLEAN, 1.0], fc1=[CLEAN, 1.0])
    loss = [1.0] * 5 + [math.inf] * 6
    [finding] = findings("NUM01", trace_of(loss=loss, sampled=[0, 10], sites=sites))
    assert finding.steps[0] == 5
    assert "not sampled; at step 10 the parameter `fc1.weight`" in finding.message


def test_infinite_attention_masks_are_healthy():
    sites = network(input=0.5, fc1=0.5)
    assert findings("NUM01", trace_of(loss=[1.0] * 4, sites=sites)) == []


def test_a_mask_that_was_infinite_all_along_is_not_blamed_for_a_later_nan():
    sites = network(input=0.5, fc1=0.5, fc2=FROM_2, output=FROM_2)
    [finding] = findings("NUM01", trace_of(loss=NAN_FROM_2, sites=sites))
    assert finding.site.path == "fc2"


def test_events_name_sites_whose_rows_were_finite():
    events = [event("nonfinite", 1, role="output", site="mse_loss")]
    [finding] = findings("NUM01", trace_of(loss=[1.0] * 4, sites=network(), events=events))
    assert (finding.site.path, finding.steps[0]) == ("mse_loss", 1)


def test_losses_that_were_not_recorded_are_healthy():
    assert findings("NUM01", trace_of(loss=[1.0, None, None], sites=network())) == []


def test_only_an_early_nan_is_blamed_on_the_learning_rate_and_the_input():
    early = trace_of(loss=[1.0] * 99 + [math.nan], lr=0.5)
    late = trace_of(loss=[1.0] * 100 + [math.nan])
    [finding] = findings("NUM09", early)
    assert "learning rate is 0.5" in finding.message
    assert finding.evidence["first_step"] == 99
    assert findings("NUM09", late) == []


def origin(step=2, /, **facts):
    """An origin event: a logarithm in a layer, unless said otherwise."""
    usual = {
        "where": "forward",
        "seen_in": "loss",
        "kind": "inf",
        "op": "log",
        "what": "3 of 48 arguments of log are ≤ 0: the least is -0.1",
        "module": "fc1",
        "module_type": "Linear",
        "file": "train.py",
        "line": 12,
        "source": "h = torch.log(h)",
        "operands": [{"name": "self", "shape": [8, 6], "dtype": "float32", "zeros": 2}],
    }
    row = event("origin", step)
    return {**row, "payload": json.dumps({**usual, **facts})}


def test_an_origin_names_operation_module_line_and_operands():
    trace = trace_of(loss=NAN_FROM_2, sites=network(fc1=FROM_2), events=[origin()])
    [finding] = findings("NUM01", trace)
    assert "`log` in `fc1` (Linear)" in finding.message
    assert "3 of 48 arguments" in finding.message
    assert (finding.location.file, finding.location.line) == ("train.py", 12)
    assert finding.location.source == "h = torch.log(h)"
    assert finding.site.path == "fc1"
    assert finding.evidence["operands"] == ["self [8, 6] float32, 2 zeros"]
    assert "log_softmax" in finding.advice


@pytest.mark.parametrize(
    ("code", "place", "words"),
    [
        ("NUM01", "data", "`input.0` comes in"),
        ("NUM01", "weights", "before any update"),
        ("NUM02", "loss", "`log` in `fc1`"),
        ("NUM03", "backward", "the derivative of `sqrt`"),
        ("NUM04", "update", "the update by log made `fc1.weight`"),
    ],
)
def test_each_place_of_origin_has_its_rule_and_no_other_speaks(code, place, words):
    facts = {"given": "input.0", "parameter": "fc1.weight", "derivative": "SqrtBackward0"}
    events = [origin(where=place, **facts)]
    trace = trace_of(loss=NAN_FROM_2, sites=network(param=FROM_3), events=events)
    for other in ("NUM01", "NUM02", "NUM03", "NUM04"):
        found = findings(other, trace)
        assert len(found) == (other == code), other
    [finding] = findings(code, trace)
    assert words in finding.message
    assert finding.steps == (2, 3)


def test_an_unknown_origin_leaves_the_first_broken_site_to_be_named():
    events = [origin(where="unknown")]
    trace = trace_of(loss=NAN_FROM_2, sites=network(fc2=FROM_2), events=events)
    [finding] = findings("NUM01", trace)
    assert finding.site.path == "fc2"


@pytest.mark.parametrize(("own", "told"), [("unknown", "rank 1"), ("forward", "`log` in `fc1`")])
def test_an_origin_that_another_rank_located_is_told_where_this_one_found_none(own, told):
    where = [own, "forward"]
    whole = Trace.from_ranks(
        trace_of(loss=NAN_FROM_2, sites=network(), events=[origin(where=where[rank])], rank=rank)
        for rank in range(2)
    )
    [finding] = findings("NUM01", whole)
    assert told in finding.message
    assert ("rank 1" in finding.message) is (own == "unknown")


@pytest.mark.parametrize(("named", "first"), [(2, 2), (5, 3)])
def test_an_origin_may_lie_in_an_earlier_step_and_not_in_a_later_one(named, first):
    lost = [1.0, 1.0, 1.0, math.nan]
    [finding] = findings("NUM01", trace_of(loss=lost, events=[origin(3, step=named)]))
    assert finding.steps[0] == first


def test_growth_before_the_origin_is_told():
    sites = [site("fc1", "activation", min=-1.0, max=[2.0, 40.0, 900.0, 9.0])]
    trace = trace_of(loss=[1.0, 1.0, 1.0, math.nan], sites=sites, events=[origin(3)])
    assert "grown from 2 to 900" in findings("NUM01", trace)[0].message


def test_a_loss_that_was_not_finite_and_never_used_is_hidden():
    trace = trace_of(loss=[1.0] * 5, sites=network(), events=[origin(where="loss")])
    [finding] = findings("NUM08", trace)
    assert "skipped" in finding.message
    assert findings("NUM02", trace) == []


def test_a_run_that_ended_at_the_broken_loss_has_not_hidden_it():
    trace = trace_of(loss=[1.0] * 2, sites=network(), events=[origin(2, where="loss")])
    assert findings("NUM08", trace) == []
    assert len(findings("NUM02", trace)) == 1


@pytest.mark.parametrize(("last", "hidden"), [(3, 1), (2, 0)])
def test_a_broken_gradient_that_no_later_loss_shows_was_thrown_away(last, hidden):
    facts = {"where": "backward", "seen_in": "gradient", "derivative": "SqrtBackward0"}
    trace = trace_of(loss=[1.0] * (last + 1), sites=network(), events=[origin(2, **facts)])
    assert len(findings("NUM08", trace)) == hidden
    assert len(findings("NUM03", trace)) == 1 - hidden
    assert findings("NUM01", trace) == []


def test_what_broke_in_an_evaluation_is_a_warning():
    events = [origin(where="loss", phase="eval")]
    trace = trace_of(loss=[1.0] * 5, sites=network(), events=events)
    [finding] = findings("NUM02", trace)
    assert finding.severity == "warning"
    assert findings("NUM08", trace) == []


def test_what_broke_in_an_evaluation_and_the_training_too_is_an_error():
    events = [origin(where="loss", phase="eval")]
    trace = trace_of(loss=[1.0] * 2 + [float("nan")] * 3, sites=network(), events=events)
    [finding] = findings("NUM02", trace)
    assert finding.severity is None or finding.severity == "error"


def test_an_error_that_ended_the_program_leads_to_the_operation():
    events = [origin(2, where="forward", seen_in="error")]
    trace = trace_of(loss=[1.0] * 2, sites=network(), events=events)
    [finding] = findings("NUM01", trace)
    assert finding.severity is None or finding.severity == "error"


@pytest.mark.parametrize(("holds_nan", "count"), [(True, 1), (False, 0)])
def test_a_nan_that_stays_inside_the_model_is_hidden_an_infinite_mask_is_not(holds_nan, count):
    events = [event("nonfinite", 1, role="activation", site="fc1", nan=holds_nan)]
    trace = trace_of(loss=[1.0] * 4, sites=network(fc1=0.5), events=events)
    assert len(findings("NUM08", trace)) == count


@pytest.mark.parametrize(("reaches", "hidden"), [(False, 1), (True, 0)])
def test_a_nan_gradient_that_no_parameter_received_was_repaired(reaches, hidden):
    inside = site("fc1", "activation_grad", nonfinite_fraction=FROM_2)
    sites = [*network(grad1=FROM_2 if reaches else CLEAN), inside]
    events = [event("nonfinite", 2, role="activation_grad", site="fc1", nan=True)]
    rows = trace_of(loss=[1.0] * 5, sites=sites, events=events)
    assert len(findings("NUM08", rows)) == hidden
    assert len(findings("NUM01", rows)) == len(findings("NUM09", rows)) == 1 - hidden


@pytest.mark.parametrize(
    ("step", "largest", "blamed"),
    [(0, 10.0, False), (0, 10.1, True), (1, 1.0, True), (0, math.nan, True)],
    ids=["first step", "large input", "after an update", "no ordinary input"],
)
def test_a_first_step_on_ordinary_inputs_is_not_blamed_on_learning_rate_and_input(
    step, largest, blamed
):
    trace = trace_of(
        loss=[1.0] * step + [math.inf] * 3,
        sites=network(),
        batches=[batch(0, input_min=-largest, input_max=1.0)],
        events=[origin(step)],
    )
    [finding] = findings("NUM01", trace)
    assert ("DAT04" in finding.not_explained_by) is not blamed
    assert ("UPD01" in finding.not_explained_by) is not blamed
    assert bool(findings("NUM09", trace)) is blamed


def test_an_overflow_in_the_first_step_may_come_from_the_inputs():
    what = "exp of 200 exceeds what float32 can hold"
    trace = trace_of(
        loss=[math.inf] * 3,
        sites=network(),
        batches=[batch(0, input_min=-1.0, input_max=1.0)],
        events=[origin(0, op="exp", what=what)],
    )
    [finding] = findings("NUM01", trace)
    assert "DAT04" not in finding.not_explained_by


@pytest.mark.parametrize(
    "facts",
    [{"line": "x"}, {"operands": 3}, {"index": "a"}, {"where": 7}, {"step": -1}, {"what": {}}],
)
def test_a_malformed_origin_breaks_no_rule(facts):
    trace = trace_of(loss=NAN_FROM_2, sites=network(), events=[origin(**facts)])
    for code in ("NUM01", "NUM02", "NUM03", "NUM04", "NUM08", "NUM09"):
        findings(code, trace)


@pytest.mark.parametrize(("where", "blamed"), [("data", False), ("forward", True)])
def test_what_came_in_with_the_data_is_no_symptom_of_a_rising_loss(where, blamed):
    loss = [1.0, math.nan]
    trace = trace_of(loss=loss, sites=network(fc1=[0.5, math.nan]), events=[origin(1, where=where)])
    found = [f for code in ("NUM01", "NUM04") for f in findings(code, trace)]
    assert found
    assert all(("LOS08" not in finding.not_explained_by) == blamed for finding in found)
