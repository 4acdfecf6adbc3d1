from collections import Counter

import numpy as np
from hypothesis import HealthCheck, given, settings
from rules.test_properties import traces

from nntrace.recipe import STEPS, Stage
from nntrace.recipe.step import KARPATHY, REASONS
from nntrace.rules import all_rules

# No step of the recipe asks for them: several ranks, time and memory, and too short a run.
OUTSIDE = {
    *("DST01", "DST02", "DST03", "DST04", "DST05", "DST06"),
    *("RUN07", "RUN08", "RUN09", "RUN10", "RUN12"),
}


def test_every_rule_belongs_to_one_step_or_is_none_of_the_recipes():
    used = Counter(code for step in STEPS for code in step.rules)
    assert set(used) | OUTSIDE == set(all_rules())
    assert set(used.values()) == {1}
    assert all(set(step.needs) <= set(step.rules) for step in STEPS)


def test_steps_are_numbered_in_order_within_their_stages():
    for stage in Stage:
        numbers = [step.number for step in STEPS if step.stage is stage]
        assert numbers == [f"{stage.number}.{place + 1}" for place in range(len(numbers))]
    assert [step.stage.number for step in STEPS] == sorted(step.stage.number for step in STEPS)


def test_every_step_says_what_to_do_and_where_it_comes_from():
    for step in STEPS:
        assert step.how.endswith((".", "?"))
        assert set(step.sources) <= {KARPATHY, REASONS}
        assert step.sources


@given(traces())
@settings(max_examples=25, suppress_health_check=list(HealthCheck))
def test_no_fact_raises_on_any_trace(trace):
    with np.errstate(all="ignore"):
        for step in STEPS:
            fact = step.fact and step.fact(trace)
            assert fact is None or fact.text
