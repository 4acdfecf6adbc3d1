import numpy as np
import pytest
from rules.builders import event, findings, site, skip_reasons, trace_of

from nntrace.rules import Severity

STEPS = 120
SAMPLED = range(0, STEPS, 10)
COUNT = len(SAMPLED)
FALLING = list(np.geomspace(1, 0.01, STEPS))


def trace(*sites, loss=1.0, **columns):
    columns = {"steps": STEPS, "sampled": SAMPLED, **columns}
    return trace_of(loss=loss, sites=sites, **columns)


# ACT09


def attention(path="attn", q25=0.5, q75=0.8):
    return site(path, "attention", module_type="Attention", q25=q25, q75=q75)


def test_scores_times_the_root_of_the_width_are_a_warning_though_the_loss_falls():
    told = event("axes", what="scale", factor=4.0, width=16, file="net.py", line=3)
    [finding] = findings("ACT09", trace(attention(), loss=FALLING, events=[told]))
    assert (finding.level, finding.location.line) == (Severity.WARNING, 3)
    other = event("axes", what="heads", file="net.py", line=3)
    assert findings("ACT09", trace(attention(), loss=FALLING, events=[other])) == []


@pytest.mark.parametrize(("q75", "found"), [(0.049, 1), (0.051, 0)])
def test_rows_that_look_at_one_key_are_a_warning(q75, found):
    results = findings("ACT09", trace(attention(q25=0.0, q75=q75)))
    assert len(results) == found
    assert all(
        f.level is Severity.WARNING and "single key" in f.message and "root" in f.advice
        for f in results
    )


@pytest.mark.parametrize(("q25", "found"), [(0.996, 1), (0.994, 0)])
def test_even_rows_are_a_warning_where_the_loss_stays(q25, found):
    results = findings("ACT09", trace(attention(q25=q25, q75=1.0)))
    assert len(results) == found
    assert all("alike" in f.message and "positions" in f.advice for f in results)


@pytest.mark.parametrize(("q25", "q75"), [(0.999, 1.0), (0.0, 0.01)])
def test_a_model_that_learns_may_attend_as_it_likes(q25, q75):
    assert not findings("ACT09", trace(attention(q25=q25, q75=q75), loss=FALLING))


@pytest.mark.parametrize(("end", "found"), [(0.51, 1), (0.49, 0)])
def test_a_model_that_learns_has_lost_half_of_its_first_loss(end, found):
    losses = [1.0] * (STEPS // 2) + [end] * (STEPS // 2)
    assert len(findings("ACT09", trace(attention(q25=0.0, q75=0.01), loss=losses))) == found


@pytest.mark.parametrize(("end", "found"), [(0.85, 1), (0.75, 0)])
def test_even_rows_are_healthy_while_the_loss_still_falls(end, found):
    falling = np.linspace(1.0, end, COUNT * 4).tolist()
    long = trace_of(
        loss=falling, sampled=range(0, COUNT * 4, 4), sites=[attention(q25=0.999, q75=1.0)]
    )
    assert len(findings("ACT09", long)) == found


@pytest.mark.parametrize(
    ("first", "level"), [(0.9, Severity.WARNING), (0.999, Severity.INFO)], ids=["became", "began"]
)
def test_attention_that_was_even_from_the_start_is_a_note(first, level):
    even = [first] * 2 + [0.999] * (COUNT - 2)
    [finding] = findings("ACT09", trace(attention(q25=even, q75=1.0)))
    assert finding.level is level


@pytest.mark.parametrize(("first", "found"), [(0.01, 1), (0.5, 0)])
def test_rows_that_are_sharp_from_the_first_step_are_named_while_the_loss_falls(first, found):
    falling = np.linspace(1.0, 0.7, COUNT * 4).tolist()
    q75 = [first] * 2 + [0.01] * (COUNT - 2)
    layer = attention(q25=0.0, q75=q75)
    long = trace_of(loss=falling, sampled=range(0, COUNT * 4, 4), sites=[layer])
    assert len(findings("ACT09", long)) == found


def test_one_sharp_layer_of_three_is_healthy():
    layers = [attention("a", 0.0, 0.01), attention("b"), attention("c")]
    assert not findings("ACT09", trace(*layers))


@pytest.mark.parametrize(("last", "found"), [(1, 1), (2, 0)])
def test_a_single_sample_at_the_end_is_of_its_batch(last, found):
    sharp = [0.0] * (COUNT - last) + [0.3] * last
    assert len(findings("ACT09", trace(attention(q25=0.0, q75=sharp)))) == found


def test_attention_that_was_sharp_and_is_no_longer_is_healthy():
    passing = [0.01] * 8 + [0.5] * 4
    assert not findings("ACT09", trace(attention(q25=0.0, q75=passing)))


@pytest.mark.parametrize(("count", "skipped"), [(3, True), (4, False)])
def test_four_samples_of_attention_are_needed(count, skipped):
    series = [0.01] * count + [None] * (COUNT - count)
    assert bool(skip_reasons("ACT09", trace(attention(q25=0.0, q75=series)))) is skipped


# ACT12


def running(rms, path="bn"):
    return site(path, "running_norm", module_type="BatchNorm1d", rms=rms)


def norms(*sites):
    return trace(*sites, steps=2 * STEPS, sampled=range(0, 2 * STEPS, 20))


@pytest.mark.parametrize(("rms", "found"), [(1.75, 1), (1.65, 0), (0.58, 1), (0.6, 0)])
def test_running_statistics_off_by_a_factor_of_three_in_variance_are_a_warning(rms, found):
    results = findings("ACT12", norms(running(rms)))
    assert len(results) == found
    assert all(f.level is Severity.WARNING and f.site.path == "bn" for f in results)


@pytest.mark.parametrize(("left", "found"), [(0.39, 0), (0.41, 1)])
def test_running_statistics_that_come_near_the_batches_are_on_their_way(left, found):
    differences = np.concatenate(
        [[20.0] * 3, np.linspace(20, 20 * left, COUNT - 6), [20 * left] * 3]
    )
    assert len(findings("ACT12", norms(running((1 + differences) ** -0.5)))) == found


def test_a_mismatch_at_the_start_is_how_running_statistics_begin():
    assert not findings("ACT12", norms(running([5.0, 4.0, 3.0, *[1.0] * (COUNT - 3)])))


def test_running_statistics_are_not_judged_before_the_usual_momentum_of_keras_lets_them_settle():
    short = trace_of(steps=199, sampled=range(0, 199, 10), sites=[running(5.0)])
    assert skip_reasons("ACT12", short)


@pytest.mark.parametrize(("known", "skipped"), [(4, True), (5, False)])
def test_five_samples_of_a_norm_are_needed(known, skipped):
    rms = [None] * (COUNT - known) + [5.0] * known
    assert bool(skip_reasons("ACT12", norms(running(rms)))) is skipped


def test_samples_of_the_first_half_say_nothing_of_running_statistics_at_the_end():
    early = trace_of(steps=200, sampled=range(0, 90, 10), sites=[running(5.0)])
    assert skip_reasons("ACT12", early)
