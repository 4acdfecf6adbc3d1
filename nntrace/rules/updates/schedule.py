"""Rules on learning-rate schedulers: the unit in which they count, and their first step."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Annotated

import numpy as np

from nntrace.rules.common.framework import speaks_keras
from nntrace.rules.common.payloads import count, place, text
from nntrace.rules.common.signals import finite, median, span
from nntrace.rules.finding import Finding, Severity, Skipped, too_few
from nntrace.rules.rule import rule
from nntrace.rules.updates.restarts import warm_up_restarts
from nntrace.schema import EventKind, RunStatus
from nntrace.trace import Event, Trace

_AS_MANY = (0.95, 1.15)  # times the examples of a run; a warm-up may come on top
_BATCH = 4  # examples: with smaller batches, their number is near that of the examples
_SEVERAL_EPOCHS = 2
_SEVERAL = 1.8  # batches for a step; the last ones of an epoch may be fewer
_ONE_EPOCH = 1.1  # epochs of a run that is meant to be one: a few batches are read ahead
_COUNTS_BATCHES = (
    "A Keras schedule counts batches: make it as many times longer as an epoch has batches."
)
_REPEATING = ("CosineAnnealingWarmRestarts", "CyclicLR", "CosineDecayRestarts")


@rule(
    "UPD10",
    "scheduler-unit-mistaken",
    Severity.WARNING,
    explains=("UPD02", "UPD08", "UPD09", "LOS07", "LOS11", "LOS14", "LOS15"),
    advice="Step the scheduler in the unit it is made for: after each batch if its length is in "
    "optimizer steps, after each epoch if it is in epochs.",
)
def scheduler_unit_mistaken(
    trace: Trace,
    *,
    decay: Annotated[
        float, "factor by which no schedule is meant to lower the rate within one epoch"
    ] = 30.0,
    part: Annotated[
        float, "share of the run below which a schedule that ends is too short for it"
    ] = 0.2,
    gone: Annotated[
        float, "factor of decay after which the rate of an endless schedule is next to nothing"
    ] = 1000.0,
    rest: Annotated[float, "share of the run that is trained at such a rate"] = 0.5,
    fall: Annotated[float, "share of the rate from which on a fall begins a new warm-up"] = 0.5,
    times: Annotated[int, "falls, equally far apart, after which a warm-up is repeated"] = 3,
    steps: Annotated[int, "optimizer steps that are needed"] = 20,
) -> Iterator[Finding | Skipped]:
    """A schedule in epochs is stepped after every batch, or one in batches after every epoch.

    A schedule in epochs that is stepped after every batch is over before an epoch is, or has as
    many steps as the run has epochs: the rate has fallen to nothing, or goes up and down. The
    length of one in batches that is stepped after every epoch equals the number of optimizer steps,
    and it has hardly begun when the run ends. Keras' schedules count optimizer steps; those that
    repeat by design are left out. If a loop does not show its epochs, a decay that is over within
    the first part of the run, or an endless one (a factor every few steps), counts as one in epochs
    if it leaves next to no rate for the rest.

    Also reported:

    - a schedule as long as a run of several epochs has examples: it was made with the size of the
      data set in place of its number of batches
    - a schedule as long as a run has batches, of which several make a step
    - a rate that climbs step by step, falls at once and climbs again in every epoch, and so is
      warmed up within each: its scheduler is built in the loop over epochs, or computes the rate
      from the batch's number

    Source: Karpathy's Recipe, step 3 (a decay meant for another number of epochs).
    """
    last = _last_counts(trace)
    made = [count(e.payload, "steps") for e in trace.events_of(EventKind.EPOCH)]
    lengths = [n for n in made if n]
    an_epoch = int(median(lengths)) if lengths else 0
    total = len(trace.steps)
    repeats = any(text(event.payload, "class") in _REPEATING for event in last)
    anew = None if repeats else warm_up_restarts(trace, an_epoch, fall, times)
    if anew is not None:
        where = place(last[0].payload) if last else None
        yield replace(anew, steps=span(trace.steps.step), location=where)
        return
    if not last:
        yield Skipped("no learning-rate scheduler was seen")
        return
    if total < steps:
        yield too_few(f"needs {steps} optimizer steps, has {total}")
        return
    for event in last:
        calls, horizon = count(event.payload, "calls"), count(event.payload, "horizon")
        kind = text(event.payload, "class")
        if kind in _REPEATING:
            continue
        finding = None
        if calls >= 0.8 * total:  # it is stepped after every batch
            # Without an end it is judged by what it does to the rate in an epoch of some length.
            if an_epoch and (an_epoch >= steps or horizon) and total >= an_epoch:
                finding = _too_often(trace, kind, calls, horizon, lengths, decay)
            elif not an_epoch and 0 < horizon < part * total:
                finding = _over_soon(trace, kind, horizon, decay)
            finding = finding or _counts_examples(trace, kind, horizon)
            finding = finding or _counts_batches(trace, kind, horizon)
            if horizon < (an_epoch or part * total):  # also if the horizon is not known (0)
                finding = finding or _decays_away(trace, kind, gone, rest)
        elif calls <= 0.2 * total and trace.status is not RunStatus.RUNNING:
            finding = _too_seldom(kind, calls, horizon, total)
        if finding is not None:
            yield replace(
                finding,
                steps=span(trace.steps.step),
                evidence={**finding.evidence, "scheduler": kind, "steps": total},
                location=place(event.payload),
            )


@rule(
    "UPD17",
    "step-before-schedule",
    Severity.WARNING,
    advice="Call `scheduler.step()` after `optimizer.step()`: the other way round the first value "
    "of the schedule is never used.",
)
def step_before_schedule(trace: Trace) -> Iterator[Finding | Skipped]:
    """A scheduler was stepped before its optimizer was.

    The first learning rate of the schedule is skipped and all others come one step early, which
    matters most for a warm-up and for schedules of a few epochs. A run resumed from a checkpoint is
    not judged. A Keras schedule is a function of the optimizer's steps, and cannot be ahead of
    them.
    Source: PyTorch's documentation of `torch.optim`, "how to adjust learning rate".
    """
    events = trace.events_of(EventKind.SCHEDULER)
    if not events:
        yield Skipped("no learning-rate scheduler was seen")
        return
    seen = set()
    for event in events:
        name = count(event.payload, "scheduler")
        if name in seen:
            continue
        seen.add(name)
        if event.payload.get("optimizer_stepped") is False:
            rates = finite(trace.steps.lr)
            first = f", at {rates[0]:.3g}" if len(rates) else ""
            yield Finding(
                f"{text(event.payload, 'class') or 'the scheduler'} was stepped before the "
                f"optimizer's first step: training began with the second rate of the "
                f"schedule{first}.",
                steps=(event.step, event.step),
                evidence={"scheduler": text(event.payload, "class")},
                location=place(event.payload),
            )


def _last_counts(trace: Trace) -> list[Event]:
    """The last event of each scheduler that was stepped."""
    last = {count(e.payload, "scheduler"): e for e in trace.events_of(EventKind.SCHEDULER)}
    return [event for event in last.values() if count(event.payload, "calls")]


def _too_often(
    trace: Trace, kind: str, calls: int, horizon: int, epochs: Sequence[int], decay: float
) -> Finding | None:
    """A finding on a schedule whose length is in epochs; those of the run have so many steps."""
    rates, an_epoch = finite(trace.steps.lr), int(median(epochs))
    if len(rates) <= an_epoch // 2 or rates.max() <= 0:
        return None
    within = rates[: max(an_epoch, horizon + 1)]
    fell = float(within.max() / max(within[within.argmax() :].min(), 1e-300))
    counts_epochs = abs(horizon - len(epochs)) <= 1 < horizon
    is_through = (0 < horizon < an_epoch or counts_epochs) and calls > 1.5 * horizon
    is_endless = not horizon and len(rates) > _ONE_EPOCH * an_epoch  # else made for this one epoch
    if not fell > decay or not (is_through or is_endless):
        return None
    if horizon:
        length = f"is over after {horizon} steps"
    else:
        length = f"divides the rate by {fell:.0e} within an epoch"
    as_many = ", as many as there are epochs" if horizon >= an_epoch else ""
    return Finding(
        f"{kind} is stepped after every batch and {length}{as_many}, "
        f"where an epoch has {an_epoch}: it seems to be made for epochs.",
        evidence={"calls": calls, "horizon": horizon or None, "steps_per_epoch": an_epoch},
        advice="A Keras schedule counts batches: make it as long as the run, "
        f"{an_epoch} of them per epoch."
        if speaks_keras(trace)
        else "Move `scheduler.step()` out of the loop over batches, or give the scheduler its "
        f"length in batches ({an_epoch} per epoch).",
    )


def _over_soon(trace: Trace, kind: str, horizon: int, decay: float) -> Finding | None:
    rates = finite(trace.steps.lr)
    if not len(rates) or not rates.max() > decay * rates[horizon:].max(initial=0.0):
        return None
    return Finding(
        f"{kind} is stepped after every batch and is over after {horizon} of {len(rates)} steps; "
        f"the rate has been {rates[-1]:.2g} since: it seems to be made for epochs.",
        evidence={"horizon": horizon, "rate": float(rates[-1])},
        advice=_COUNTS_BATCHES
        if speaks_keras(trace)
        else "Move `scheduler.step()` out of the loop over batches, or give the scheduler its "
        "length in batches.",
    )


def _counts_examples(trace: Trace, kind: str, horizon: int) -> Finding | None:
    """A finding on a finished run of several epochs whose examples a schedule counts."""
    sizes = finite(trace.steps.batch_size)
    epochs = sum(bool(count(e.payload, "steps")) for e in trace.events_of(EventKind.EPOCH))
    if not len(sizes) or trace.status is RunStatus.RUNNING or epochs < _SEVERAL_EPOCHS:
        return None
    total, examples = len(trace.steps), float(sizes.sum())
    least, most = _AS_MANY
    if median(sizes) < _BATCH or not least * examples <= horizon <= most * examples:
        return None
    rates = finite(trace.steps.lr)
    now = f" The rate was {rates[-1]:.2g} at the end." if len(rates) else ""
    return Finding(
        f"{kind} is made for {horizon} steps, about as many as the run has examples, and the run "
        f"has {total} steps: it counts batches, and is only {total / horizon:.0%} through.{now}",
        evidence={"horizon": horizon, "examples": int(examples)},
        advice="Make its length, and that of its warm-up, the number of batches: epochs times "
        "`len(x_train) // batch_size`.",
    )


def _counts_batches(trace: Trace, kind: str, horizon: int) -> Finding | None:
    """A finding on a finished run that makes each step from several batches, which are counted."""
    epochs = [e.payload for e in trace.events_of(EventKind.EPOCH) if count(e.payload, "steps")]
    if trace.status is RunStatus.RUNNING or not all(e.get("complete") for e in epochs):
        return None
    total, batches = len(trace.steps), sum(count(epoch, "batches") for epoch in epochs)
    least, most = _AS_MANY
    if batches < _SEVERAL * total or not least * batches <= horizon <= most * batches:
        return None
    return Finding(
        f"{kind} is made for {horizon} steps, as many as the run has batches, but "
        f"{batches / total:.2g} batches make a step: it is only {total / horizon:.0%} through.",
        evidence={"horizon": horizon, "batches": batches},
        advice="Divide its length, and that of its warm-up, by the number of batches that are "
        "accumulated for a step.",
    )


def _decays_away(trace: Trace, kind: str, gone: float, rest: float) -> Finding | None:
    rates = finite(trace.steps.lr)
    if len(rates) < 2 or rates.max() <= 0:
        return None
    nothing = rates.max() / gone
    left = np.flatnonzero(rates > nothing)[-1] + 1  # all of the run if the schedule increases
    if len(rates) - left < rest * len(rates):
        return None
    return Finding(
        f"{kind} is stepped after every batch and lowers the rate from {rates.max():.2g} to a "
        f"{gone:.0f}th within {left} of {len(rates)} steps: it seems to be made for epochs.",
        evidence={"steps_until_gone": int(left), "rate": float(rates[-1])},
        advice=_COUNTS_BATCHES
        if speaks_keras(trace)
        else "Move `scheduler.step()` out of the loop over batches, or make the schedule as many "
        "times longer as an epoch has batches.",
    )


def _too_seldom(kind: str, calls: int, horizon: int, total: int) -> Finding | None:
    if calls < 2 or abs(total - horizon) > max(2, 0.1 * horizon):
        return None
    return Finding(
        f"{kind} is made for {horizon} steps and was stepped {calls} times in {total} optimizer "
        "steps: it seems to be made for batches and is stepped once per epoch.",
        evidence={"calls": calls, "horizon": horizon},
        advice="Move `scheduler.step()` into the loop over batches, after `optimizer.step()`.",
    )
