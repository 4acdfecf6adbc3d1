"""UPD18: a setting of an optimizer is written where nothing reads it."""

from collections.abc import Iterator

import numpy as np

from nntrace.rules.common.payloads import number, place, text
from nntrace.rules.finding import Finding, Severity, Skipped
from nntrace.rules.rule import rule
from nntrace.schema import EventKind
from nntrace.trace import Trace

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
    Source: PyTorch's documentation of `torch.optim` (per-parameter options); Keras 3's of
    `Optimizer`.
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


def _rate_changes(trace: Trace, name: str) -> bool:
    """Whether the learning rate of an optimizer changes in the run."""
    own = np.array([one == name for one in trace.steps.optimizer], dtype=bool)
    rates = trace.steps.lr[own]
    return len(np.unique(rates[np.isfinite(rates)])) > 1
