import numpy as np
import pytest
from rules.builders import batches, event, findings, site, skip_reasons, trace_of

from nntrace.rules import Severity

WIDTH = 32
STEPS = 20


def layer(path, scale, kind="Linear", later=None):
    """A layer with a weight, whose output has this scale, or another after the first step."""
    owner = {"module_type": kind, "parent": path, "shape": [WIDTH, WIDTH], "numel": WIDTH * WIDTH}
    series = [scale, *[scale if later is None else later] * (STEPS - 1)]
    return [
        site(f"{path}.weight", "param", rms=0.1, fan_in=WIDTH, fan_out=WIDTH, **owner),
        site(
            path, "activation", module_type=kind, shape=[8, WIDTH], std=series, example_std=series
        ),
    ]


def norm(path):
    return [
        site(f"{path}.weight", "param", module_type="LayerNorm", parent=path, shape=[WIDTH]),
        site(path, "activation", module_type="LayerNorm", shape=[8, WIDTH], example_std=1.0),
    ]


def trace(*layers, loss=1.0, **columns):
    sites = [row for rows in layers for row in rows]
    return trace_of(steps=STEPS, loss=loss, sites=sites, **columns)


def stack(*scales, later=None, **columns):
    layers = [layer(f"l{index}", scale, later=later) for index, scale in enumerate(scales)]
    return trace(*layers, layer("head", 1.0), **columns)


FALLING = list(np.geomspace(1, 0.01, STEPS))


# INI03


@pytest.mark.parametrize(
    ("scales", "found"),
    [
        ((1.0, 1.0, 0.3, 0.09), 1),
        ((1.0, 1.0, 0.3, 0.11), 0),
        ((1.0, 1.0, 4.0, 11.0), 1),
        ((1.0, 1.0, 4.0, 9.0), 0),
        ((4.0, 4.0, 4.0, 4.0), 0),
        ((4.0, 4.0, 1.2, 0.36), 1),
    ],
)
def test_a_signal_that_changes_tenfold_with_depth_is_a_warning(scales, found):
    results = findings("INI03", stack(*scales))
    assert len(results) == found
    assert all(f.level is Severity.WARNING and f.site.path == "l3" for f in results)
    assert all(f.steps == (0, 0) for f in results)
    assert all(f.explains == (("ACT04",) if scales[-1] < 1 else ()) for f in results)


@pytest.mark.parametrize(("end", "level"), [(0.6, Severity.WARNING), (0.4, Severity.INFO)])
def test_where_the_loss_comes_down_it_is_only_information(end, level):
    [finding] = findings("INI03", stack(1.0, 1.0, 0.3, 0.05, loss=[1.0] * 5 + [end] * 15))
    assert finding.level is level


def test_where_the_course_of_the_loss_says_nothing_it_is_only_information():
    taking_turns = {"optimizer": ["Adam", "Adam.2"] * 10}
    [finding] = findings("INI03", stack(1.0, 1.0, 0.3, 0.05, **taking_turns))
    assert finding.level is Severity.INFO


def test_a_signal_that_comes_back_in_training_is_only_information():
    [finding] = findings("INI03", stack(1.0, 1.0, 0.3, 0.05, later=1.0))
    assert finding.level is Severity.INFO


def test_one_layer_that_stands_out_is_no_trend():
    assert not findings("INI03", stack(1.0, 1.0, 2.0, 1.0, 2.0, 1.0, 0.05))


def test_what_lies_before_the_last_norm_does_not_count():
    layers = [layer(f"l{i}", scale) for i, scale in enumerate((1.0, 1.0, 0.1, 0.01))]
    after = [layer(f"m{i}", 1.0) for i in range(4)]
    assert not findings("INI03", trace(*layers, norm("norm"), *after, layer("head", 1.0)))


def test_three_layers_show_no_trend_with_depth():
    assert skip_reasons("INI03", stack(1.0, 0.1, 0.01))


def test_a_run_whose_first_step_was_not_sampled_says_nothing_of_its_start():
    late = stack(1.0, 1.0, 0.3, 0.05, sampled=range(1, STEPS))
    assert skip_reasons("INI03", late)


# INI04


def regression(mean, std, output=0.0, function="mse_loss"):
    shape = {"module_type": function, "shape": [64, 1]}
    return trace_of(
        steps=STEPS,
        loss=1.0,
        sites=[
            site(function, "output", mean=output, std=0.1, **shape),
            site(function, "target", mean=mean, std=std, **shape),
        ],
        batches=batches(STEPS, batch_size=64, loss_function=function),
    )


@pytest.mark.parametrize(("mean", "found"), [(31.0, 1), (29.0, 0), (-31.0, 1)])
def test_outputs_that_start_at_zero_before_distant_targets_are_noted(mean, found):
    results = findings("INI04", regression(mean, 10.0))
    assert len(results) == found
    assert all(f.level is Severity.INFO and "learn the mean" in f.message for f in results)


@pytest.mark.parametrize(("output", "found"), [(9.0, 1), (11.0, 0)])
def test_outputs_that_start_near_the_targets_are_not(output, found):
    assert len(findings("INI04", regression(50.0, 10.0, output=output))) == found


def classification(counts, spread=0.3, events=()):
    function = "cross_entropy"
    return trace_of(
        steps=STEPS,
        loss=1.0,
        sites=[
            site(function, "output", mean=0.0, std=spread, module_type=function, shape=[64, 3]),
            site(function, "target", mean=0.5, std=0.5, module_type=function, shape=[64]),
        ],
        events=list(events),
        batches=batches(
            STEPS,
            batch_size=64,
            loss_function=function,
            classes=len(counts),
            label_values=tuple(range(len(counts))),
            label_counts=tuple(counts),
        ),
    )


@pytest.mark.parametrize(
    ("counts", "spread", "found"),
    [((90, 10), 0.3, 1), ((88, 12), 0.3, 0), ((90, 10), 1.1, 0), ((50, 50), 0.3, 0)],
)
def test_outputs_at_even_chances_before_rare_classes_are_noted(counts, spread, found):
    assert len(findings("INI04", classification(counts, spread))) == found


def test_even_chances_may_be_right_where_rare_classes_are_weighted():
    call = event("loss_call", function="cross_entropy", weighted=True)
    assert skip_reasons("INI04", classification((90, 10), events=[call]))


def test_a_loss_whose_prior_is_not_known_is_skipped():
    assert skip_reasons("INI04", regression(50.0, 10.0, function="kl_div"))


# INI05


def bounded(share, **columns):
    activation = {"module_type": "Tanh", "shape": [8, WIDTH], "range_low": -1.0, "range_high": 1.0}
    series = [share, *[0.0] * (STEPS - 1)]
    tanh = site("tanh", "activation", std=1.0, rms=1.0, saturated_fraction=series, **activation)
    return trace(layer("a", 1.0), [tanh], layer("head", 1.0), **columns)


@pytest.mark.parametrize(("share", "found"), [(0.51, 1), (0.49, 0)])
def test_a_hidden_tanh_that_starts_at_its_ends_is_a_warning(share, found):
    results = findings("INI05", bounded(share))
    assert len(results) == found
    assert all(f.level is Severity.WARNING and f.site.path == "tanh" for f in results)


def logits(function, spread):
    output = site(function, "output", std=[spread, *[1.0] * (STEPS - 1)], module_type=function)
    return trace(layer("a", 1.0), [output])


@pytest.mark.parametrize(("spread", "found"), [(10.1, 1), (9.9, 0)])
def test_huge_first_logits_are_a_warning(spread, found):
    results = findings("INI05", logits("cross_entropy", spread))
    assert len(results) == found
    assert all("logits" in f.message for f in results)


@pytest.mark.parametrize(("quartile", "found"), [(6.8, 1), (6.7, 0)])
def test_a_few_masked_logits_are_not_huge_ones(quartile, found):
    masked = {"std": 1e8, "q25": -quartile, "q75": quartile}
    output = site("cross_entropy", "output", module_type="cross_entropy", **masked)
    assert len(findings("INI05", trace(layer("a", 1.0), [output]))) == found


def test_huge_first_outputs_of_a_regression_are_no_logits():
    assert skip_reasons("INI05", logits("mse_loss", 100.0))
