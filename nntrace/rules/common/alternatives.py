"""Layers among which a program chooses at each step: experts, heads of tasks, skipped blocks."""

import re
from collections.abc import Callable, Iterator

import numpy as np

from nntrace.schema import Role
from nntrace.trace import Trace

_NUMBER = re.compile(r"(?<![^./_])\d+(?![^./])")  # `3` in `experts.3.up`, in `expert_3/kernel`


def chosen_at_times(trace: Trace) -> Callable[[str], bool]:
    """Return a function that says whether a module is one of several of which a step uses some.

    Such are the modules that differ from a module that was called in some sampled steps and not in
    others by one number of their path (`experts.3.up`, `experts.7.up`). That one of them was not
    called yet does not show that no line calls it.
    """
    called = np.nan_to_num(trace.series(Role.ACTIVATION, "n")) > 0
    forward = called[called.any(axis=1)]
    sites = trace.sites_of(Role.ACTIVATION)
    at_times = np.flatnonzero(forward.any(axis=0) & ~forward.all(axis=0))
    lists = {name for place in at_times.tolist() for name in _lists(sites[place].path)}
    return lambda path: any(name in lists for name in _lists(path))


def _lists(path: str) -> Iterator[tuple[str, str]]:
    """A path without one of its numbers, for each number: what stands before and after it."""
    for found in _NUMBER.finditer(path):
        yield path[: found.start()], path[found.end() :]
