"""Finds runs that show how much two trainings differ by their seed alone.

A run in A's folder counts when none of its recorded settings differs from A's but seeds. Where A
and B have the same seeds no such runs are needed: there is nothing for a seed to explain.
"""

import re
from collections.abc import Sequence
from typing import Final

from nntrace.diff.settings import settings
from nntrace.errors import NntraceError
from nntrace.runs.find import list_runs
from nntrace.schema import Role, RunStatus
from nntrace.trace import Trace

_MOST: Final = 8
_SEED: Final = re.compile(r"-{0,2}(\w+[-_.])?seed(=.*)?", re.IGNORECASE)


def like_runs(a: Trace, b: Trace) -> list[Trace]:
    """The newest finished runs in A's folder that differ from A by nothing but seeds."""
    if a.path is None or "seeds" not in {setting.name for setting in settings(a, b)}:
        return []
    taken = {trace.path.resolve() for trace in (a, b) if trace.path is not None}
    found: list[Trace] = []
    for run in list_runs(a.path.absolute().parent)[0]:
        if run.path.resolve() in taken or run.manifest.status != RunStatus.FINISHED:
            continue
        if _without_seed(run.manifest.command) != _without_seed(a.manifest.command):
            continue
        try:
            other = Trace.open(run.path)
        except NntraceError:
            continue
        if _is_like(a, other):
            found.append(other)
        if len(found) == _MOST:
            break
    return found


def _is_like(a: Trace, other: Trace) -> bool:
    """Whether no setting but seeds differs; the commands have been compared without their seeds."""
    differing = {setting.name for setting in settings(a, other)} - {"seeds", "command"}
    shapes = [[(s.path, s.shape) for s in t.sites_of(Role.PARAM)] for t in (a, other)]
    return not differing and shapes[0] == shapes[1]


def _without_seed(command: Sequence[str]) -> list[str]:
    """The words of a command without `--seed 3`, `--seed=3` and `training.seed=3`."""
    kept: list[str] = []
    skip = False
    for word in command:
        option = _SEED.fullmatch(word)
        if option is not None:
            skip = option[2] is None
        elif skip:
            skip = False
        else:
            kept.append(word)
    return kept
