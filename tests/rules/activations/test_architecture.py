from itertools import pairwise

import pytest
from rules.builders import event, findings, site, skip_reasons, trace_of

from nntrace.rules import Severity

STEPS = 20


def module(
    path, kind="Linear", *, shape=(32, 32), fans=(32, 32), rate=None, grads=None, dtype="float32"
):
    """A module with its output, and for a layer its weight and bias and their gradients."""
    found = [site(path, "activation", module_type=kind, shape=[8, shape[0]], dropout_rate=rate)]
    if kind not in ("Linear", "Conv2d", "BatchNorm2d", "LayerNorm"):
        return found
    owner = {"module_type": kind, "parent": path, "dtype": dtype}
    if "Norm" not in kind:
        owner |= {"fan_in": fans[0], "fan_out": fans[1]}
        matrix = {"shape": list(shape), "numel": 1024}
        found += [
            site(f"{path}.weight", "param", rms=0.1, **owner, **matrix),
            site(f"{path}.weight", "param_grad", rms=1.0, **owner, **matrix),
        ]
    bias = {"shape": [shape[0]], "numel": shape[0]}
    return [
        *found,
        site(f"{path}.bias", "param", rms=0.1, **owner, **bias),
        site(f"{path}.bias", "param_grad", rms=1.0 if grads is None else grads, **owner, **bias),
    ]


def graph(*chains):
    """The event of a data flow; an operation's name begins with a colon and may be told apart by
    what follows a hash."""
    names = list(dict.fromkeys(name for chain in chains for name in chain.split()))
    edges = [
        [names.index(one), names.index(two)]
        for chain in chains
        for one, two in pairwise(chain.split())
    ]
    return event("graph", vertices=[name.partition("#")[0] for name in names], edges=edges)


def trace(*modules, flow=(), loss=1.0):
    sites = [row for rows in modules for row in rows]
    return trace_of(steps=STEPS, loss=loss, sites=sites, events=[graph(*flow)] if flow else [])


# ACT08


@pytest.mark.parametrize(("taker", "found"), [(":glu", 0), (":mul", 1)])
def test_a_layer_that_makes_a_gate_and_what_it_gates_is_more_than_linear(taker, found):
    rows = trace(module("a"), module("b"), flow=[f"a b {taker} :loss"])
    assert len(findings("ACT08", rows)) == found


def test_two_layers_in_a_row_are_a_warning():
    rows = trace(module("a"), module("b"), flow=["a b :loss"])
    [finding] = findings("ACT08", rows)
    assert finding.level is Severity.WARNING
    assert finding.evidence == {"first": ["a"], "second": ["b"]}
    assert finding.site.path == "b"


@pytest.mark.parametrize(
    ("second", "level"), [("Head.0", Severity.INFO), ("Headless.0", Severity.WARNING)]
)
def test_where_one_model_ends_and_another_begins_it_is_information(second, level):
    rows = [*module("a"), *module(second)]
    events = [graph(f"a {second} :loss"), event("mode", model="Head", training=True)]
    [finding] = findings("ACT08", trace_of(steps=STEPS, sites=rows, events=events))
    assert finding.level is level


@pytest.mark.parametrize("between", ["Dropout", "Flatten", "AdaptiveAvgPool2d", "BatchNorm2d"])
def test_what_is_linear_between_them_does_not_help(between):
    rows = trace(module("a"), module("m", between), module("b"), flow=["a m b :loss"])
    assert findings("ACT08", rows)


@pytest.mark.parametrize("between", ["ReLU", "LayerNorm", "MaxPool2d", "Custom"])
def test_what_is_not_linear_does(between):
    rows = trace(module("a"), module("m", between), module("b"), flow=["a m b :loss"])
    assert not findings("ACT08", rows)


def test_a_functional_activation_is_seen():
    assert not findings("ACT08", trace(module("a"), module("b"), flow=["a :relu b :loss"]))


def test_an_output_that_enters_a_residual_sum_too_is_healthy():
    rows = trace(module("a"), module("b"), flow=["a b :add :loss", "a :add"])
    assert not findings("ACT08", rows)


@pytest.mark.parametrize(("inner", "found"), [(31, 0), (32, 1)])
def test_a_bottleneck_is_deliberate(inner, found):
    one, two = module("a", shape=(inner, 32)), module("b", shape=(32, inner))
    assert len(findings("ACT08", trace(one, two, flow=["a b :loss"]))) == found


def test_depthwise_convolutions_are_deliberate_and_a_gray_first_layer_is_none():
    one = module("a", "Conv2d", shape=(32, 1, 3, 3), fans=(9, 288))
    two = module("b", "Conv2d", shape=(64, 32, 1, 1), fans=(32, 64))
    assert not findings("ACT08", trace(one, two, flow=[":relu a b :loss"]))
    assert findings("ACT08", trace(one, two, flow=["a b :loss"]))


def test_grouped_convolutions_are_deliberate():
    one = module("a", "Conv2d", shape=(32, 32, 1, 1))
    two = module("b", "Conv2d", shape=(32, 8, 3, 3))
    assert not findings("ACT08", trace(one, two, flow=["a b :loss"]))


@pytest.mark.parametrize("code", ["ACT08", "ACT11"])
def test_without_the_data_flow_nothing_is_said(code):
    assert skip_reasons(code, trace(module("a"), module("d", "Dropout", rate=0.1), module("b")))


# ACT10


@pytest.mark.parametrize(("rate", "found"), [(0.51, 1), (0.5, 0)])
def test_a_rate_above_one_half_is_a_warning_where_the_loss_stays(rate, found):
    rows = trace(module("a"), module("d", "Dropout", rate=rate), module("b"), flow=["a d b :loss"])
    results = findings("ACT10", rows)
    assert len(results) == found
    assert all(f.level is Severity.WARNING for f in results)


@pytest.mark.parametrize(("end", "level"), [(0.6, Severity.WARNING), (0.4, Severity.INFO)])
def test_where_the_loss_comes_down_a_high_rate_is_information(end, level):
    rows = trace(module("d", "Dropout", rate=0.8), module("b"), loss=[1.0] * 5 + [end] * 15)
    [finding] = findings("ACT10", rows)
    assert finding.level is level


def test_dropout_on_the_predictions_is_a_warning():
    rows = trace(module("a"), module("d", "Dropout", rate=0.2), flow=["a d :logsoftmax :nllloss"])
    [finding] = findings("ACT10", rows)
    assert finding.level is Severity.WARNING
    assert "dropout acts on the output" in finding.message


def test_a_tied_head_after_dropout_is_a_layer():
    rows = trace(module("a"), module("d", "Dropout", rate=0.2), flow=["a d :mm :nllloss"])
    assert not findings("ACT10", rows)


def test_a_network_without_dropout_is_skipped():
    assert skip_reasons("ACT10", trace(module("a")))


# ACT11


def test_dropout_that_feeds_a_batch_norm_is_noted():
    rows = trace(
        module("d", "Dropout", rate=0.2), module("n", "BatchNorm2d"), flow=["d n :relu :loss"]
    )
    [finding] = findings("ACT11", rows)
    assert finding.level is Severity.INFO
    assert finding.evidence == {"dropout": "d", "norm": "n"}


@pytest.mark.parametrize(("layers", "found"), [("a", 1), ("a :relu b", 0)])
def test_it_may_pass_one_layer_on_the_way(layers, found):
    modules = [module("d", "Dropout", rate=0.2), module("a"), module("b")]
    rows = trace(*modules, module("n", "BatchNorm2d"), flow=[f"d {layers} n :loss"])
    assert len(findings("ACT11", rows)) == found


@pytest.mark.parametrize("norm", ["LayerNorm", "GroupNorm"])
def test_other_norms_keep_no_statistics(norm):
    rows = trace(module("d", "Dropout", rate=0.2), module("n", norm), flow=["d n :loss"])
    assert not findings("ACT11", rows)


# PAR06


@pytest.mark.parametrize(("gradient", "found"), [(0.9e-3, 1), (1.1e-3, 0)])
def test_a_bias_without_gradient_before_a_batch_norm_is_noted(gradient, found):
    rows = trace(
        module("a", "Conv2d", grads=gradient), module("n", "BatchNorm2d"), flow=["a n :relu :loss"]
    )
    results = findings("PAR06", rows)
    assert len(results) == found
    assert all(f.level is Severity.INFO and f.site.path == "a.bias" for f in results)


def test_where_the_data_flow_is_unknown_the_order_of_the_calls_tells():
    rows = trace(module("a", "Conv2d", grads=1e-6), module("n", "BatchNorm2d"))
    assert findings("PAR06", rows)


@pytest.mark.parametrize("flow", ["a n :loss", "a :relu n :loss"])
def test_a_layer_norm_or_an_activation_between_keeps_the_bias(flow):
    kind = "LayerNorm" if ":relu" not in flow else "BatchNorm2d"
    rows = trace(module("a", grads=1e-6), module("n", kind), flow=[flow])
    assert not findings("PAR06", rows)


def test_half_precision_is_too_coarse_to_tell():
    rows = trace(module("a", dtype="bfloat16"), module("n", "LayerNorm", dtype="bfloat16"))
    assert skip_reasons("PAR06", rows)
