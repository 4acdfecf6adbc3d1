import math

import pytest
from rules.builders import findings, site, skip_reasons, trace_of

SMALLEST = 2.0**-24


def gradients(
    *, zeros, tiny, scale=None, dtype="float16", role="activation_grad", since=0, steps=30
):
    """Histograms of 1000 gradients: `zeros` are 0, of the rest `tiny` are near the smallest."""
    rest = 1000 - zeros
    unit = SMALLEST / (scale or 1)
    rows = [
        {
            "step": step,
            "site": 0,
            "edges": [-(2**14) * unit, 0.0, 2 * unit],
            "counts": [rest - round(tiny * rest), zeros, round(tiny * rest)]
            if step >= since
            else [1000, 0, 0],
        }
        for step in (0, 10, 20)
    ]
    columns = {} if scale is None else {"loss_scale": scale}
    sites = [site("fc1", role, dtype=dtype)]
    return trace_of(loss=[1.0] * steps, sites=sites, histograms=rows, **columns)


def test_gradients_that_crowd_above_the_smallest_number_have_flushed():
    [finding] = findings("NUM06", gradients(zeros=210, tiny=0.15))
    assert finding.site.path == "fc1"
    assert "21%" in finding.message
    assert "not scaled" in finding.message


@pytest.mark.parametrize(("steps", "found"), [(40, 1), (39, 0)])
def test_gradients_may_be_too_small_only_from_the_last_histogram_on(steps, found):
    rows = gradients(zeros=500, tiny=0.5, since=20, steps=steps)
    assert len(findings("NUM06", rows)) == found


@pytest.mark.parametrize(("zeros", "tiny"), [(190, 0.9), (600, 0.05), (1000, 0.0)])
def test_zeros_alone_or_small_values_alone_are_no_underflow(zeros, tiny):
    assert findings("NUM06", gradients(zeros=zeros, tiny=tiny)) == []


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_types_with_a_wide_range_do_not_underflow(dtype):
    assert findings("NUM06", gradients(zeros=500, tiny=0.5, dtype=dtype)) == []


def test_what_float16_held_is_the_gradient_times_the_scale():
    assert len(findings("NUM06", gradients(zeros=500, tiny=0.5, scale=1024.0))) == 1
    unscaled = gradients(zeros=500, tiny=0.5)
    assert len(findings("NUM06", unscaled)) == 1
    # The same small gradients are far from the edge once they were scaled up.
    scaled = trace_of(
        loss=[1.0] * 30,
        loss_scale=65536.0,
        sites=[site("fc1", "activation_grad", dtype="float16")],
        histograms=[
            {"step": 0, "site": 0, "edges": [0.0, 2 * SMALLEST], "counts": [500, 500]},
        ],
    )
    assert findings("NUM06", scaled) == []


def skips(pattern, scale=65536.0):
    """Steps of which those marked `x` were skipped."""
    return trace_of(
        loss=[1.0] * len(pattern), skipped=[c == "x" for c in pattern], loss_scale=scale
    )


@pytest.mark.parametrize(("pattern", "found"), [("x.......", 1), ("." * 11 + "x", 0)])
def test_more_than_a_tenth_of_the_steps_skipped_is_too_many(pattern, found):
    assert len(findings("NUM07", skips("." + pattern * 8))) == found


def test_the_steps_by_which_a_scaler_finds_its_scale_do_not_count():
    assert findings("NUM07", skips("x" * 12 + "." * 40)) == []


def test_a_scaler_that_never_settles_skips_them_all():
    [finding] = findings("NUM07", skips("x" * 30))
    assert finding.evidence["skipped"] == 30


def test_a_short_run_is_not_judged():
    assert "needs 20 steps" in skip_reasons("NUM07", skips("xx.x.x.x.x"))[0]


def test_a_run_without_a_scaler_is_healthy():
    assert findings("NUM07", trace_of(loss=[1.0] * 30, loss_scale=math.nan)) == []


@pytest.mark.parametrize(("zeros", "found"), [(55, 1), (45, 0)])
def test_of_gradients_that_all_crowd_there_fewer_need_be_gone(zeros, found):
    assert len(findings("NUM06", gradients(zeros=zeros, tiny=1.0))) == found
