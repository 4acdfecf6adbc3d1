"""Losses that rise or stay though the model learns, as what they measure changes meanwhile."""

from math import hypot

import numpy as np

from nntrace.rules.common.calls import REGRESSION
from nntrace.rules.common.chance import SQUARED_ERROR, batches_of_last_phase, target_growth
from nntrace.rules.common.layers import columns, first_finite, weights
from nntrace.rules.common.loss_course import LossSeries
from nntrace.rules.common.passes import makes_targets, unseen_data
from nntrace.rules.common.payloads import items
from nntrace.rules.common.signals import median, window_medians
from nntrace.rules.finding import Skipped
from nntrace.schema import EventKind, Role
from nntrace.trace import Trace

_GROWN = 1.5  # times their first size: samples of the same data do not differ so much
_CHANGED = 1.1  # times their first size, if the errors have not grown with them
_KEPT_UP = 0.9  # of the errors of a model that learns nothing while the targets grow
_SHARPER = 1.05  # times the rms of distributions; that of many examples of a teacher's varies less
_SAMPLED = 5  # targets
_PRUNED = 0.1  # of the weights
_EVALUATED = 3  # passes
_FELL = 0.8  # of the first of them


def moving_targets(trace: Trace, series: LossSeries) -> Skipped | None:
    """Skip if growing errors may be success: targets such as returns grow with what is learned."""
    if _sharpens(trace):
        return Skipped(
            "the targets of `kl_div` may become sharper, as those a network itself makes"
        )
    if _is_pruned(trace):
        return Skipped("weights are pruned meanwhile: the loss rises with what is taken away")
    if _better_elsewhere(trace, series):
        return Skipped("the evaluation gets better meanwhile: what is trained on became harder")
    calls = trace.events_of(EventKind.LOSS_CALL)
    if not all(event.payload.get("function") in REGRESSION for event in calls):
        return None
    if makes_targets(trace):
        return Skipped("a network makes the targets of every step")
    if calls and _is_shared(trace, series):
        return Skipped("several optimizers share a loss of unknown parts, as an actor and a critic")
    growth = target_growth(trace)
    if growth > _GROWN and series.end <= _grown_with_targets(series, growth):
        return Skipped(f"targets become {growth:.2g} times as large: errors grow with them")
    return None


def _is_pruned(trace: Trace) -> bool:
    """Whether many weights have become exactly zero in the run, which no optimizer does."""
    sites = weights(trace)
    zeros = columns(trace, Role.PARAM, "zero_fraction", sites)
    more = np.nan_to_num(first_finite(zeros[::-1]) - first_finite(zeros))
    numbers = [site.numel for site in sites]
    return bool(sites) and float(np.average(more, weights=numbers)) > _PRUNED


def _is_shared(trace: Trace, series: LossSeries) -> bool:
    """Whether several optimizers step after one backward, through more than known functions.

    One of them may raise what another's regression is to predict.
    """
    objectives = [event.payload for event in trace.events_of(EventKind.OBJECTIVE)]
    is_unknown = bool(objectives) and all("other" in items(one, "terms") for one in objectives)
    return is_unknown and series.optimizers == 1 and len(set(trace.steps.optimizer)) > 1


def _sharpens(trace: Trace) -> bool:
    """Whether the distributions of a divergence become sharper, as in deep clustering.

    They may where too few were sampled to tell.
    """
    own = [b for b in batches_of_last_phase(trace) if b.loss_function == "kl_div"]
    sizes = [hypot(b.target_mean or 0.0, b.target_std or 0.0) for b in own]
    if 0 < len(sizes) < _SAMPLED:
        return True
    fifth = max(1, len(sizes) // 5)
    return bool(sizes) and median(sizes[-fifth:]) > _SHARPER * median(sizes[:fifth])


def _better_elsewhere(trace: Trace, series: LossSeries) -> bool:
    """Whether the loss on data that are not trained on fell to its end while that of steps rose.

    So it does where a curriculum, stronger augmentation or less teacher forcing sets in.
    """
    medians = window_medians(series.value, 10)
    if not len(medians):
        return False
    lowest = int(series.step[int(medians.argmin()) * len(series) // len(medians)])
    for passes in unseen_data(trace).values():
        losses = [one.loss for one in passes if one.loss is not None and one.step >= lowest]
        if len(losses) >= _EVALUATED and losses[-1] == min(losses) < _FELL * losses[0]:
            return True
    return False


def kept_up(trace: Trace, series: LossSeries) -> Skipped | None:
    """Skip if the squared error fell in relation to targets that have grown, such as returns."""
    calls = trace.events_of(EventKind.LOSS_CALL)
    if not all(event.payload.get("function") in SQUARED_ERROR for event in calls):
        return None
    growth = target_growth(trace)
    if growth <= _CHANGED or not 0.0 < series.end < _KEPT_UP * _grown_with_targets(series, growth):
        return None
    return Skipped(f"targets become {growth:.2g} times as large, and errors grow less")


def _grown_with_targets(series: LossSeries, growth: float) -> float:
    """The squared error to expect at the end if errors grow as the targets do."""
    return growth**2 * median(series.value[: max(1, len(series) // 5)])
