"""Learning by trial and error, where a loss that does not fall says nothing about success.

An agent that acts better meets other states and larger returns, and its errors grow with them.
"""

from collections.abc import Mapping
from itertools import pairwise
from typing import Any

import numpy as np

from nntrace.rules.common.payloads import count, items
from nntrace.schema import EventKind
from nntrace.trace import Trace

_KINDS_OF_SUM = 3
_FACTOR_OF_SUMS = 1.5
_FEWEST_ROLLOUTS = 3
_EARLY = 10  # passes that are looked at
_FEWEST_ACTIONS = 8
_FEWEST_LENGTHS = 5
_MOSTLY = 0.5  # of the passes have a length of their own


def trial_and_error(trace: Trace) -> str:
    """Why the loss says little, as the program learns by trial and error; empty if it does not."""
    objectives = [event.payload for event in trace.events_of(EventKind.OBJECTIVE)]
    if not objectives or not all("other" in items(found, "terms") for found in objectives):
        return ""
    if _adds_up_episodes([sum(_weights(found)) for found in objectives]):
        return "the loss is a sum over as many terms as an episode has steps"
    single_calls = [count(found, "single_calls") for found in objectives]
    if _rolls_out(trace) or _acts(single_calls) or _plays_episodes(trace):
        return "the data come from the model's own calls between the steps, and differ each time"
    if _goes_in_rounds(trace):
        return "each batch is trained on for several steps, and the loss is another on the next"
    return ""


def _adds_up_episodes(sums: list[float]) -> bool:
    """Whether an objective adds up a varying number of calls of a loss function.

    Sentences whose terms are averaged over their length do not count: they all have the same
    weight.
    """
    return len(set(sums)) >= _KINDS_OF_SUM and max(sums) > _FACTOR_OF_SUMS * min(sums)


def _rolls_out(trace: Trace) -> bool:
    """Whether all passes without gradients gather data.

    Such passes come at even intervals, in training mode, without a loss, and call the model many
    times, with fewer examples per call than a training step has.
    """
    events = trace.events_of(EventKind.EVALUATION)
    passes = [event.payload for event in events]
    starts = sorted({event.step for event in events})[:_EARLY]
    if len(starts) < _FEWEST_ROLLOUTS or len(set(np.diff(starts))) > 1:
        return False
    if not all(found.get("training") is True and found.get("loss") is None for found in passes):
        return False
    batch = float(np.median(sizes)) if len(sizes := trace.steps.batch_size) else 0.0
    return any(
        (calls := count(found, "calls")) > 1 and count(found, "examples") < batch * calls
        for found in passes
    )


def _acts(calls: list[int]) -> bool:
    """Whether the model is called with single examples, many times, in varying numbers.

    Steps without such calls do not count: a model may be tried out before the first.
    """
    return len(set(calls) - {0}) > 1 and max(calls) >= _FEWEST_ACTIONS


def _plays_episodes(trace: Trace) -> bool:
    """Whether passes without gradients call the model as often as an episode happens to last."""
    passes = [event.payload for event in trace.events_of(EventKind.EVALUATION)]
    acts = [count(found, "calls") for found in passes if found.get("loss") is None]
    long = [calls for calls in acts if calls >= _FEWEST_ACTIONS]
    return len(set(long)) >= _FEWEST_LENGTHS and len(set(long)) > _MOSTLY * len(long)


def _goes_in_rounds(trace: Trace) -> bool:
    """Whether most steps have the batch of the step before, and there are several batches.

    So have the steps of a line search on what an agent has met last, whose batch is new each time.
    """
    known = [(b.step, b.fingerprint) for b in trace.batches if b.fingerprint is not None]
    same = [one[1] == two[1] for one, two in pairwise(known) if two[0] == one[0] + 1]
    return len({one for _, one in known}) > 1 and 2 * sum(same) > len(same)


def _weights(payload: Mapping[str, Any]) -> list[float]:
    """The weights of a loss function's second and further calls."""
    pairs = zip(items(payload, "terms"), items(payload, "weights"), strict=False)
    return [float(w) for name, w in pairs if "#" in str(name) and isinstance(w, (int, float))]
