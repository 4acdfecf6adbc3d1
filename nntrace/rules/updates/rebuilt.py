"""The rule on optimizers, and models with theirs, that are built again and lose what they hold."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from itertools import groupby, pairwise
from typing import Annotated

import numpy as np

from nntrace.rules.common.loaders import loader_passes
from nntrace.rules.common.payloads import count, number, place, text
from nntrace.rules.common.signals import median
from nntrace.rules.finding import Finding, Severity, Skipped
from nntrace.rules.rule import rule
from nntrace.schema import EventKind
from nntrace.trace import Event, Trace

_MODELS = 5  # fewer may be meant, as trials
_FEW = 5  # losses whose median stands for a time
_FALLEN = 0.2  # of the first loss: something was learned
_BACK = 0.3  # of what was learned may be left, as the first losses are noisy
_REFILLED = 50  # steps: five times what Adam's first moment averages over


@rule(
    "UPD11",
    "optimizer-recreated",
    Severity.ERROR,
    explains=("LOS07", "LOS09", "LOS10", "LOS11", "LOS14", "UPD01"),
    advice="Build the optimizer once, before the loop over epochs; to change its rate use a "
    "scheduler or set `group['lr']`.",
    in_keras="Build the optimizer once, before the loop over epochs; to change its rate assign "
    "`optimizer.learning_rate`, or give it a `LearningRateSchedule`.",
)
def optimizer_recreated(
    trace: Trace,
    *,
    rebuilt: Annotated[int, "times it must have been built again for the same parameters"] = 2,
) -> Iterator[Finding | Skipped]:
    """The same line builds a new optimizer for the same parameters again and again.

    Each one starts without momentum and moments: Adam's first steps are of full size in every
    direction, whatever the gradient. Information if batches are made by hand and each optimizer
    makes 50 steps or more, unless each ends with a smaller batch, as a pass over the data does: a
    round may be meant, as of self-training or active learning. A warning if a line builds the
    optimizer of another model of the same kind before each pass over the same data, five times or
    more, with the same settings and no other seed: the model was meant to be built once.

    Not reported: plain SGD, which has no state to lose; training in phases, where an optimizer is
    built again once, each time with at most half the rate, or for several passes over the data each
    (progressive resizing); a notebook cell that is run again; and trainings in a row, each from the
    first weights (the folds of a cross-validation), where the loss is back where it began.

    Source: PyTorch's documentation of `torch.optim` (optimizers hold state).
    """
    if rebuilt_models := _models_rebuilt(trace):
        yield rebuilt_models
        return
    by_name: dict[str, list[Event]] = defaultdict(list)
    for event in trace.events_of(EventKind.OPTIMIZER):
        payload = event.payload
        by_name[text(payload, "replaces") or text(payload, "name")].append(event)
    if not by_name:
        yield Skipped("no optimizer was recorded")
        return
    parts = (part for of_name in by_name.values() for part in _in_one_cell(of_name))
    for built, events in parts:
        last = events[-1]
        if built - 1 < max(1, rebuilt) or last.payload.get("stateful") is False:
            continue
        if _begins_anew(trace, [event.step for event in events[1:]]) or _in_phases(trace, events):
            continue
        rates = [number(event.payload, "lr") or 0.0 for event in events]
        falls = all(0 < rate <= before / 2 for before, rate in pairwise(rates))
        if falls and len(rates) == built:
            continue
        kind = text(last.payload, "class") or "the optimizer"
        every = (last.step - events[0].step) / (built - 1)
        often = "in every step" if every < 1.5 else f"about every {every:.0f} steps"
        yield Finding(
            f"{kind} is built again for the same parameters {often}, {built} times in "
            f"{len(trace.steps)} steps: each time it forgets its moments.",
            steps=(events[1].step if len(events) > 1 else last.step, last.step),
            severity=_severity(trace, events, rates, every),
            evidence={"built": built, "steps_between": every, "optimizer": kind},
            location=place(last.payload),
        )


def _models_rebuilt(trace: Trace) -> Finding | None:
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


def _severity(
    trace: Trace, events: Sequence[Event], rates: Sequence[float], every: float
) -> Severity:
    """Without a loader little tells whether so many steps are an epoch or a round of their own."""
    if every >= _REFILLED and not loader_passes(trace) and not _end_in_rests(trace, events):
        return Severity.INFO
    return Severity.ERROR if len(set(rates)) == 1 else Severity.WARNING


def _end_in_rests(trace: Trace, events: Sequence[Event]) -> bool:
    """Whether each optimizer made one pass: the smaller batch of what was left is its last one."""
    sizes = trace.steps.batch_size
    is_rest = sizes < median(sizes[np.isfinite(sizes)])
    before = np.isin(trace.steps.step, [event.step - 1 for event in events[1:]])
    return bool(before.any() and is_rest[before].all() and is_rest.sum() <= len(events))


def _in_phases(trace: Trace, events: Sequence[Event]) -> bool:
    """Whether each of these optimizers, but for the last, made several passes over the data."""
    ends = [one.step for one in loader_passes(trace) if one.steps]
    begins = [event.step for event in events]
    return len(begins) > 1 and all(
        sum(begin < end <= after for end in ends) > 1 for begin, after in pairwise(begins)
    )


def _begins_anew(trace: Trace, steps: Sequence[int]) -> bool:
    """Whether the loss, which had fallen, is back where it began from each of these steps on."""
    known = np.isfinite(trace.steps.loss)
    losses, numbers = trace.steps.loss[known], trace.steps.step[known]
    start = median(losses[:_FEW])
    for first in np.searchsorted(numbers, steps).tolist():
        before, after = losses[max(0, first - _FEW) : first], losses[first : first + _FEW]
        if not len(before) or not len(after):
            return False
        fallen = start - median(before)
        if fallen < _FALLEN * abs(start) or start - median(after) > _BACK * fallen:
            return False
    return bool(steps)


def _in_one_cell(events: list[Event]) -> Iterator[tuple[int, list[Event]]]:
    """Per run of a notebook cell, how many optimizers it built, with their events; a script is one.

    Not every optimizer has an event if there are many, but each event says how many came before.
    """
    before = 0
    for _, group in groupby(events, key=lambda event: event.payload.get("cell")):
        own = list(group)
        built = count(own[-1].payload, "built")
        yield built - before, own
        before = built
