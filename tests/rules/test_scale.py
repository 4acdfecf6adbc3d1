"""How the work of all rules grows with the number of layers: a mixture of experts has thousands."""

import sys
from types import FrameType
from typing import Any

import numpy as np
import pytest
from rules.builders import site, trace_of

from nntrace.rules import Rule, select_rules
from nntrace.trace import Trace

LAYERS = 150
SAMPLES = 12
MOST = 2.2  # times as many lines for twice as many layers: 4 where each layer looks at all others


def experts(layers: int) -> Trace:
    """Linear layers, of which every fourth has biases that get no gradient or do not change."""
    sites = []
    for number in range(layers):
        path = f"experts.{number}"
        is_odd = number % 4 == 0
        output = {"module_type": "Linear", "shape": [32, 16], "numel": 512, "rms": 1.0, "std": 1.0}
        sites += [site(path, "activation", **output), site(path, "activation_grad", **output)]
        for name, shape in (("weight", [16, 16]), ("bias", [16])):
            owner = {
                "module_type": "Linear",
                "parent": path,
                "shape": shape,
                "numel": int(np.prod(shape)),
            }
            fans = {"fan_in": 16, "fan_out": 16} if name == "weight" else {}
            gradient = 0.0 if is_odd and name == "bias" else 1e-3
            sites += [
                site(f"{path}.{name}", "param", rms=3.0, std=3.0, **owner, **fans),
                site(f"{path}.{name}", "param_grad", rms=gradient, std=gradient, **owner),
                site(f"{path}.{name}", "update", rms=0.0 if is_odd else 1e-4, **owner),
            ]
    return trace_of(loss=list(np.linspace(2.0, 1.0, SAMPLES)), sites=sites)


def lines(rule: Rule, trace: Trace) -> int:
    """How many lines a rule runs on a trace, each round of a loop or comprehension included."""
    count = 0

    def follow(frame: FrameType, event: str, argument: object) -> Any:
        nonlocal count
        count += event == "line"
        return follow

    list(rule.run(trace))  # what is decoded and imported once
    before = sys.gettrace()
    sys.settrace(follow)
    try:
        list(rule.run(trace))
    finally:
        sys.settrace(before)
    return count


@pytest.fixture(scope="module")
def runs() -> tuple[Trace, Trace]:
    return experts(LAYERS), experts(2 * LAYERS)


@pytest.mark.parametrize("rule", select_rules(), ids=lambda rule: rule.code)
def test_twice_as_many_layers_are_twice_the_work(rule: Rule, runs: tuple[Trace, Trace]) -> None:
    few, many = (lines(rule, trace) for trace in runs)
    assert many <= MOST * few
