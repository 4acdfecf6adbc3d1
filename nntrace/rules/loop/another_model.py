"""Evaluations of another model than is trained, of an average that does not follow it, or of a copy
without its running statistics.
"""

from collections import defaultdict

from nntrace.rules.common.loss_course import loss_series
from nntrace.rules.common.payloads import count, number, place
from nntrace.rules.common.signals import median
from nntrace.rules.finding import Finding
from nntrace.rules.loop.training import is_trained, model_of
from nntrace.schema import EventKind, Role
from nntrace.trace import Event, Trace

_SAME = 1e-6  # relative: what the order of a sum may change
_MOVED = 0.1  # relative: the training loss has gone on from where it was
_FEW = 10  # losses whose median stands for a time
_LEARNED = 0.5  # of the first training loss: training works
_STAYS = 0.8  # of the first training loss: what is evaluated has learned next to nothing
_EVALUATIONS = 3
_BEGINS = 1.25  # times the first training loss: what is evaluated began as the model did


def evaluates_another_model(trace: Trace, passes: int) -> Finding | None:
    """Every evaluation finds the same loss, while the training loss is another than it was.

    Args:
        passes: the evaluations of the same data that are needed.
    """
    groups: dict[tuple[str, int], list[Event]] = defaultdict(list)
    for event in trace.events_of(EventKind.EVALUATION):
        if number(event.payload, "loss") is not None:
            groups[model_of(event), count(event.payload, "group")].append(event)
    series = loss_series(trace)
    if not groups or len(series) < 2 * _FEW:
        return None
    for events in groups.values():
        losses = [number(event.payload, "loss") or 0.0 for event in events]
        examples = {count(event.payload, "examples") for event in events}
        steps = {event.step for event in events}
        if len(steps) < max(passes, 3) or len(examples) > 1 or min(losses) <= 0.0:
            return None
        if max(losses) - min(losses) > _SAME * max(losses):
            return None
    events = max(groups.values(), key=len)
    first, last = median(series.value[:_FEW]), median(series.value[-_FEW:])
    if abs(last - first) <= _MOVED * abs(first) or _is_still(trace):
        return None
    loss = number(events[-1].payload, "loss")
    return Finding(
        f"all {len(events)} evaluations found the same loss, {loss:.5g}, while the training loss "
        f"went from {first:.3g} to {last:.3g}: what is evaluated is not what is trained.",
        steps=(events[0].step, events[-1].step),
        evidence={"evaluations": len(events), "evaluation_loss": loss, "training_loss": last},
        advice="Evaluate the model whose parameters the optimizer holds. An average of its weights "
        "must be written to in place (`average.lerp_(weight, 0.01)`); a copy made before training "
        "stays as it was.",
        location=place(events[-1].payload),
    )


def _is_still(trace: Trace) -> bool:
    """Whether no update ever changed a weight: only batches make training losses differ then."""
    update = trace.series(Role.UPDATE, "rms")
    return bool((update == 0).any() and not (update > 0).any())


def evaluates_what_lags_behind(trace: Trace, passes: int) -> Finding | None:
    """All evaluations are of a model that no optimizer holds, and that stays as it began.

    It moves, but while the training loss halves its own hardly falls: an average with a decay for
    longer runs.

    Args:
        passes: the evaluations that are needed.
    """
    events = [e for e in trace.events_of(EventKind.EVALUATION) if number(e.payload, "loss")]
    modes = trace.events_of(EventKind.MODE)
    series = loss_series(trace)
    if len(events) < max(passes, _EVALUATIONS) or len(series) < 2 * _FEW:
        return None
    functions = {event.payload.get("function") for event in trace.events_of(EventKind.LOSS_CALL)}
    if not all(event.payload.get("loss_function") in functions for event in events):
        return None
    if any(is_trained(trace, name, modes) for name in {model_of(event) for event in events}):
        return None
    first, last = median(series.value[:_FEW]), median(series.value[-_FEW:])
    losses = [number(event.payload, "loss") or 0.0 for event in events]
    stays = _STAYS * first <= min(losses) and max(losses) <= _BEGINS * first
    if not stays or last > _LEARNED * first:
        return None
    return Finding(
        f"`{model_of(events[-1])}`, which is evaluated, lags far behind what is trained: its loss "
        f"is {losses[-1]:.3g} after {events[-1].step} steps, where the training loss has fallen "
        f"from {first:.3g} to {last:.3g}.",
        steps=(events[0].step, events[-1].step),
        evidence={"evaluation_loss": losses[-1], "training_loss": last, "evaluations": len(events)},
        advice="An average with a decay d holds the weights of about the last 1 / (1 − d) steps, "
        f"and this run has {len(trace.steps)}: take a smaller decay, or let it grow with the step "
        "n as min(d, (1 + n) / (10 + n)).",
        location=place(events[-1].payload),
    )


def evaluates_without_statistics(trace: Trace, passes: int) -> Finding | None:
    """The finding on batch norms whose running statistics never saw a batch, if the model that has
    them is evaluated in the course of training.

    Args:
        trace: the run.
        passes: such evaluations that are needed.
    """
    fresh = [
        event
        for event in trace.events_of(EventKind.EVALUATION)
        if event.payload.get("norms_are_fresh") is True and event.step > 0
        if number(event.payload, "loss") is not None
    ]
    if len(fresh) < passes:
        return None
    norms = count(fresh[-1].payload, "norm_inactive")
    name = model_of(fresh[-1])
    which = f"`{name}`" if name else "the model"
    return Finding(
        f"{which} was evaluated {len(fresh)} times with batch norms ({norms}) whose running "
        "statistics have not seen a batch: mean 0 and variance 1, as they were built.",
        steps=(fresh[0].step, fresh[-1].step),
        evidence={"evaluations": len(fresh), "norms": norms},
        advice="Copy the buffers along with the parameters (`named_buffers()`; `AveragedModel(…, "
        "use_buffers=True)`), or let the model see training batches once: "
        "`torch.optim.swa_utils.update_bn(loader, model)`.",
        location=place(fresh[-1].payload),
    )
