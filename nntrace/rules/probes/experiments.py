"""What the child process of an experiment reported, and why nothing may follow from it."""

from itertools import pairwise
from typing import Any, Final

import numpy as np

from nntrace.schema import EventKind
from nntrace.trace import Trace

_SAME_TARGETS: Final = 0.5  # of their spread: with shuffled targets another sample is read


def told(trace: Trace) -> dict[str, Any]:
    """The facts that the child process reported; later reports replace earlier ones."""
    facts: dict[str, Any] = {}
    for event in trace.events_of(EventKind.EXPERIMENT):
        facts |= event.payload
    return facts


def problem(trace: Trace, *others: Trace | None) -> str | None:
    """The reason why nothing can be concluded from these experiments, or None."""
    optimizers = trace.steps.optimizer
    if len(set(optimizers)) > 1:
        names = ", ".join(dict.fromkeys(optimizers))
        phases = 1 + sum(one != other for one, other in pairwise(optimizers))
        if phases == len(set(optimizers)):
            return f"training has several phases, each with its own optimizer ({names}) and losses"
        return f"several optimizers take turns ({names}), so there is no single loss"
    for run in (trace, *others):
        if run is None:
            return "an experiment was not run"
        name = run.experiment.name if run.experiment is not None else "run"
        if reason := told(run).get("problem"):
            return f"{name}: {reason}"
        if not np.isfinite(run.steps.loss).any():
            return f"{name}: no loss was seen"
    return None


def incomparable(trace: Trace, other: Trace) -> str | None:
    """The reason why the losses of two runs do not measure the same thing, or None.

    If the model chooses its own examples (a policy) or computes its own targets (bootstrapping), a
    lower loss is no better fit.
    """
    if np.nanmin(trace.steps.loss) < 0:
        return "the loss becomes negative, so how low it is says nothing about the fit"
    theirs = {batch.step: batch for batch in other.batches}
    for batch in trace.batches:
        its = theirs.get(batch.step)
        if its is None or batch.target_mean is None or its.target_mean is None:
            continue
        spread = max(batch.target_std or 0.0, abs(batch.target_mean), 1e-12)
        if abs(batch.target_mean - its.target_mean) > _SAME_TARGETS * spread:
            return f"the targets depend on the model: at step {batch.step} they differ"
    return None
