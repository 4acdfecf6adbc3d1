import numpy as np
import pytest
from rules.builders import batches, event, findings, site, skip_reasons, trace_of

from nntrace.rules import Severity

STEPS = 200
RNG = np.random.default_rng(0)
FLAT = list(1 + 0.1 * RNG.normal(size=STEPS))
FALLING = list(np.geomspace(2, 0.2, STEPS))


def every(n, value):
    return [value if step % n == 1 else None for step in range(STEPS)]


# GRD07


def clipped(norm, limit=1.0, optimizer="SGD", share=1.0):
    norms = [norm if step % 100 < 100 * share else 0.5 * limit for step in range(STEPS)]
    events = [event("optimizer", **{"class": optimizer})]
    return trace_of(steps=STEPS, loss=FLAT, clip_norm=norms, clip_limit=limit, events=events)


@pytest.mark.parametrize(
    ("norm", "level"), [(10.1, Severity.WARNING), (9.9, Severity.INFO), (1.1, Severity.INFO)]
)
def test_clipping_that_leaves_a_tenth_is_a_warning(norm, level):
    [finding] = findings("GRD07", clipped(norm))
    assert finding.level is level


@pytest.mark.parametrize(("share", "found"), [(0.91, 1), (0.9, 0)])
def test_nine_of_ten_steps_must_be_clipped(share, found):
    assert len(findings("GRD07", clipped(20.0, share=share))) == found


@pytest.mark.parametrize(("norm", "level"), [(101, Severity.WARNING), (99, Severity.INFO)])
@pytest.mark.parametrize("optimizer", ["AdamW", "Adadelta"])
def test_for_adam_it_takes_a_hundredth(optimizer, norm, level):
    [finding] = findings("GRD07", clipped(norm, optimizer=optimizer))
    assert finding.level is level


@pytest.mark.parametrize(("eps", "level"), [(0.99e-3, Severity.INFO), (1.01e-3, Severity.WARNING)])
def test_for_adam_it_takes_what_its_epsilon_drowns_where_that_is_known(eps, level):
    events = [event("optimizer", **{"class": "Adam"}, eps=eps)]
    weight = site("fc.weight", "param_grad", numel=10_000, rms=1.0)
    [finding] = findings(
        "GRD07",
        trace_of(
            steps=STEPS, loss=FLAT, clip_norm=1e4, clip_limit=1.0, events=events, sites=[weight]
        ),
    )
    assert finding.level is level


@pytest.mark.parametrize(("count", "skipped"), [(19, True), (20, False)])
def test_twenty_clipped_gradients_are_needed(count, skipped):
    norms = [20.0] * count + [None] * (STEPS - count)
    trace = trace_of(steps=STEPS, loss=FLAT, clip_norm=norms, clip_limit=1.0)
    assert bool(skip_reasons("GRD07", trace)) is skipped


def test_a_run_without_clipping_is_skipped():
    assert skip_reasons("GRD07", trace_of(steps=STEPS, loss=FLAT))


# GRD08


def noisy(cosine, loss=FLAT, n=10):
    return trace_of(steps=STEPS, loss=loss, gradient_cosine=every(n, cosine))


@pytest.mark.parametrize(("cosine", "found"), [(0.49, 1), (0.51, 0), (-0.2, 1)])
def test_gradients_with_more_noise_than_signal_are_noted(cosine, found):
    results = findings("GRD08", noisy(cosine))
    assert len(results) == found
    assert all(f.level is Severity.INFO for f in results)


@pytest.mark.parametrize(
    ("pairs", "steps", "skipped"), [(7, 100, True), (8, 100, False), (8, 99, True)]
)
def test_eight_pairs_of_steps_in_a_hundred_are_needed(pairs, steps, skipped):
    cosines = [0.1] * pairs + [None] * (steps - pairs)
    trace = trace_of(loss=FLAT[:steps], gradient_cosine=cosines)
    assert bool(skip_reasons("GRD08", trace)) is skipped


def test_where_the_loss_falls_noise_is_healthy():
    assert not findings("GRD08", noisy(0.1, FALLING))


@pytest.mark.parametrize(("size", "explained"), [(2, ("LOS11",)), (32, ())])
def test_noise_of_a_few_examples_is_why_a_loss_stays_at_chance(size, explained):
    rows = trace_of(
        steps=STEPS, loss=FLAT, gradient_cosine=every(10, 0.1), batches=batches(9, batch_size=size)
    )
    [finding] = findings("GRD08", rows)
    assert finding.explains == explained


@pytest.mark.parametrize(("cosine", "explained"), [(0.04, ("LOS07", "LOS10")), (0.05, ())])
def test_noise_that_all_steps_together_average_out_is_not_why_a_loss_stays(cosine, explained):
    [finding] = findings("GRD08", noisy(cosine))
    assert finding.explains == explained


def test_noise_of_a_few_examples_in_which_all_drowns_is_also_why_steps_are_long():
    two = batches(9, batch_size=2)
    rows = trace_of(steps=STEPS, loss=FLAT, gradient_cosine=every(10, 0.0), batches=two)
    [finding] = findings("GRD08", rows)
    assert finding.explains == ("LOS07", "LOS10", "LOS11", "UPD01")


# GRD09


def opposing(cosine, loss=FLAT, n=10):
    return trace_of(steps=STEPS, loss=loss, update_cosine=every(n, cosine))


@pytest.mark.parametrize(("cosine", "found"), [(-0.51, 1), (-0.49, 0)])
def test_updates_that_take_each_other_back_are_a_warning(cosine, found):
    results = findings("GRD09", opposing(cosine))
    assert len(results) == found
    assert all(f.level is Severity.WARNING and f.steps == (1, 191) for f in results)


def test_where_the_loss_falls_they_are_a_note():
    [finding] = findings("GRD09", opposing(-0.9, FALLING))
    assert finding.level is Severity.INFO


def test_updates_that_opposed_each_other_at_the_start_only_are_healthy():
    series = [-0.9 if step < 60 else 0.5 for step in range(STEPS)]
    series = [value if step % 10 == 1 else None for step, value in enumerate(series)]
    assert not findings("GRD09", trace_of(steps=STEPS, loss=FLAT, update_cosine=series))


@pytest.mark.parametrize(("opposed", "found"), [(7, 0), (8, 1)])
def test_three_of_four_late_pairs_must_oppose_each_other(opposed, found):
    pairs = [0.5] * (20 - opposed) + [-0.9] * opposed
    series = [pairs[step // 10] if step % 10 == 1 else None for step in range(STEPS)]
    trace = trace_of(steps=STEPS, loss=FLAT, update_cosine=series)
    assert len(findings("GRD09", trace)) == found


@pytest.mark.parametrize(("every_steps", "skipped"), [(50, True), (40, False)])
def test_four_pairs_are_too_few(every_steps, skipped):
    assert bool(skip_reasons("GRD09", opposing(-0.9, n=every_steps))) is skipped


def test_gradients_clipped_after_the_step_are_a_warning_at_the_line_of_the_call():
    late = event("clipping", 5, fault="late", file="train.py", line=9)
    [finding] = findings("GRD07", trace_of(steps=20, events=[late]))
    assert finding.level is Severity.WARNING
    assert finding.location.line == 9


@pytest.mark.parametrize(("norm", "is_told"), [(10.1, True), (9.9, False)])
def test_gradients_clipped_before_unscaling_are_told_if_most_of_them_is_lost(norm, is_told):
    scaled = event("clipping", 5, fault="scaled", file="train.py", line=9)
    adam = event("optimizer", **{"class": "Adam"})
    [finding] = findings(
        "GRD07",
        trace_of(steps=STEPS, loss=FLAT, clip_norm=norm, clip_limit=1.0, events=[adam, scaled]),
    )
    assert ("unscale_" in finding.advice) == is_told
    assert (finding.level is Severity.WARNING) == is_told


def test_clipping_is_shown_at_the_line_of_its_first_call():
    first = event("clipping", 1, fault=None, file="train.py", line=9)
    trace = trace_of(steps=STEPS, loss=FLAT, clip_norm=20.0, clip_limit=1.0, events=[first])
    [finding] = findings("GRD07", trace)
    assert finding.location.line == 9
