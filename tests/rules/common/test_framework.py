from dataclasses import replace

import pytest
from rules.builders import event, site, trace_of

from nntrace.rules import get_rule
from nntrace.rules.common.framework import speaks_keras


def traced_with(*frameworks, **content):
    trace = trace_of(**content)
    trace.manifest = replace(trace.manifest, versions=dict.fromkeys(frameworks, "1"))
    return trace


@pytest.mark.parametrize(
    ("loaded", "is_keras"),
    [
        (["keras", "tensorflow"], True),
        (["keras", "torch"], True),
        (["keras", "jax"], True),
        (["torch"], False),
        (["keras", "tensorflow", "torch"], False),
    ],
)
def test_a_program_is_of_keras_unless_pytorch_trains_beside_it(loaded, is_keras):
    assert speaks_keras(traced_with(*loaded, steps=1)) is is_keras


@pytest.mark.parametrize(
    ("loaded", "parameter", "parent", "is_keras"),
    [
        (["keras", "torch"], "blocks.0.fc.weight", "blocks.0.fc", False),
        (["keras", "tensorflow", "torch"], "gru/gru_cell/kernel", "gru", True),
    ],
)
def test_of_two_frameworks_that_are_loaded_the_one_whose_model_is_traced_counts(
    loaded, parameter, parent, is_keras
):
    sites = [site(parameter, "param", parent=parent)]
    assert speaks_keras(traced_with(*loaded, sites=sites, steps=1)) is is_keras


@pytest.mark.parametrize("framework", ["keras", "torch"])
def test_advice_is_given_in_the_words_of_the_framework(framework):
    wrong = event("mode", 0, model="", training=False, dropout_inactive=2)
    rule = get_rule("RUN01")
    [finding] = rule.run(traced_with(framework, steps=9, events=[wrong]))
    assert finding.advice == (rule.in_keras if framework == "keras" else rule.advice)
    assert rule.in_keras != rule.advice
