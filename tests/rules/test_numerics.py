import math

from rules.builders import event, findings, site, trace_of

from nntrace.rules import Severity

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


def test_the_first_broken_activation_is_named_with_its_step():
    sites = network(fc2=FROM_2, output=FROM_2, grad1=FROM_2, grad2=FROM_2, param=FROM_3)
    [finding] = findings("NUM01", trace_of(loss=NAN_FROM_2, sites=sites))
    assert (finding.site.path, finding.evidence["role"]) == ("fc2", "activation")
    assert finding.steps == (2, 3)
    assert finding.level is Severity.ERROR


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


def test_only_an_early_nan_is_blamed_on_the_learning_rate():
    early = trace_of(loss=[1.0] * 99 + [math.nan])
    late = trace_of(loss=[1.0] * 101 + [math.nan])
    assert "learning rate" in findings("NUM01", early)[0].message
    assert "learning rate" not in findings("NUM01", late)[0].message
