"""What holds for every installed rule on any trace."""

import json
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from rules.builders import event, site, trace_of
from rules.checks import run

from nntrace.rules import Finding, Rule, Skipped, all_rules, select_rules
from nntrace.schema import STATISTICS, EventKind, Role
from nntrace.trace import Trace

RULES = tuple(all_rules().values())
PROBES = tuple(rule for rule in RULES if rule.experiments)
RANK_RULES = tuple(rule for rule in RULES if rule.code.startswith("DST"))
NUMBERS = st.one_of(
    st.none(),
    st.sampled_from([0.0, 1.0, -1.0, 1e-30, 1e30, float("nan"), float("inf"), -float("inf")]),
    st.floats(-1e3, 1e3, width=32),
)
PATHS = st.sampled_from(
    ["", "fc1", "fc1.weight", "fc1.bias", "block.0", "cross_entropy", "input.0"]
)
MODULES = st.sampled_from(["", "Linear", "ReLU", "Sigmoid", "BatchNorm1d", "Embedding", "LSTM"])
SMALL = st.one_of(st.none(), st.integers(0, 40))


@st.composite
def series(draw: Any, steps: int) -> Any:
    """One value for all steps, a walk, or a value for each step."""
    kind = draw(st.sampled_from(["constant", "walk", "walk", "any"]))
    if kind == "constant" or steps == 0:
        return draw(NUMBERS)
    if kind == "walk":
        rng = np.random.default_rng(draw(st.integers(0, 99)))
        slope = draw(st.sampled_from([-0.1, 0.0, 0.1, 10.0]))
        values: list[float | None] = (np.abs(rng.normal(1, 0.1, steps).cumsum()) * slope).tolist()
        for index in draw(st.lists(st.integers(0, steps - 1), max_size=3)):
            values[index] = draw(NUMBERS)
        return values
    return draw(st.lists(NUMBERS, min_size=steps, max_size=steps))


CORE = (
    *(("input.0", Role.INPUT), ("fc1", Role.ACTIVATION), ("fc2", Role.ACTIVATION)),
    *(
        ("cross_entropy", Role.OUTPUT),
        ("cross_entropy", Role.TARGET),
        ("fc1", Role.ACTIVATION_GRAD),
    ),
    *(("fc1.weight", Role.PARAM), ("fc1.weight", Role.PARAM_GRAD), ("fc1.weight", Role.UPDATE)),
)
KEYED = st.lists(st.tuples(PATHS, st.sampled_from(list(Role))), unique=True, max_size=6)


@st.composite
def sites(draw: Any, steps: int) -> list[dict[str, Any]]:
    """Those of a small network with all statistics, a few of them replaced, or any sites."""
    is_core = draw(st.booleans())
    usual = {name: draw(series(steps)) for name in ("mean", "std", "zero_fraction")}
    rows = []
    for path, role in CORE if is_core else draw(KEYED):
        columns = {
            "module_type": draw(MODULES),
            "shape": draw(st.sampled_from([[], [8], [8, 3], [8, 3, 4, 4], [0]])),
            "dtype": draw(st.sampled_from(["float32", "float32", "int64", "bfloat16", ""])),
            "numel": draw(st.integers(0, 9)),
            "parent": draw(PATHS),
            "fan_in": draw(SMALL),
            "fan_out": draw(SMALL),
            "range_low": draw(st.sampled_from([None, 0.0, -1.0])),
            "range_high": draw(st.sampled_from([None, 0.0, 1.0])),
        }
        if is_core:
            columns |= dict.fromkeys(STATISTICS, draw(st.sampled_from([0.0, 0.5, 30.0])))
            columns |= usual | {"min": usual["mean"], "max": usual["mean"], "n": 4096}
        if draw(st.booleans()):
            names = draw(st.lists(st.sampled_from(STATISTICS), unique=True, max_size=4))
            columns |= {name: draw(series(steps)) for name in names}
            columns["n"] = draw(st.sampled_from([0, 1, 4096]))
        rows.append(site(path, role, **columns))
    return rows


@st.composite
def batches_of(draw: Any, steps: int) -> list[dict[str, Any]]:
    names = ("input_mean", "input_std", "target_mean", "target_std", "target_min", "target_max")
    names += ("loss_value", "row_lse_min", "row_lse_max", "clamped_fraction")
    names += ("feature_spread_low", "feature_spread_high")
    functions = ["cross_entropy", "mse_loss", "binary_cross_entropy_with_logits", "other", None]
    values = {name: draw(NUMBERS) for name in draw(st.lists(st.sampled_from(names), unique=True))}
    values |= dict.fromkeys(("row_sum_min", "row_sum_max"), draw(st.sampled_from([None, 1.0, 9.0])))
    values |= dict.fromkeys(("output_min", "output_max"), draw(NUMBERS))
    function, classes, size = draw(st.sampled_from(functions)), draw(SMALL), draw(SMALL)
    fingerprint = draw(st.sampled_from([None, 1]))
    return [
        {
            "step": step,
            "phase": draw(st.sampled_from(["train", "train", "eval", None])),
            "fingerprint": fingerprint,
            "batch_size": size,
            "classes": classes,
            "loss_function": function,
            "input_integer_valued": draw(st.sampled_from([None, True, False])),
            "label_values": draw(st.sampled_from([None, [0], [0, 1], [-100, 5, 6], [3, 3]])),
            "label_counts": draw(st.sampled_from([None, [], [4], [0, 4], [1, 2, 300]])),
            "term_names": draw(st.sampled_from([None, [], ["a", "penalty"], ["mse_loss", "b"]])),
            "term_values": draw(st.sampled_from([None, [1.0], [0.0, 0.0], [500.0, 1.0]])),
            **values,
        }
        for step in range(min(steps, 12))
    ]


KEYS = (
    *("training", "dropout_inactive", "norm_inactive", "model", "function", "reduction", "file"),
    *("line", "site", "role", "dataset_size", "batch_size", "lr", "weight_decay", "momentum"),
    *("wrapper", "group_size", "world_size", "sharded", "hooks", "status", "error", "sampler"),
    *("shape", "target_shape", "head", "loader", "steps", "examples", "group", "loss", "where"),
    *("input_shape", "input_mean", "input_std", "broadcast", "clamped", "metrics", "index"),
    *("vertices", "edges", "accelerator", "built", "calls", "class", "complete", "decoupled"),
    *("device", "dropout_active", "norm_active", "norm_trained", "groups", "name", "nan"),
    *("loss_function", "number", "order", "path", "replaces", "shuffle", "source", "stateful"),
    *("starved", "supported", "terms", "weights", "weighted", "optimizer_stepped", "horizon"),
    "cell",
)
PAYLOADS = st.dictionaries(
    st.sampled_from(KEYS),
    st.one_of(
        st.none(),
        st.booleans(),
        st.integers(-3, 99),
        st.text(max_size=3),
        PATHS,
        st.just(["fc1", "block.0", ":add"]),
        st.just([[0, 1], [1, 2], [2, 0], [7, 1], None]),
        st.sampled_from(
            [[], [8, 1], [8], [[8], [8, 8]], "softmax", {"val_loss": 1.0, "acc": None}]
        ),
    ),
    max_size=6,
)
KINDS = st.sampled_from([kind.value for kind in EventKind])
ANSWERS = st.fixed_dictionaries(
    {"state": st.sampled_from(["found", "noted", "clean", "unknown", None, 3])},
    optional={
        "text": st.text(max_size=3),
        "evidence": st.sampled_from([None, [], {"a": 1.0}]),
        "file": st.sampled_from(["train.py", 3]),
        "line": st.sampled_from([1, "x", None]),
    },
)
NAMED = st.one_of(st.just([]), st.dictionaries(PATHS, st.one_of(ANSWERS, st.none()), max_size=2))
TOLD = st.fixed_dictionaries(
    {},
    optional={
        "problem": st.sampled_from(["", "no model was found"]),
        "floor": st.sampled_from([0.0, -1.0, 1e30, None, "low"]),
        "rate": st.sampled_from([1e-3, 0.0, -1.0, 1e30, None, "high"]),
        "dropout": st.booleans(),
        "weight_decay": st.booleans(),
        "mixing": ANSWERS,
        "causality": ANSWERS,
        "functions": NAMED,
        "layers": NAMED,
    },
)


@st.composite
def traces(draw: Any) -> Trace:
    steps = draw(st.sampled_from([0, 1, 2, 3, 12, 60, 250]))
    sampled = sorted(draw(st.sets(st.integers(0, max(0, steps - 1)), max_size=8))) if steps else []
    if steps and draw(st.booleans()):
        sampled = list(range(min(steps, 12)))
    return trace_of(
        steps=steps,
        sampled=sampled,
        loss=draw(series(steps)),
        lr=draw(series(steps)),
        grad_norm=draw(series(steps)),
        phase=draw(st.sampled_from(["train", "eval", None])),
        optimizer=draw(st.sampled_from(["SGD", None, ["SGD", "Adam"]])),
        gradients_cleared=draw(st.sampled_from([None, True, False])),
        sites=draw(sites(len(sampled))),
        batches=draw(batches_of(steps)),
        events=[
            event(kind, step, **payload)
            for kind, step, payload in draw(
                st.lists(st.tuples(KINDS, st.integers(0, 12), PAYLOADS), max_size=4)
            )
        ],
    )


def results(rule: Rule, trace: Trace) -> list[Finding | Skipped]:
    with np.errstate(all="ignore"):
        return list(rule.run(trace))


@given(traces())
@settings(
    max_examples=150, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True
)
def test_no_rule_raises_on_any_trace(trace):
    for rule in RULES:
        for result in results(rule, trace):
            assert result.code == rule.code
            if isinstance(result, Finding):
                json.dumps(result.evidence)


@given(traces(), st.randoms(use_true_random=False))
@settings(max_examples=50, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True)
def test_the_order_of_the_rows_of_statistics_and_sites_changes_no_finding(trace, random):
    tables = {name: trace.table(name) for name in ("sites", "steps", "stats", "data", "events")}
    order = list(range(tables["stats"].num_rows))
    random.shuffle(order)
    tables["stats"] = tables["stats"].take(pa.array(order, pa.int64()))
    by_chance = random.sample(range(tables["sites"].num_rows), tables["sites"].num_rows)
    tables["sites"] = tables["sites"].take(pa.array(by_chance, pa.int64()))
    shuffled = Trace(tables, trace.manifest)
    for rule in RULES:
        assert repr(results(rule, trace)) == repr(results(rule, shuffled))


@given(st.lists(traces(), min_size=2, max_size=4), st.randoms(use_true_random=False))
@settings(max_examples=30, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True)
def test_no_rule_raises_on_any_ranks_and_their_order_changes_no_finding(ranks, random):
    found = []
    for _ in range(2):
        named = [(trace, trace.rank) for trace in ranks]
        for number, trace in enumerate(ranks):
            trace.rank = number
        whole = Trace.from_ranks(random.sample(ranks, len(ranks)))
        found.append([repr(results(rule, whole)) for rule in RANK_RULES])
        for trace, number in named:
            trace.rank = number
    assert found[0] == found[1]


@st.composite
def checks(draw: Any) -> Trace:
    """The experiments that the probes ask for, each with any course of its loss."""
    names = sorted({name for rule in PROBES for name in rule.experiments} | {"overfit-other-rate"})
    runs = {}
    for name in ["baseline", *draw(st.lists(st.sampled_from(names), unique=True))]:
        steps = draw(st.sampled_from([0, 1, 2, 40, 120]))
        losses = np.broadcast_to(np.array(draw(series(steps)), dtype=float), steps)
        runs[name] = run(
            name,
            losses,
            told=draw(TOLD),
            optimizers=draw(st.sampled_from([("Adam",), ("Adam",), ("Adam", "SGD")])),
            rates=draw(st.sampled_from([None, np.geomspace(1e-7, 10, 120)])),
            accuracy=draw(st.sampled_from([None, [0.5], [1.0] * 40, [float("nan")]])),
        )
    return Trace.from_experiments(runs.pop("baseline"), **runs)


@given(checks())
@settings(max_examples=15, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True)
def test_no_probe_raises_on_any_experiments(trace):
    for rule in PROBES:
        for result in results(rule, trace):
            assert result.code == rule.code


def test_each_installed_rule_is_tried_on_any_trace_and_each_probe_on_any_experiments():
    assert {rule.code for rule in RULES} == {rule.code for rule in select_rules()}
    assert {rule.code for rule in PROBES} == {r.code for r in RULES if r.code.startswith("PRB")}


def test_the_rules_explain_each_other_without_circles():
    above = {rule.code: set(rule.explains) for rule in RULES}
    while above:
        free = [code for code in above if not any(code in codes for codes in above.values())]
        assert free, f"a circle of causes among {sorted(above)}"
        for code in free:
            del above[code]


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.code)
def test_every_rule_documents_itself_and_its_thresholds(rule):
    assert rule.summary.endswith(".")
    assert "Source" in rule.doc
    assert rule.advice
    assert all(threshold.doc for threshold in rule.thresholds)
