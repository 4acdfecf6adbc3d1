"""PRB01: how well one batch was fitted."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np

from nntrace.experiment import STILL_FALLING
from nntrace.rules.common.signals import median
from nntrace.rules.finding import Finding, Severity, Skipped
from nntrace.rules.probes.experiments import problem, told
from nntrace.rules.rule import rule
from nntrace.schema import Role
from nntrace.trace import Trace

FITTED: Final = 0.9  # of the way from the first loss to the floor
_HALF_WAY: Final = 0.5
_BENEATH: Final = 0.01  # of that way, below the floor: then it is not the floor
_LAST: Final = 5  # losses that count as the end
_NAMES_SHOWN: Final = 6


@dataclass(frozen=True, slots=True)
class Fit:
    """How well one batch was fitted.

    Attributes:
        start, last: the loss on it at the start and at the end.
        floor: the lowest possible loss; None if unknown, or if the loss fell below it.
        steps: how many there were.
        share: of the way from `start` to the floor, or to 0; NaN if the loss fell far below that.
        accuracy: of the last predictions; NaN if there are no classes.
        falling: whether the loss still fell at the end.
        unmoved: paths of parameters that no step changed.
    """

    start: float
    last: float
    floor: float | None
    steps: int
    share: float
    accuracy: float
    falling: bool
    unmoved: tuple[str, ...]

    @property
    def reached(self) -> bool:
        """Whether the batch is fitted: the loss is at its floor, or every prediction is right.

        The latter must come with half the way to the floor: a bounded similarity, say, has a loss
        whose own floor is above 0.
        """
        return self.share >= FITTED or (self.accuracy == 1.0 and self.share >= _HALF_WAY)


def fit(trace: Trace) -> Fit | None:
    """How well the run on one batch fitted it; None without two finite losses, one the first."""
    losses = trace.steps.loss
    finite = losses[np.isfinite(losses)]
    if len(finite) < 2 or not np.isfinite(losses[0]):
        return None
    floor = told(trace).get("floor")
    known = isinstance(floor, int | float)
    bottom = float(floor) if isinstance(floor, int | float) else 0.0
    start = float(finite[0])
    last = median(finite[-_LAST:]) if np.isfinite(losses[-1]) else float("inf")
    way = start - bottom
    share = (start - last) / way if way > 0 else float("nan")
    if share > 1 + _BENEATH:
        known, share = False, float("nan")
    planned = trace.experiment.steps if trace.experiment is not None else len(finite)
    quarter = max(min(planned, len(finite)) // 4, 1)
    before, after = finite[-2 * quarter : -quarter], finite[-quarter:]
    fell = float(before.mean() - after.mean()) if len(before) else 0.0
    _, accuracy = trace.scalars.get("accuracy", (np.array([]), np.array([])))
    return Fit(
        start=start,
        last=last,
        floor=bottom if known else None,
        steps=len(losses),
        share=share,
        accuracy=float(accuracy[-1]) if len(accuracy) else float("nan"),
        falling=bool(way > 0 and fell > STILL_FALLING * abs(float(after.mean()) - bottom)),
        unmoved=tuple(_unmoved(trace)),
    )


def _unmoved(trace: Trace) -> Iterator[str]:
    """Yield paths of parameters that no step changed, or that no optimizer holds."""
    sites = trace.sites_of(Role.UPDATE)
    if not sites or not len(trace.sampled_steps):
        return
    largest = np.nanmax(np.nan_to_num(trace.series(Role.UPDATE, "rms"), nan=0.0), axis=0)
    moved = {site.path for site, rms in zip(sites, largest, strict=True) if rms > 0.0}
    known = dict.fromkeys(site.path for site in (*trace.sites_of(Role.PARAM), *sites))
    yield from (path for path in known if path not in moved)


@rule(
    "PRB01",
    "cannot-overfit-one-batch",
    Severity.ERROR,
    advice="Something between input, model, loss and optimizer is broken: compare what the loss "
    "function gets with what it expects, and look for layers that do not change. If nothing "
    "is broken, the model is too small.",
    explains=("PRB09", "LOS07", "LOS11"),
    experiments=("overfit",),
)
def cannot_overfit_one_batch(trace: Trace) -> Iterator[Finding | Skipped]:
    """The loss does not approach its floor although every step sees the same batch.

    The script trains on the batch of its first step, without dropout and weight decay, and at the
    learning rate that it sets before any schedule. A network that cannot learn a few examples by
    heart has a bug. The loss must come nine tenths of the way to its floor (0, or the entropy of
    soft targets), or half of it with every prediction right. Not judged: programs with several
    optimizers, and a loss that is still falling at the end.

    Source: Karpathy, A Recipe for Training Neural Networks ("overfit one batch").
    """
    run = trace.under("overfit")
    assert run is not None
    if reason := problem(run):
        yield Skipped(reason)
        return
    found = fit(run)
    if found is not None and found.floor is None and np.isnan(found.share):
        yield Skipped(f"the lowest value of this loss is not known ({_course(found)})")
        return
    if found is None or not np.isfinite(found.share):
        yield Skipped("there is no loss that could fall: it starts at its floor, or is not finite")
        return
    if found.reached:
        return
    if found.floor is None and found.share > 0.05:
        yield Skipped("the lowest value of this loss is not known")
        return
    again = trace.under("overfit-other-rate")
    other = None if again is None else fit(again)
    if other is not None and other.reached:
        rate = told(again).get("rate") if again is not None else None
        yield Finding(
            f"One batch is fitted only at another learning rate: {_course(other)} there, "
            f"{_course(found)} at the script's own.",
            severity=Severity.INFO,
            evidence={"share": found.share, "rate": rate},
            advice="See the learning-rate sweep (PRB07).",
        )
        return
    if found.falling:
        yield Skipped(
            f"the loss was still falling: {_course(found)}; give `nntrace check` more --steps"
        )
        return
    unmoved = ", ".join(found.unmoved[:_NAMES_SHOWN]) or "none"
    yield Finding(
        f"The model cannot memorise one batch: {_course(found)}. Parameters that did not change: "
        f"{unmoved}.",
        steps=(0, found.steps - 1),
        evidence={
            "first_loss": found.start,
            "last_loss": found.last,
            "floor": found.floor,
            "share": found.share,
            "accuracy": found.accuracy,
            "unmoved": list(found.unmoved),
        },
    )


def _course(found: Fit) -> str:
    accuracy = "" if np.isnan(found.accuracy) else f", accuracy {found.accuracy:.0%}"
    return f"loss {found.start:.3g} → {found.last:.3g} in {found.steps} steps{accuracy}"
