"""Rules on the learning rate: its size, judged by its effects, and the end of its schedule."""

from collections.abc import Iterator
from typing import Annotated

import numpy as np

from nntrace.rules.common.layers import update_ratios, weights
from nntrace.rules.common.loss_course import (
    loss_series,
    remaining_loss,
    steps_at_full_rate,
    unjudgeable,
)
from nntrace.rules.common.optimizers import optimizer_line
from nntrace.rules.common.payloads import place
from nntrace.rules.common.signals import (
    column_medians,
    finite,
    lasting,
    median,
    rounded,
    span,
    trend_z,
)
from nntrace.rules.finding import Finding, Severity, Skipped, too_few
from nntrace.rules.loss.course import loss_oscillating, loss_spike
from nntrace.rules.loss.trend import loss_diverging
from nntrace.rules.rule import Rule, rule
from nntrace.rules.updates.momentum import long_average
from nntrace.rules.updates.plateau import follows_a_loss_upwards
from nntrace.rules.updates.ratio import at_full_rate, has_learned, update_ratio_high
from nntrace.schema import EventKind, Role
from nntrace.trace import Trace

_USUAL = 1e-3  # rms(Δw) / rms(w)
_LEAST_SAMPLES = 10
_START = 10  # steps whose losses count as the start
_UNLEARNED = 0.95  # share of the first loss above which nothing was learned
_WARMING = 0.1  # of the last rate: a first one below it begins a warm-up
_AT_ONCE = 0.1  # share of the run before which a rate was never tried out


@rule(
    "UPD07",
    "lr-too-high",
    Severity.ERROR,
    needs=(Role.PARAM, Role.UPDATE),
    explains=(
        *("UPD01", "LOS07", "LOS08", "LOS09", "LOS10", "LOS11", "LOS12", "GRD02", "GRD04"),
        *("GRD05", "GRD09", "ACT01", "ACT03", "ACT04", "ACT05", "ACT06", "ACT07", "ACT13"),
        *("PAR01", "PAR02", "NUM01", "NUM02", "NUM03", "NUM05", "NUM09"),
    ),
    advice="Divide the learning rate by the factor named, and add a warm-up if the start is rough.",
)
def lr_too_high(
    trace: Trace,
    *,
    usual: Annotated[float, "rms(Δw) / rms(w) that the factor aims at"] = _USUAL,
) -> Iterator[Finding | Skipped]:
    """The steps are too large for the weights, and the loss shows it.

    Two signs together: updates change the weights by a large part of their size (UPD01), and the
    loss diverges, spikes or oscillates (LOS08, LOS09, LOS10). Either alone may have another cause.
    The factor is the ratio of the update ratio to its usual value. A warning if momentum makes the
    steps long: an average of the gradient over 200 steps and a tenth of the run, or over 100 if
    PyTorch's Adam forgets the squares so soon that β₁² ≥ √β₂, as when its `betas` are exchanged.
    Source: Karpathy's Recipe, step 3; CS231n, "ratio of weights:updates"; "37 reasons", 33; Kingma
    & Ba 2015, theorem 4.1, which assumes β₁² < √β₂.
    """
    if (average := long_average(trace)) is not None:
        yield average
        return
    high, reason = _first(update_ratio_high, trace)
    if reason:
        yield Skipped(reason)
        return
    if high is None:
        return
    signs = {"diverges": loss_diverging, "jumps": loss_spike, "oscillates": loss_oscillating}
    seen = {word: found for word, one in signs.items() if (found := _first(one, trace)[0])}
    if not seen:
        return
    ratio = float(high.evidence["ratio"])
    factor = rounded(ratio / usual)
    blamed = (trace.steps.step >= high.steps[0]) & (trace.steps.step <= high.steps[1])
    rate = median(trace.steps.lr[blamed])
    now = f" of {rate:.2g}" if np.isfinite(rate) else ""
    yield Finding(
        f"the learning rate{now} is about {factor:g} times too high: a step changes weights by "
        f"{ratio:.2g} of their size, and the loss {' and '.join(seen)}.",
        site=high.site,
        steps=(
            min(high.steps[0], *(found.steps[0] for found in seen.values())),
            max(high.steps[1], *(found.steps[1] for found in seen.values())),
        ),
        evidence={"ratio": ratio, "factor": factor, "learning_rate": rate, "loss": list(seen)},
        advice=f"Divide the learning rate by about {factor:g}: try {rate / factor:.1g}."
        if np.isfinite(rate)
        else "",
        location=optimizer_line(trace, high.site),
    )


@rule(
    "UPD08",
    "lr-too-low",
    Severity.WARNING,
    needs=(Role.PARAM, Role.UPDATE),
    explains=("LOS07", "LOS11", "LOS12", "LOS14", "LOS15"),
    advice="Multiply the learning rate by the factor named; `nntrace check` sweeps it for you.",
)
def lr_too_low(
    trace: Trace,
    *,
    ratio: Annotated[float, "rms(Δw) / rms(w) below which steps are small"] = 1.5e-4,
    remaining: Annotated[float, "share of the first loss that must be left"] = 0.6,
    steadiness: Annotated[
        float, "fall of the loss in the last third of the run relative to the first"
    ] = 0.7,
    steps: Annotated[int, "steps at the full learning rate that are needed"] = 150,
) -> Iterator[Finding | Skipped]:
    """The loss falls at a slow, constant pace and comes nowhere: the steps are tiny.

    Normally learning slows down as it goes. A loss that falls as steadily at the end as at the
    beginning, with most of it left and updates far below a thousandth of the weights, needs larger
    steps. Judged over the part of the run in which the rate is above a tenth of its maximum.
    Source: "37 reasons", 33; Karpathy, CS231n, "ratio of weights:updates".
    """
    series = loss_series(trace)
    if skipped := unjudgeable(series, steps):
        yield skipped
        return
    rows = at_full_rate(trace)
    if steps_at_full_rate(trace) < steps or len(rows) < _LEAST_SAMPLES:
        yield too_few(f"needs {steps} steps and {_LEAST_SAMPLES} samples at the full learning rate")
        return
    sites = weights(trace)
    values = update_ratios(trace, sites)[rows]
    values[~(values > 0)] = np.nan
    level = column_medians(values[len(rows) // 2 :])
    judged = np.isfinite(level)
    if not judged.any() or 2 * (level[judged] < ratio).sum() < judged.sum():
        return
    thirds = np.array_split(series.value[len(series) // 10 :], 3)
    falls = [_fall(part) for part in thirds]
    is_steady = min(falls) > 0 and falls[-1] >= steadiness * falls[0]
    left = remaining_loss(trace)
    if not is_steady or not left > remaining or trend_z(series.value) > -5.0:
        return
    if has_learned(trace, series):
        return
    typical, worst = float(np.median(level[judged])), sites[int(np.nanargmin(level))]
    factor, rate = rounded(_USUAL / typical), median(trace.steps.lr)
    now, attempt = (f" of {rate:.2g}", f": try {rate * factor:.1g}") if rate == rate else ("", "")
    if (warm_up := _endless_warm_up(trace, left)) is not None:
        yield warm_up
        return
    yield Finding(
        f"the learning rate{now} is about {factor:g} times too low: a step changes "
        f"weights by {typical:.1g} of their size, and {left:.0%} of the loss is left after "
        f"{len(series)} steps of steady fall.",
        site=worst,
        steps=series.span,
        evidence={"ratio": typical, "factor": factor, "remaining": left, "learning_rate": rate},
        advice=f"Multiply the learning rate by up to {factor:g}{attempt}.",
        location=optimizer_line(trace, worst),
    )


def _endless_warm_up(trace: Trace, left: float) -> Finding | None:
    """The finding on a rate that rises from the first step to the last; None if it does not."""
    rates = finite(trace.steps.lr)
    late = rates[-max(2, len(rates) // 10) :]
    if not len(rates) or (np.diff(rates) < 0.0).any():
        return None
    if not rates[0] < _WARMING * late[-1] or late[0] == late[-1]:
        return None
    schedulers = trace.events_of(EventKind.SCHEDULER)
    return Finding(
        f"the learning rate still warms up when the run ends: it rises from {rates[0]:.2g} to "
        f"{rates[-1]:.2g} over all {len(rates)} steps, and {left:.0%} of the loss is left.",
        steps=span(trace.steps.step),
        evidence={"first_rate": float(rates[0]), "last_rate": float(rates[-1]), "remaining": left},
        advice=f"Shorten the warm-up to a few percent of the run ({len(rates)} steps), and check "
        "whether it counts steps or epochs.",
        location=place(schedulers[0].payload) if schedulers else optimizer_line(trace),
    )


@rule(
    "UPD09",
    "lr-decayed-early",
    Severity.WARNING,
    explains=("UPD02", "UPD06", "LOS07", "LOS11", "LOS12", "LOS14"),
    advice="Stretch the schedule to the length of the run (its `T_max`, `total_steps`, "
    "milestones or decay rate), or begin with a constant rate and decay it only at the end.",
)
def lr_decayed_early(
    trace: Trace,
    *,
    decay: Annotated[float, "factor of fall of the rate below its highest value"] = 100.0,
    share: Annotated[float, "share of the run at such a rate"] = 0.2,
    fall: Annotated[float, "relative fall of the loss just before the decay"] = 0.03,
    most: Annotated[
        float, "share of the run at such a rate above which the whole decay was early"
    ] = 0.75,
    gone: Annotated[float, "factor of fall of the rate after which nothing is learned"] = 1e5,
    soon: Annotated[float, "share of the run in which such a decay had begun"] = 0.25,
    fitted: Annotated[float, "share of the first loss below which no rate is needed"] = 0.05,
    steps: Annotated[int, "optimizer steps with a loss that are needed"] = 60,
) -> Iterator[Finding | Skipped]:
    """The learning rate fell to next to nothing for a good part of the run while the loss fell.

    The rest of the run is wasted. The loss must have fallen clearly until then and have stopped
    after; a schedule that ends on a plateau, and the last steps of a decay to zero, are not
    reported.

    If most of the run is spent at such a rate, what counts is whether the loss was falling when the
    decay began. It also counts, however little the loss fell, if a rate that soon began to fall
    became a hundred-thousandth of the highest. A rate that falls so far from the first tenth of the
    run on is reported if the loss never fell, too.

    Reported at once, from a tenth of the rate on, is PyTorch's `ReduceLROnPlateau(mode="max")` on
    values that fall, as a loss does.

    Source: Karpathy's Recipe, step 3 (do not trust learning-rate decay defaults).
    """
    if (mistaken := follows_a_loss_upwards(trace, decay)) is not None:
        yield mistaken
        return
    series = loss_series(trace)
    if skipped := unjudgeable(series, steps):
        yield skipped
        return
    all_steps = trace.steps
    rates = np.interp(series.step, all_steps.step, np.nan_to_num(all_steps.lr, nan=-1.0))
    highest = float(rates.max())
    if highest <= 0 or (rates < 0).any():
        yield Skipped("the learning rate is not known")
        return
    since = lasting(rates < highest / decay, 1)
    if since is None or since < steps // 4 or len(rates) - since < share * len(rates):
        return
    values = series.value
    is_most = len(rates) - since > most * len(rates)
    began = _left_at(rates) if is_most else since
    before, after = values[began // 2 : began], values[since:]
    level = median(before[-max(3, len(before) // 4) :])
    lost = _fall(before)
    is_cut = lost > fall * abs(level) and trend_z(before) <= -3.0 and _fall(after) <= lost / 3
    if not is_cut and not _vanished_soon(values, rates, gone, soon, share, fitted):
        return
    yield Finding(
        f"the learning rate fell from {highest:.2g} to {rates[since]:.2g} by step "
        f"{series.step[since]} while the loss was still {'falling' if lost > 0 else 'high'}; the "
        f"loss has stayed at {median(after):.3g} for the {len(after)} steps since.",
        steps=(int(series.step[since]), series.span[1]),
        evidence={
            "highest": highest,
            "rate_then": float(rates[since]),
            "loss_then": level,
            "loss_at_end": median(after[-10:]),
            "share_of_run": len(after) / len(values),
        },
    )


def _vanished_soon(
    values: np.ndarray, rates: np.ndarray, gone: float, soon: float, share: float, fitted: float
) -> bool:
    """Whether a decay to no rate at all began soon, while the loss was falling."""
    highest = float(rates.max())
    since = lasting(rates < highest / gone, 1)
    began = _left_at(rates)
    if since is None or len(rates) - since < share * len(rates) or began > soon * len(rates):
        return False
    start, end = median(values[:_START]), median(values[since:])
    never_learned = end > _UNLEARNED * start and began <= _AT_ONCE * len(rates)
    return never_learned or (trend_z(values[:began]) <= -3.0 and end > fitted * abs(start))


def _left_at(rates: np.ndarray) -> int:
    """The index from which the rate is at most half of its highest."""
    return int(np.flatnonzero(rates > rates.max() / 2)[-1]) + 1


def _fall(values: np.ndarray) -> float:
    """How much lower the median of the last third of the values is than that of the first."""
    third = max(1, len(values) // 3)
    return median(values[:third]) - median(values[-third:])


def _first(one: Rule, trace: Trace) -> tuple[Finding | None, str]:
    """The first finding of another rule, or the reason why it could not judge."""
    results = list(one.run(trace))
    found = next((result for result in results if isinstance(result, Finding)), None)
    skipped = next((result.reason for result in results if isinstance(result, Skipped)), "")
    return found, "" if found else skipped
