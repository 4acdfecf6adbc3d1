"""What rules and probes make of a run that is an experiment, and of one that was not made."""

import pytest
from rules.builders import run_rule
from rules.checks import checked, noisy, only_skip, overfit, run

from nntrace.rules import Finding


def test_passive_rules_and_probes_leave_a_run_alone_that_was_interfered_with():
    assert "interfered" in only_skip("LOS07", overfit(noisy(2.0)))


@pytest.mark.parametrize(("blind", "blamed"), [(0.2, True), (0.24, False)])
def test_a_loss_that_inputs_lower_is_not_one_that_does_not_fall(blind, blamed):
    steps = 200
    baseline = run("baseline", noisy(0.2, steps, start=0.201, noise=0.05))
    trace = checked(baseline, blind=run("blind", noisy(blind, steps, start=0.201), inputs="zero"))
    assert any(isinstance(found, Finding) for found in run_rule("LOS07", trace)) is blamed


def test_an_experiment_that_was_not_made_is_named():
    assert only_skip("PRB07", checked()) == "its experiment 'sweep' was not run"
