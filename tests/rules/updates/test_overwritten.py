import pytest
from rules.builders import batches, findings
from rules.updates.parameter_rows import parameter, trace

from nntrace.rules import Severity


@pytest.mark.parametrize(("ratio", "found"), [(0.51, 1), (0.49, 0)])
def test_one_step_of_half_the_weights_for_nothing_is_an_error(ratio, found):
    once = [1e-3, ratio, *[0.0] * 38]
    results = findings("UPD01", trace(parameter("a.weight", update=once)))
    assert len(results) == found
    assert all(f.level is Severity.ERROR and f.steps == (1, 1) for f in results)


@pytest.mark.parametrize(("end", "found"), [(2.25, 1), (2.2, 0), (2.35, 1), (2.4, 0)])
def test_one_step_of_half_the_weights_that_leaves_the_loss_at_chance_is_an_error(end, found):
    loss = [3.3, *[end] * 39]
    rows = batches(40, loss_function="cross_entropy", loss_value=loss, classes=10, batch_size=32)
    large = parameter("a.weight", update=[0.6, *[1e-3] * 39])
    results = findings("UPD01", trace(large, loss=loss, batches=rows))
    assert [finding.level for finding in results] == [Severity.ERROR] * found


@pytest.mark.parametrize(("zeros", "found"), [(0.11, 0), (0.09, 1)])
def test_a_constraint_that_sets_weights_to_zero_is_no_large_step(zeros, found):
    rows = parameter("a.weight", update=[0.6, *[0.0] * 39])
    rows[0]["stats"]["zero_fraction"] = [0.0, *[zeros] * 39]
    assert len(findings("UPD01", trace(rows))) == found


@pytest.mark.parametrize(("peak", "found"), [(3.1, 1), (2.9, 0)])
def test_one_step_of_half_the_weights_that_triples_the_loss_is_a_warning(peak, found):
    loss = [1.0, peak, 2.0, *[0.2] * 37]
    results = findings("UPD01", trace(parameter("a.weight", update=[0.6, *[1e-3] * 39]), loss=loss))
    assert [finding.level for finding in results] == [Severity.WARNING] * found


def test_one_large_step_is_healthy_where_the_loss_is_as_noisy_as_it_is_high():
    episodes = [12.0, *[2.0, 40.0] * 50]
    episodes[14] = episodes[80] = 300.0
    rows = parameter("a.weight", update=[0.6, *[1e-3] * 100])
    assert not findings("UPD01", trace(rows, loss=episodes, steps=101))


def test_losses_below_zero_do_not_say_what_one_large_step_did():
    update = [0.6, *[1e-3] * 39]
    loss = [2.0, 9.0, -0.1, *[2.3] * 37]
    assert not findings("UPD01", trace(parameter("a.weight", update=update), loss=loss))


def test_a_diverging_run_of_a_few_steps_is_blamed():
    loss = [2.3, 50.0, float("nan")]
    assert findings("UPD01", trace(parameter("a.weight", update=[0.6, 2, 9]), loss=loss, steps=3))


@pytest.mark.parametrize(("own", "found"), [(26.0, 0), (20.0, 1)])
def test_a_large_step_that_follows_from_a_batch_whose_loss_was_off_is_not_of_the_rate(own, found):
    ratio = [*[1e-3] * 20, 0.6, *[1e-3] * 19]
    loss = [*[0.5] * 20, own, 2.5, *[0.5] * 18]
    assert len(findings("UPD01", trace(parameter("a.weight", update=ratio), loss=loss))) == found


def test_a_shock_in_the_last_of_several_fits_is_told_though_the_first_had_one_too():
    update = [0.6, *[1e-3] * 19, 0.6, *[1e-3] * 19]
    fits = {"loss": [0.7] * 20 + [0.7, *[3.0] * 19], "optimizer": ["SGD"] * 20 + ["SGD.2"] * 20}
    [finding] = findings("UPD01", trace(parameter("a.weight", update=update), **fits))
    assert finding.steps[0] == 20
