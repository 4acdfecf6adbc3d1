import math

import numpy as np
import pytest
from rules.builders import batches, event, findings, skip_reasons, trace_of
from rules.loss.loss_rows import LN10, classified, noisy

from nntrace.rules import Severity
from nntrace.rules.common.signals import trend_z

# LOS01


@pytest.mark.parametrize(("first", "found"), [(101.0, True), (99.0, False)])
def test_a_first_loss_of_a_hundred_times_chance_makes_any_rate_too_high(first, found):
    [finding] = findings("LOS01", classified([first * LN10, 2.0, 1.5]))
    assert ("UPD07" in finding.explains) is found


# LOS07


def test_a_flat_noisy_loss_is_an_error():
    [finding] = findings("LOS07", classified(noisy(np.full(300, LN10))))
    assert finding.level is Severity.ERROR


@pytest.mark.parametrize("seed", range(10))
def test_a_slow_descent_within_the_noise_of_one_step_is_healthy(seed):
    falling = noisy(np.linspace(LN10, LN10 - 0.15, 300), noise=0.1, seed=seed)
    assert findings("LOS07", classified(falling)) == []


@pytest.mark.parametrize("seed", range(10))
def test_a_fall_within_the_first_steps_of_a_long_run_is_seen_through_the_noise(seed):
    fallen = np.concatenate([np.linspace(0.69, 0.61, 50), np.full(750, 0.61)])
    rows = classified(noisy(fallen, noise=0.047, seed=seed), "binary_cross_entropy_with_logits")
    assert findings("LOS07", rows) == []


@pytest.mark.parametrize(("fall", "found"), [(0.009, 1), (0.011, 0)])
def test_progress_of_less_than_one_percent_does_not_count(fall, found):
    falling = LN10 * (1 - fall * np.arange(1000) / 950)
    assert len(findings("LOS07", classified(falling))) == found


@pytest.mark.parametrize(("steps", "level"), [(60, Severity.WARNING), (200, Severity.ERROR)])
def test_a_short_flat_run_is_only_a_warning(steps, level):
    [finding] = findings("LOS07", classified(noisy(np.full(steps, LN10))))
    assert finding.level is level


def test_a_run_of_fewer_than_fifty_steps_is_not_judged():
    assert skip_reasons("LOS07", classified(noisy(np.full(49, LN10))))
    assert findings("LOS07", classified(noisy(np.full(50, LN10))))


def test_a_loss_that_fell_within_the_first_steps_is_healthy():
    fell = noisy(np.concatenate([[LN10, 1.5, 0.7], np.full(997, 0.5)]), noise=0.02)
    assert findings("LOS07", classified(fell)) == []
    assert findings("LOS07", trace_of(loss=fell)) == []


def test_half_as_sure_a_trend_is_progress_where_the_floor_is_not_known():
    falling = noisy(np.linspace(1.0, 0.985, 500), noise=0.03)
    assert -4.0 < trend_z(np.array(falling)) < -2.0
    assert findings("LOS07", trace_of(loss=falling)) == []
    assert findings("LOS07", trace_of(loss=noisy(np.full(500, 1.0), noise=0.03)))


@pytest.mark.parametrize(("share", "found"), [(0.75, 0), (0.85, 1)])
def test_a_flat_loss_well_below_chance_was_learned_before(share, found):
    assert len(findings("LOS07", classified(noisy(np.full(300, share * LN10))))) == found


def test_of_training_in_phases_the_last_ones_loss_function_says_what_chance_is():
    phases = [("nll_loss", 1.0, "SGD"), ("cross_entropy", 0.7 * LN10, "SGD.2")]
    loss = [level for _, level, _ in phases for _ in range(100)]
    rows = batches(
        200,
        loss_function=[name for name, _, _ in phases for _ in range(100)],
        loss_value=loss,
        classes=10,
    )
    names = [name for _, _, name in phases for _ in range(100)]
    assert findings("LOS07", trace_of(loss=noisy(loss), batches=rows, optimizer=names)) == []


def test_a_flat_loss_without_a_known_chance_value_is_a_warning():
    [finding] = findings("LOS07", trace_of(loss=noisy(np.full(300, 1.0))))
    assert finding.level is Severity.WARNING


def test_a_flat_loss_during_warm_up_is_not_judged():
    rates = np.concatenate([np.linspace(0.0, 0.1, 400), np.full(20, 0.1)])
    loss = noisy(np.full(420, LN10))
    assert findings("LOS07", classified(loss, lr=rates[:300]))
    assert skip_reasons("LOS07", classified(noisy(np.full(90, LN10)), lr=np.linspace(0, 0.1, 90)))


def test_the_losses_of_several_optimizers_are_not_judged():
    names = ["SGD", "SGD.2"] * 100
    trace = classified(noisy(np.full(200, LN10)), optimizer=names)
    assert skip_reasons("LOS07", trace)
    assert skip_reasons("LOS08", trace)
    assert skip_reasons("LOS11", trace)


def test_of_training_in_two_phases_the_last_is_judged():
    loss = np.concatenate([np.linspace(2.3, 0.5, 100), np.full(150, 1.0)])
    [finding] = findings("LOS07", trace_of(loss=noisy(loss), optimizer=["Adam"] * 100 + ["SGD"]))
    assert finding.steps == (100, 249)


def test_a_second_optimizer_whose_steps_have_no_loss_of_their_own_changes_nothing():
    loss = [value for x in noisy(np.full(200, LN10)) for value in (float(x), None)]
    trace = trace_of(loss=loss, optimizer=["Muon", "Adam"] * 200)
    assert findings("LOS07", trace)


def test_a_negative_loss_is_not_judged():
    assert skip_reasons("LOS07", trace_of(loss=noisy(np.full(200, -1.0))))


@pytest.mark.parametrize(("noise", "found"), [(0.2, 1), (0.6, 0)])
def test_a_loss_too_noisy_to_show_a_fall_by_a_quarter_is_not_judged(noise, found):
    trace = trace_of(loss=np.abs(noisy(np.full(150, 1.0), noise)))
    assert (findings if found else skip_reasons)("LOS07", trace)


def test_a_loss_that_rose_beyond_its_noise_did_not_fall():
    rising = np.abs(noisy(np.linspace(1.0, 9.0, 150), 2.0))
    assert findings("LOS07", trace_of(loss=rising))


def test_a_saw_tooth_that_returns_to_its_start_is_no_progress():
    teeth = np.tile(np.linspace(1.05, 0.95, 15), 40)
    rows = batches(600, loss_function="mse_loss", target_mean=0.0, target_std=1.0)
    trace = trace_of(loss=noisy(teeth, noise=0.15), batches=rows)
    assert findings("LOS07", trace)


@pytest.mark.parametrize(
    ("vertices", "edges", "found"),
    [
        ([":mean", ":relu", ":sub", ":index", "fc"], [[4, 3], [3, 2], [2, 1], [1, 0]], 0),
        ([":mean", ":pow", ":sub", ":index", "fc"], [[4, 3], [3, 2], [2, 1], [1, 0]], 1),
        ([":mean", ":relu", ":sub", ":index"], [[3, 2], [2, 1], [1, 0]], 1),
        ([":mean", ":relu", "fc", ":index", "in"], [[4, 3], [3, 2], [2, 1], [1, 0]], 1),
    ],
    ids=["triplets", "no hinge", "of a table", "within the model"],
)
def test_violations_that_the_program_picks_become_fewer_while_the_loss_stays(
    vertices, edges, found
):
    graph = event("graph", vertices=vertices, edges=edges)
    trace = trace_of(loss=noisy(np.full(300, 1.0)), events=[graph])
    assert findings("LOS07", trace) if found else skip_reasons("LOS07", trace)


@pytest.mark.parametrize(("noise", "found"), [(0.02, 0), (0.005, 1)])
def test_a_hinge_that_stays_at_its_margin_has_lost_its_outputs(noise, found):
    names, pairs = [":mean", ":relu", ":sub", ":index", "fc"], [[4, 3], [3, 2], [2, 1], [1, 0]]
    graph = event("graph", vertices=names, edges=pairs)
    trace = trace_of(loss=noisy(np.full(300, 1.0), noise=noise), events=[graph])
    assert findings("LOS07", trace) if found else skip_reasons("LOS07", trace)


# LOS08


def test_a_rising_loss_is_an_error_from_where_it_left_its_lowest_level():
    loss = np.concatenate([np.linspace(2.3, 0.5, 100), np.linspace(0.5, 9.0, 100)])
    [finding] = findings("LOS08", trace_of(loss=noisy(loss)))
    assert finding.level is Severity.ERROR
    assert 80 <= finding.steps[0] <= 130


@pytest.mark.parametrize(("factor", "found"), [(2.2, 1), (1.8, 0)])
def test_a_loss_that_settles_at_twice_its_lowest_level_is_found(factor, found):
    loss = np.concatenate([[3.0] * 20, np.full(80, 1.0), np.full(100, factor)])
    assert len(findings("LOS08", trace_of(loss=noisy(loss)))) == found


@pytest.mark.parametrize(("rise", "found"), [(1.6, 1), (1.45, 0)])
def test_half_as_much_again_is_enough_for_a_loss_that_only_ever_climbed(rise, found):
    loss = LN10 * np.concatenate([np.linspace(1.0, rise, 180), np.full(40, rise)])
    assert len(findings("LOS08", trace_of(loss=noisy(loss)))) == found


def test_a_loss_that_jumps_at_the_start_and_then_falls_is_healthy():
    loss = np.concatenate([[2.3, 5.0], np.linspace(4.6, 3.8, 298)])
    assert findings("LOS08", trace_of(loss=noisy(loss))) == []


def test_a_rise_that_loses_only_part_of_the_progress_is_a_warning():
    loss = np.concatenate([np.linspace(2.3, 0.3, 60), np.full(70, 0.3), np.full(70, 1.2)])
    [finding] = findings("LOS08", trace_of(loss=noisy(loss, 0.01)))
    assert finding.level is Severity.WARNING


def test_a_tiny_loss_that_doubles_far_below_its_start_is_healthy():
    loss = np.concatenate([np.geomspace(2.3, 0.001, 100), np.full(100, 0.004)])
    assert findings("LOS08", trace_of(loss=loss)) == []


def test_a_spike_that_is_being_recovered_is_healthy():
    loss = np.concatenate([np.full(50, 1.0), np.geomspace(50.0, 2.5, 150)])
    assert findings("LOS08", trace_of(loss=noisy(loss, 0.01))) == []


@pytest.mark.parametrize("seed", range(10))
def test_the_heavy_tailed_loss_of_single_examples_is_healthy(seed):
    rng = np.random.default_rng(seed)
    loss = np.exp(rng.normal(-np.linspace(0.0, 3.0, 300), 1.5))
    assert findings("LOS08", trace_of(loss=loss)) == []


@pytest.mark.parametrize(("rise", "found"), [(11.0, 1), (9.0, 0)])
def test_a_sudden_rise_in_the_last_steps_is_found(rise, found):
    loss = np.concatenate([np.full(195, 1.0), np.full(5, rise)])
    assert len(findings("LOS08", trace_of(loss=noisy(loss, 0.001)))) == found


@pytest.mark.parametrize(("cosine", "uphill"), [(0.95, True), (0.85, False), (-1.0, False)])
def test_a_loss_that_climbs_along_its_gradients_goes_uphill(cosine, uphill):
    loss = noisy(np.geomspace(2.3, 300.0, 200))
    [finding] = findings("LOS08", trace_of(loss=loss, gradient_cosine=cosine))
    assert ("uphill" in finding.message) is uphill
    assert ("UPD07" in finding.not_explained_by) is uphill
    assert ("LOS12" in finding.explains) is uphill
    assert ("sign" in finding.advice and "rate" not in finding.advice) is uphill


def test_a_loss_that_explodes_into_nan_within_a_few_steps_is_an_error():
    loss = [2.3, 8.0, 1e3, 1e12, math.nan, math.nan]
    [finding] = findings("LOS08", trace_of(loss=loss))
    assert finding.level is Severity.ERROR
    assert "not finite from step 4" in finding.message


def test_a_loss_that_becomes_nan_without_rising_is_not_called_diverging():
    assert skip_reasons("LOS08", trace_of(loss=[2.3, 2.2, 2.1, math.nan, math.nan]))


def test_losses_that_were_not_recorded_are_not_taken_for_nan():
    assert skip_reasons("LOS08", trace_of(loss=[2.3, 8.0, 1e3, None, None]))
