"""UPD18: a setting of an optimizer is written where nothing reads it."""

from collections.abc import Iterator

import numpy as np

from nntrace.rules.common.loaders import loader_passes
from nntrace.rules.common.payloads import number, place, text
from nntrace.rules.common.signals import span
from nntrace.rules.finding import Finding, Severity, Skipped
from nntrace.rules.rule import rule
from nntrace.schema import EventKind, RunStatus
from nntrace.trace import Trace

_SEVERAL = 2  # passes, after the first of which a schedule in epochs is stepped, too
_RATES = ("lr", "learning_rate", "defaults['lr']")


@rule(
    "UPD18",
    "setting-without-effect",
    Severity.WARNING,
    advice="Set it in each of the optimizer's `param_groups`, or let a scheduler do it: "
    "`for group in optimizer.param_groups: group['lr'] = …`.",
    in_keras="Set `optimizer.learning_rate`: Keras 3 has no `lr`.",
)
def setting_without_effect(trace: Trace) -> Iterator[Finding | Skipped]:
    """A setting of an optimizer is written where nothing reads it, as in `optimizer.lr = 1e-4`.

    Python takes any attribute. PyTorch's optimizers read their `param_groups` alone;
    `optimizer.defaults` only count for groups that are added later. Keras 2 knew `lr`, Keras 3
    calls it `learning_rate` and ignores the old name. The training goes on as before, and a decay
    that the program writes this way never happens. A value that was in force when it was first seen
    is taken for a note of the program's own; and a rate that changes all the same is not judged, as
    the program may compute it from that.

    Also reported is a scheduler that is never stepped in a finished run of several passes over the
    data, all at one rate.
    Source: PyTorch's documentation of `torch.optim` (per-parameter options; how to adjust learning
    rate); Keras 3's of `Optimizer`.
    """
    for event in trace.events_of(EventKind.VAIN_SETTING):
        payload = event.payload
        name, setting = text(payload, "optimizer"), text(payload, "setting")
        value, in_force = number(payload, "value"), number(payload, "in_force")
        if not name or not setting or value is None or in_force is None:
            continue
        if setting in _RATES and _rate_changes(trace, name):
            continue
        yield Finding(
            f"`optimizer.{setting} = {value:g}` has no effect: nothing reads it, and {name} goes "
            f"on with {in_force:g}.",
            steps=(event.step, event.step),
            evidence={"optimizer": name, "setting": setting, "in_force": in_force},
            location=place(payload),
        )
    yield from _never_stepped(trace)


def _never_stepped(trace: Trace) -> Iterator[Finding]:
    """Yield the findings on schedulers that nobody steps."""
    passes = sum(one.complete and one.steps > 0 for one in loader_passes(trace))
    if trace.status is not RunStatus.FINISHED or trace.manifest.error or passes < _SEVERAL:
        return
    for event in trace.events_of(EventKind.SCHEDULER):
        kind, name = text(event.payload, "class"), text(event.payload, "optimizer")
        if event.payload.get("calls") != 0 or not name or _rate_changes(trace, name):
            continue
        yield Finding(
            f"{kind} has no effect: its `step` is never called, and the rate of {name} is the same "
            f"in all of {passes} passes over the data.",
            steps=span(trace.steps.step),
            evidence={"optimizer": name, "scheduler": kind, "passes": passes},
            advice="Call `scheduler.step()` after each epoch, or after each batch if its length is "
            "in batches; or take the scheduler out.",
            location=place(event.payload),
        )


def _rate_changes(trace: Trace, name: str) -> bool:
    """Whether the learning rate of an optimizer changes in the run."""
    own = np.array([one == name for one in trace.steps.optimizer], dtype=bool)
    rates = trace.steps.lr[own]
    return len(np.unique(rates[np.isfinite(rates)])) > 1
