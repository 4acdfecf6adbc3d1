import numpy as np
import pytest
from rules.builders import findings, run_rule, site, skip_reasons, trace_of

from nntrace.rules import Severity

STEPS = 30


def affine(path, bias, *, pull=-0.1, weight=0.1, kind="Linear", fan_in=64):
    """A layer's weight and bias: the bias's mean over time and its gradient's."""
    owner = {"parent": path, "module_type": kind}
    matrix = {"shape": [64, 64], "numel": 4096, "fan_in": fan_in, "fan_out": fan_in}
    vector = {"shape": [64], "numel": 64}
    return [
        site(f"{path}.weight", "param", rms=weight, **owner, **matrix),
        site(f"{path}.bias", "param", mean=bias, **owner, **vector),
        site(f"{path}.bias", "param_grad", mean=pull, **owner, **vector),
    ]


def trace(*layers, steps=STEPS, loss=None):
    return trace_of(steps=steps, loss=loss, sites=[row for rows in layers for row in rows])


def line(end, steps=STEPS):
    return list(np.linspace(0, end, steps))


@pytest.mark.parametrize(("end", "found"), [(0.16, 1), (0.14, 0)])
def test_a_bias_that_walks_beyond_the_weights_scale_is_a_warning(end, found):
    results = findings("PAR01", trace(affine("a", line(end))))
    assert len(results) == found
    assert all(finding.level is Severity.WARNING for finding in results)


@pytest.mark.parametrize(("end", "level"), [(0.11, Severity.WARNING), (0.09, Severity.INFO)])
def test_a_walk_is_a_note_where_varying_targets_are_nearly_fitted(end, level):
    targets = [site("mse_loss", "target", std=1.0)]
    falling = [1.0] * 5 + [end] * (STEPS - 5)
    [finding] = findings("PAR01", trace(affine("a", line(0.5)), targets, loss=falling))
    assert finding.level is level


def test_a_bias_walks_downward_too():
    assert findings("PAR01", trace(affine("a", line(-0.5), pull=0.1)))


def test_the_last_bias_is_named_as_the_output_bias():
    layers = [affine("a", 0.0), affine("head", line(0.5))]
    [finding] = findings("PAR01", trace(*layers))
    assert "output bias head.bias" in finding.message


def test_a_bias_that_settles_is_healthy():
    settled = list(0.5 * (1 - np.exp(-np.arange(STEPS) / 5)))
    assert not findings("PAR01", trace(affine("a", settled)))


def slowing(last_over_first):
    """A walk to 0.5 whose pace falls linearly, window medians from sixth to sixth included."""
    pace = np.repeat(np.linspace(1, last_over_first, 5), STEPS // 5)
    walk = np.cumsum(pace)
    return list(0.5 * walk / walk[-1])


@pytest.mark.parametrize(("pace", "found"), [(0.5, 1), (0.2, 0)])
def test_a_walk_that_slows_to_less_than_two_fifths_of_its_pace_is_settling(pace, found):
    assert len(findings("PAR01", trace(affine("a", slowing(pace))))) == found


@pytest.mark.parametrize(("against", "found"), [(0, 1), (1, 0)])
def test_a_walk_against_some_of_its_gradients_is_a_search(against, found):
    pull = [*[-0.1] * (STEPS - against), *[0.1] * against]
    assert len(findings("PAR01", trace(affine("a", line(0.5), pull=pull)))) == found


def test_a_large_bias_that_stays_is_no_drift():
    assert not findings("PAR01", trace(affine("a", -4.6)))


def test_a_bias_that_comes_back_to_zero_is_no_drift():
    assert not findings("PAR01", trace(affine("a", list(np.linspace(-0.9, -0.2, STEPS)))))


def test_the_biases_of_norms_are_left_out():
    rows = [
        site("n.weight", "param", rms=1.0, parent="n", module_type="LayerNorm", shape=[64]),
        site("n.bias", "param", mean=line(9), parent="n", module_type="LayerNorm", shape=[64]),
        site("n.bias", "param_grad", mean=-0.1, parent="n", module_type="LayerNorm", shape=[64]),
    ]
    assert skip_reasons("PAR01", trace(rows))


@pytest.mark.parametrize(("steps", "skipped"), [(19, True), (20, False)])
def test_twenty_samples_are_needed(steps, skipped):
    rows = trace(affine("a", line(0.5, steps)), steps=steps)
    assert bool(skip_reasons("PAR01", rows)) is skipped


def test_dense_samples_at_the_start_make_no_walk_look_slower_later():
    at = [*range(20), 40, 60, 80, 100]
    walk = [step / 200 for step in at]
    rows = trace_of(steps=101, sampled=at, sites=affine("a", walk))
    assert findings("PAR01", rows)


@pytest.mark.parametrize(("last", "skipped"), [(74, True), (75, False)])
def test_samples_must_reach_the_last_quarter_of_the_run(last, skipped):
    at = [*range(20), last]
    rows = trace_of(steps=101, sampled=at, sites=affine("a", [step / 200 for step in at]))
    assert bool(skip_reasons("PAR01", rows)) is skipped


@pytest.mark.parametrize("value", [None, float("nan"), float("inf"), 0.0, 1.0])
@pytest.mark.parametrize("steps", [1, STEPS])
def test_degenerate_parameters_raise_nothing(value, steps):
    run_rule("PAR01", trace(affine("a", value, pull=value, weight=value), steps=steps))
    run_rule("PAR01", trace_of())
