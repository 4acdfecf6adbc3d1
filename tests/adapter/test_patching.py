"""Wrappers call the original as the program would, and stand between it and nobody."""

import warnings
from types import SimpleNamespace

import pytest

from nntrace.adapter.patching import calling_after, calling_before, replace, uncounted


def warn_of_caller(level):
    warnings.warn("look there", UserWarning, stacklevel=level)


def wrapped_twice():
    owner = SimpleNamespace(warn=warn_of_caller)
    for make in (calling_before(lambda level: None), calling_after(lambda result, level: None)):
        replace(owner, "warn", uncounted(make(owner.warn)))
    return owner


@pytest.mark.parametrize("level", [2, 3])
def test_the_levels_of_a_warning_pass_over_wrappers(level):
    owner = wrapped_twice()

    def places(warn):
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            warn(level)
        return [(one.filename, one.lineno) for one in caught]

    first, second = (places(warn) for warn in (warn_of_caller, owner.warn))
    assert first == second
    assert first[0][0] == __file__
