"""A model that is built anew before each epoch, so that what an epoch learned is lost."""

from itertools import pairwise
from typing import Final

import numpy as np

from nntrace.rules.common.loaders import loader_passes
from nntrace.rules.common.payloads import count, number, place, text
from nntrace.rules.finding import Finding, Severity
from nntrace.schema import EventKind
from nntrace.trace import Event, Trace

_MODELS: Final = 5  # fewer may be meant, as trials


def models_rebuilt(trace: Trace) -> Finding | None:
    """The finding on one line that builds an optimizer for another model of the same kind before
    each pass over the same data.

    The folds of a cross-validation have data of their own, and trials, as a rule, seeds or settings
    of their own or more than one epoch.
    """
    events = trace.events_of(EventKind.OPTIMIZER)
    if len(events) < _MODELS or len({_settings(event) for event in events}) > 1:
        return None
    if any(event.payload.get("replaces") or event.payload.get("cell") for event in events):
        return None
    made = np.array(trace.steps.optimizer, dtype=object)
    names = [text(event.payload, "name") for event in events]
    if len(set(names)) < len(names) or (made[1:] != made[:-1]).sum() != len(names) - 1:
        return None  # they take turns: the parts of one model
    passes = [one for one in loader_passes(trace) if one.steps]
    ends = [one.step for one in passes]
    begins = [event.step for event in events]
    if len(passes) != len(events) or len({one.loader for one in passes}) > 1:
        return None
    if not all(begin < end for begin, end in zip(begins, ends, strict=True)):
        return None
    if not all(end <= begin for end, begin in zip(ends, begins[1:], strict=False)):
        return None
    if any(begins[0] < event.step for event in trace.events_of(EventKind.SEED)):
        return None
    every = float(np.mean([after - before for before, after in pairwise(begins)]))
    return Finding(
        f"a new model is built for each epoch: {len(events)} of them were trained on the same data "
        f"for one pass of {every:.0f} steps each, and what one learned is lost to the next.",
        steps=(begins[1], int(trace.steps.step[-1])),
        severity=Severity.WARNING,
        evidence={"built": len(events), "steps_between": every},
        explains=("RUN12", "LOS15"),
        advice="Build and compile the model once, before the loop over epochs, and train that one.",
        location=place(events[-1].payload),
    )


def _settings(event: Event) -> tuple[object, ...]:
    payload = event.payload
    plain = (text(payload, "class"), text(payload, "file"), count(payload, "line"))
    return (*plain, count(payload, "parameters"), number(payload, "lr"))
