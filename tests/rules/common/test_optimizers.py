import pytest
from rules.builders import event, trace_of

from nntrace.rules.common.optimizers import CLIPPING, optimizer_line


def built(name, line, **settings):
    return event("optimizer", name=name, file="train.py", line=line, **settings)


def line_of(trace, *arguments, **options):
    found = optimizer_line(trace, *arguments, **options)
    return found and found.line


def test_the_only_optimizer_is_the_one_that_is_meant():
    assert line_of(trace_of(steps=1, events=[built("Adam", 6)])) == 6


def test_of_several_optimizers_the_one_that_steps_a_parameter_is_meant():
    trace = trace_of(
        steps=1,
        events=[built("Adam", 6), built("SGD.2", 7)],
        sites=[{"path": "head", "role": "update", "optimizer": "SGD.2", "stats": {}}],
    )
    assert line_of(trace) is None
    assert line_of(trace, trace.sites[0]) == 7


@pytest.mark.parametrize(("setting", "line"), [({"clipnorm": 1.0}, 6), ({"momentum": 0.9}, None)])
def test_an_optimizer_may_be_asked_for_by_a_setting(setting, line):
    trace = trace_of(steps=1, events=[built("SGD", 6, **setting)])
    assert line_of(trace, settings=CLIPPING) == line
