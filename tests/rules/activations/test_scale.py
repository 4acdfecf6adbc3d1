import pytest
from rules.activations.layer_rows import UNITS, bounded, layer, plain, trace
from rules.builders import event, findings, run_rule, site, skip_reasons

from nntrace.rules import Severity


def norm(path):
    parameter = site(
        f"{path}.weight", "param", module_type="LayerNorm", parent=path, shape=[UNITS], numel=UNITS
    )
    return [parameter, plain(path, "LayerNorm", scale=1.0)]


def stack(*scales, steps=20):
    """Layers of these scales and a head."""
    layers = [layer(f"l{index}", scale=scale) for index, scale in enumerate(scales)]
    return trace(*layers, layer("head", scale=1.0), steps=steps)


# ACT02


@pytest.mark.parametrize(("last", "found"), [(0.9e-3, 1), (1.1e-3, 0)])
def test_a_signal_that_shrinks_a_thousandfold_is_a_warning(last, found):
    results = findings("ACT02", stack(1.0, 1.0, 0.03, last))
    assert len(results) == found
    assert all(f.level is Severity.WARNING and f.site.path == "l3" for f in results)


def test_a_large_bias_does_not_hide_that_the_signal_is_gone():
    gone = layer("l2", std=0.1, rms=0.1, example_std=1e-5)
    rows = [layer("l0", scale=1.0), layer("l1", scale=1.0), gone, layer("head", scale=1.0)]
    assert findings("ACT02", trace(*rows))


def test_a_zero_branch_beside_a_healthy_stream_is_no_vanishing_signal():
    rows = [layer("b.up", scale=1.0), layer("b.down", scale=1e-6), plain("b", "Block", scale=1.0)]
    assert not findings("ACT02", trace(layer("stem", scale=1.0), *rows, layer("head", scale=1.0)))


def test_a_norm_restores_a_small_signal():
    rows = [layer("l0", scale=1.0), layer("l1", scale=1e-6), norm("n"), layer("l2", scale=1.0)]
    rows += [layer("l3", scale=1.0)]
    assert not findings("ACT02", trace(*rows, layer("head", scale=1.0)))


def test_a_constant_layer_in_front_of_a_weak_signal_is_where_it_vanishes():
    [finding] = findings("ACT02", stack(1.0, 1.0, 0.0, 1e-5))
    assert "by at most 1e-05 from l2 on, 1.0e+05 times less" in finding.message


def test_a_signal_that_comes_back_is_healthy():
    recovers = [*[1e-5] * 8, *[0.5] * 12]
    assert not findings("ACT02", stack(1.0, 1.0, recovers))


@pytest.mark.parametrize(("dead", "explained"), [((0, 0, 1), ("ACT04",)), ((0, 1, 1), ())])
def test_units_that_die_where_no_signal_comes_are_a_symptom(dead, explained):
    scales = [1.0, 1e-5, 1e-6]
    rows = [
        layer(f"l{n}", scale=scale, dead_fraction=share)
        for n, (scale, share) in enumerate(zip(scales, dead, strict=True))
    ]
    [finding] = findings("ACT02", trace(*rows, layer("head", scale=1.0)))
    assert finding.explains == finding.not_explained_by == explained


def test_outputs_that_are_exactly_constant_are_another_rules():
    assert not findings("ACT02", stack(1.0, 1.0, 0.0))


def test_a_network_without_depth_cannot_vanish():
    assert skip_reasons("ACT02", stack(1.0))


# ACT03


@pytest.mark.parametrize(("last", "found"), [(101.0, 1), (99.0, 0)])
def test_a_signal_that_grows_a_hundredfold_with_depth_is_a_warning(last, found):
    results = findings("ACT03", stack(1.0, 1.0, 10.0, last))
    assert len(results) == found
    assert all(finding.evidence["kind"] == "depth" for finding in results)


@pytest.mark.parametrize(("last", "found"), [(101.0, 1), (99.0, 0)])
def test_a_signal_that_grows_a_hundredfold_in_time_is_a_warning(last, found):
    growing = [*[1.0] * 10, *[last] * 10]
    results = findings("ACT03", stack(growing, growing, growing))
    assert len(results) == found
    assert all(f.evidence["kind"] == "time" and f.steps == (10, 19) for f in results)


@pytest.mark.parametrize(("last", "found"), [(10.5, 1), (9.5, 0)])
def test_a_tiny_signal_that_grows_in_time_comes_to_what_is_usual(last, found):
    growing = [*[1e-6] * 10, *[last] * 10]
    assert len(findings("ACT03", stack(growing, growing, growing))) == found


@pytest.mark.parametrize(("end", "found"), [(1.1, 1), (0.9, 0)])
def test_growth_in_time_while_the_loss_halves_is_healthy(end, found):
    growing = [*[1.0] * 10, *[500.0] * 10]
    loss = [*[2.0] * 10, *[end] * 10]
    rows = [layer("l0", scale=growing), layer("l1", scale=growing), layer("head", scale=1.0)]
    assert len(findings("ACT03", trace(*rows, loss=loss))) == found


def test_growing_logits_are_healthy():
    rows = [layer("l0", scale=1.0), layer("l1", scale=1.0)]
    assert not findings("ACT03", trace(*rows, layer("head", scale=[1.0, *[500.0] * 19])))


def test_the_logits_of_two_heads_are_healthy():
    rows = [layer("l0", scale=1.0), layer("l1", scale=1.0)]
    heads = [
        layer("policy", scale=500.0, fans=(UNITS, 2)),
        layer("value", scale=1.0, fans=(UNITS, 1)),
    ]
    assert not findings("ACT03", trace(*rows, *heads))


def test_the_head_of_each_of_several_models_may_grow():
    growing = [*[1.0] * 10, *[500.0] * 10]
    rows = [layer("actor", scale=1.0), layer("l1", scale=1.0), layer("critic", scale=growing)]
    rows += [layer("l2", scale=1.0), layer("head", scale=1.0)]
    assert findings("ACT03", trace(*rows))
    graph = {"vertices": ["l1", "critic", ":sub"], "edges": [[0, 1], [1, 2]]}
    assert not findings("ACT03", trace(*rows, events=[event("graph", **graph)]))


def test_a_recurrent_layer_as_wide_as_its_input_is_no_head():
    rows = [layer("l0", scale=1.0), layer("l1", scale=1.0)]
    gates = layer("lstm", scale=500.0, fans=(UNITS, 4 * UNITS))
    assert findings("ACT03", trace(*rows, gates, layer("head", scale=1.0, fans=(UNITS, 1))))


def test_a_bottleneck_before_the_head_is_no_head():
    rows = [layer("l0", scale=1.0), layer("l1", scale=1.0)]
    narrow = [
        layer("code", scale=500.0, fans=(UNITS, 2)),
        layer("wide", scale=1.0, fans=(2, UNITS)),
    ]
    assert findings("ACT03", trace(*rows, *narrow, layer("head", scale=1.0, fans=(UNITS, 1))))


def test_a_stream_that_a_last_norm_takes_back_is_healthy():
    rows = [layer("l0", scale=1.0), layer("l1", scale=1e4), norm("n")]
    rows += [layer("l2", scale=1.0), layer("l3", scale=1.0), layer("head", scale=1.0)]
    assert not findings("ACT03", trace(*rows))


@pytest.mark.parametrize(("gradient", "kind", "found"), [(0, 0, 0), (1, 0, 1), (0, 1, 1)])
def test_what_has_neither_weights_nor_a_gradient_may_be_large(gradient, kind, found):
    """As the anchors of a detector, in pixels; not so a frozen layer, or what a gradient passes."""
    large = [plain("anchors", scale=148.0), layer("anchors", scale=148.0)][kind]
    passed = ["l0", "l1", "head", *(["anchors"] if gradient else [])]
    rows = [layer("l0", scale=1.0), layer("l1", scale=1.0), large, layer("head", scale=1.0)]
    rows += [site(path, "activation_grad", rms=0.1) for path in passed]
    assert len(findings("ACT03", trace(*rows))) == found


def test_a_branch_that_starts_at_zero_may_grow():
    assert not findings("ACT03", stack(1.0, 1.0, [0.0, *[1.0] * 19]))


def test_an_explosion_that_was_recovered_from_is_silent():
    assert not findings("ACT03", stack(1.0, 1.0, [*[500.0] * 5, *[2.0] * 15]))


# ACT04


# ACT05


# all


@pytest.mark.parametrize("code", ["ACT02", "ACT03", "ACT04", "ACT05"])
@pytest.mark.parametrize("value", [None, float("nan"), float("inf"), 0.0, 1.0])
@pytest.mark.parametrize("steps", [1, 20])
def test_degenerate_activations_raise_nothing(code, value, steps):
    names = ("std", "rms", "example_std", "min", "zero_fraction", "dead_fraction")
    values = dict.fromkeys(names, value)
    rows = [layer("a", **values), bounded(value, path="t"), layer("b", **values), layer("head")]
    run_rule(code, trace(*rows, steps=steps))
    run_rule(code, trace())
