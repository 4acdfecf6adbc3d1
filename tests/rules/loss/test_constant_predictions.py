import pytest
from rules.builders import event, findings, site, skip_reasons, trace_of
from rules.loss.loss_rows import stuck

from nntrace.rules import Severity


def predictions(variation, rms=1.0, inputs=1.0, target=None, **columns):
    """A trace whose outputs vary across examples by these fractions of their scale."""
    sites = [
        site("input.0", "input", example_std=inputs, rms=1.0),
        site("cross_entropy", "output", example_std=[v * rms for v in variation], rms=rms),
    ]
    if target is not None:
        sites.append(site("cross_entropy", "target", example_std=target, rms=1.0))
    return trace_of(sites=sites, **columns)


@pytest.mark.parametrize(("variation", "found"), [(0.009, 1), (0.011, 0), (0.0, 1)])
def test_predictions_that_hardly_vary_until_the_end_are_an_error(variation, found):
    results = findings("LOS12", predictions([0.5, *[variation] * 9]))
    assert len(results) == found
    assert all(finding.steps == (1, 9) for finding in results)


@pytest.mark.parametrize(
    ("targets", "variation", "level"),
    [(24, 0.005, Severity.INFO), (26, 0.005, Severity.ERROR), (24, 0.0, Severity.ERROR)],
)
def test_classes_of_which_few_were_seen_may_be_predicted_alike(targets, variation, level):
    sites = [
        site("input.0", "input", example_std=1.0, rms=1.0),
        site("cross_entropy", "output", example_std=variation, rms=1.0),
    ]
    [finding] = findings("LOS12", stuck(targets, sites=sites))
    assert finding.level is level


def test_predictions_of_zeros_only_are_an_error():
    assert findings("LOS12", predictions([0.0] * 5, rms=0.0))


@pytest.mark.parametrize(("variation", "dead", "excluded"), [(0.0, 0.4, True), (0.0, 1.0, False)])
def test_a_part_of_the_units_that_is_dead_cuts_nothing_off(variation, dead, excluded):
    relu = {"min": 0.0, "zero_fraction": dead, "dead_fraction": dead}
    sites = [
        site("input.0", "input", example_std=1.0, rms=1.0),
        site("a", "activation", module_type="Linear", units=10, example_std=1.0, min=-1.0),
        site("relu", "activation", module_type="ReLU", units=10, example_std=1.0, **relu),
        site("a.weight", "param", parent="a", fan_in=8, shape=[10, 8], rms=1.0),
        site("cross_entropy", "output", example_std=[variation] * 9, rms=1.0),
    ]
    [finding] = findings("LOS12", trace_of(sites=sites))
    assert ("ACT04" in finding.not_explained_by) is excluded


def test_an_output_layer_that_starts_at_zero_is_healthy():
    assert findings("LOS12", predictions([0.0, 0.0, 0.0, 0.1, 0.3])) == []


@pytest.mark.parametrize(("constant", "found"), [(2, 0), (3, 1)])
def test_predictions_must_be_constant_at_three_sampled_steps(constant, found):
    assert len(findings("LOS12", predictions([0.5] * 3 + [0.0] * constant))) == found


def test_the_last_moments_of_a_long_run_are_not_enough():
    trace = predictions([0.5] * 20 + [0.0] * 4)
    assert findings("LOS12", trace) == []


def test_a_quarter_of_the_run_counts_even_when_it_is_sampled_sparsely():
    sampled = [*range(50), 60, 70, 80, 90]
    trace = predictions([0.5] * 50 + [0.0] * 4, sampled=sampled, steps=100)
    assert findings("LOS12", trace)


def test_predictions_that_vary_as_little_as_their_targets_are_healthy():
    assert findings("LOS12", predictions([0.004] * 10, target=0.005)) == []
    assert findings("LOS12", predictions([0.0004] * 10, target=0.005))


def test_constant_predictions_of_a_constant_target_are_right():
    assert findings("LOS12", predictions([0.0] * 10, target=0.0)) == []


def test_constant_inputs_explain_constant_predictions():
    assert skip_reasons("LOS12", predictions([0.0] * 5, inputs=0.0))


def test_batches_of_one_example_cannot_be_judged():
    sites = [site("", "output", rms=1.0), site("input.0", "input", rms=1.0)]
    assert skip_reasons("LOS12", trace_of(steps=10, sites=sites))


def test_a_finding_points_at_the_loss_call():
    call = event("loss_call", function="cross_entropy", file="train.py", line=3)
    [finding] = findings("LOS12", predictions([0.0] * 5, events=[call]))
    assert finding.location.line == 3
