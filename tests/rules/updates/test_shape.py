import pytest
from rules.builders import event, findings, site, skip_reasons, trace_of

from nntrace.rules import Severity

SAMPLED = list(range(20))


def layer(path, ratio, *, lr=0.1, size=1.0, dtype="float32", quartiles=(-1.0, 1.0), **update):
    common = {"shape": [64, 64], "numel": 4096, "dtype": dtype}
    low, high = quartiles
    return [
        site(path, "param", rms=size, q25=low, q75=high, **common),
        site(path, "param_grad", rms=1.0, zero_fraction=0.0, **common),
        site(path, "update", rms=ratio, lr=lr, **common, **update),
    ]


def trace(*layers, **values):
    return trace_of(steps=20, sites=[row for rows in layers for row in rows], **values)


# UPD03


@pytest.mark.parametrize(("slow", "found"), [(0.9e-6, 1), (1.1e-6, 0)])
def test_layers_whose_updates_differ_a_thousandfold(slow, found):
    results = findings("UPD03", trace(layer("a.weight", 1e-3), layer("b.weight", slow)))
    assert [finding.site.path for finding in results] == ["b.weight"] * found


@pytest.mark.parametrize(("fast", "explained"), [(1.1e-4, ("UPD02",)), (0.9e-4, ())])
def test_where_one_layer_learns_as_usual_the_others_are_not_slow_by_the_rate(fast, explained):
    [finding] = findings("UPD03", trace(layer("a.weight", fast), layer("b.weight", fast / 1100)))
    assert finding.explains == explained


@pytest.mark.parametrize(("fan_in", "found"), [(8200, 1), (8000, 0)])
def test_a_head_that_starts_near_zero_moves_by_much_of_its_size_and_by_little(fan_in, found):
    head = layer("head.weight", 1e-5, size=1e-5, fan_in=fan_in)
    assert len(findings("UPD03", trace(head, layer("b.weight", 0.9e-6)))) == found


@pytest.mark.parametrize(("high", "found"), [(0.9e-3, 0), (1.1e-3, 1)])
def test_weights_of_which_some_stand_for_minus_infinity_are_left_out(high, found):
    others = layer("a.weight", 1e-3), layer("c.weight", 1e-3)
    slow = layer("b.weight", 0.9e-6, quartiles=(-1.0, high))
    assert len(findings("UPD03", trace(*others, slow))) == found


@pytest.mark.parametrize(("equal", "found"), [(1, 1), (2, 0)])
def test_layers_must_differ_in_nine_of_ten_late_samples(equal, found):
    slow = [0.9e-6] * (20 - equal) + [1e-3] * equal
    results = findings("UPD03", trace(layer("a.weight", 1e-3), layer("b.weight", slow)))
    assert len(results) == found


def test_rates_that_differ_by_layer_are_meant():
    layers = layer("a.weight", 1e-3, lr=0.1), layer("b.weight", 0.9e-6, lr=0.0001)
    assert findings("UPD03", trace(*layers)) == []


@pytest.mark.parametrize(("end", "level"), [(0.55, Severity.WARNING), (0.4, Severity.INFO)])
def test_layers_that_differ_in_a_model_that_learns_are_noted(end, level):
    layers = layer("a.weight", 1e-3), layer("b.weight", 0.9e-6)
    [finding] = findings("UPD03", trace(*layers, loss=[1.0] * 10 + [end] * 10))
    assert finding.level is level


@pytest.mark.parametrize(("slow", "level"), [(5e-8, Severity.WARNING), (7e-8, Severity.INFO)])
def test_steps_that_are_lost_to_rounding_are_a_warning_in_any_model(slow, level):
    layers = layer("a.weight", 1e-3), layer("b.weight", slow)
    [finding] = findings("UPD03", trace(*layers, loss=[1.0] * 10 + [0.1] * 10))
    assert finding.level is level


def test_what_another_optimizer_has_taken_over_has_a_rate_that_is_not_known():
    layers = layer("a.weight", 1e-3, optimizer="SGD.2"), layer("b.weight", 0.9e-6, optimizer="SGD")
    sites = [row for pair in layers for row in pair]
    taken_over = ["SGD"] * 20 + ["SGD.2"] * 20
    assert skip_reasons("UPD03", trace_of(steps=40, optimizer=taken_over, sites=sites))
    assert findings("UPD03", trace_of(steps=40, optimizer=["SGD.2", "SGD"] * 20, sites=sites))


def test_groups_whose_rates_start_at_zero_cannot_be_compared():
    layers = layer("a.weight", 1e-3, lr=0.0), layer("b.weight", 0.9e-6, lr=0.0)
    sites = [row for pair in layers for row in pair]
    several = [event("optimizer", name="SGD", groups=2)]
    assert skip_reasons("UPD03", trace_of(steps=40, events=several, sites=sites))
    assert findings("UPD03", trace_of(steps=40, sites=sites))


def test_what_does_not_change_at_all_is_left_to_another_rule():
    assert skip_reasons("UPD03", trace(layer("a.weight", 1e-3), layer("b.weight", 0.0)))


# UPD13


@pytest.mark.parametrize(("unchanged", "found"), [(0.21, 1), (0.19, 0)])
@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_coarse_parameters_that_do_not_change(dtype, unchanged, found):
    rows = layer("a.weight", 1e-3, dtype=dtype, zero_fraction=unchanged)
    assert len(findings("UPD13", trace(rows))) == found


@pytest.mark.parametrize(("end", "level"), [(0.51, "warning"), (0.49, "info")])
def test_a_model_that_learns_with_coarse_parameters_is_told_and_not_blamed(end, level):
    rows = layer("a.weight", 1e-3, dtype="bfloat16", zero_fraction=0.5)
    (finding,) = findings("UPD13", trace(rows, loss=[1.0] * 10 + [end] * 10))
    assert finding.level.value == level


def test_elements_without_a_gradient_are_not_lost():
    rows = layer("a.weight", 1e-3, dtype="bfloat16", zero_fraction=0.6)
    rows[1]["stats"]["zero_fraction"] = 0.5
    assert findings("UPD13", trace(rows)) == []


@pytest.mark.parametrize(("samples", "skipped"), [(9, True), (10, False)])
def test_ten_samples_are_needed_to_tell_what_is_lost(samples, skipped):
    rows = layer("a.weight", 1e-3, dtype="bfloat16", zero_fraction=0.5)
    told = skip_reasons("UPD13", trace_of(steps=20, sampled=range(samples), sites=rows))
    assert bool(told) is skipped


def test_float32_loses_nothing_to_rounding():
    assert skip_reasons("UPD13", trace(layer("a.weight", 1e-3, zero_fraction=0.9)))


# UPD16


@pytest.mark.parametrize(("kurtosis", "found"), [(101.0, 1), (99.0, 0)])
def test_updates_made_by_a_few_elements_are_noted(kurtosis, found):
    assert len(findings("UPD16", trace(layer("a.weight", 1e-3, kurtosis=kurtosis)))) == found
