"""Class weights that are the wrong way round, or given to classes that are even already."""

from collections import Counter
from collections.abc import Mapping
from typing import Final

import numpy as np

from nntrace.rules.common.loaders import trained_loaders
from nntrace.rules.common.payloads import number, place, whole
from nntrace.rules.finding import Finding
from nntrace.schema import EventKind
from nntrace.trace import Event, Trace

_UNEVEN: Final = 3.0  # examples of the largest class for one of the smallest
_HEAVIER: Final = 2.0  # weight of the largest class relative to the smallest's
_EACH: Final = (
    "Let a class weigh less the more examples it has: `len(y) / (classes * np.bincount(y))`, in "
    "the order of the class numbers, gives each class the same share of the loss."
)
_POSITIVE: Final = (
    "`pos_weight` is the number of negative examples for each positive one, `(len(y) - y.sum()) / "
    "y.sum()`."
)
_EVEN: Final = 1.5  # examples of the largest class for one of the smallest
_ONCE: Final = (
    "Keep one of the two: shuffle without a weighted sampler, or leave the weights out of the loss."
)
_GOES_WITH: Final = 0.5  # correlation of weights with sizes, on logarithmic scales


def wrong_weights(trace: Trace, totals: Counter[int]) -> Finding | None:
    """The finding if the weights given to a loss grow with the classes' sizes; else None.

    Also if a weighted sampler has made the classes even before.

    Args:
        totals: the number of sampled labels of each class.
    """
    calls = trace.events_of(EventKind.LOSS_CALL)
    for event in (*trace.events_of(EventKind.LOADER), *calls):
        given = event.payload.get("class_weights")
        weights = _positive(given, totals) if isinstance(given, Mapping) else {}
        if len(weights) < 2:
            continue
        finding = _reversed(trace, event, weights, totals) or _twice(trace, event, weights, totals)
        if finding is not None:
            return finding
    return None


def _positive(given: Mapping[str, object], totals: Counter[int]) -> dict[int, float]:
    """The positive weights of classes that were seen."""
    found = {label: number(given, str(label)) for label in totals}
    return {label: weight for label, weight in found.items() if weight is not None and weight > 0}


def _reversed(
    trace: Trace, event: Event, weights: dict[int, float], totals: Counter[int]
) -> Finding | None:
    common = max(weights, key=lambda label: totals[label])
    rare = min(weights, key=lambda label: totals[label])
    sizes = np.log([totals[label] for label in weights])
    if totals[common] < _UNEVEN * totals[rare] or weights[common] < _HEAVIER * weights[rare]:
        return None
    if not np.corrcoef(sizes, np.log(list(weights.values())))[0, 1] > _GOES_WITH:
        return None
    share = totals[common] / sum(totals.values())
    return Finding(
        f"the class weights are the wrong way round: class {common}, with {share:.0%} of the "
        f"sampled labels, weighs {weights[common]:.3g}, and the rarest, class {rare}, "
        f"{weights[rare]:.3g}.",
        steps=(event.step, int(trace.steps.step[-1])),
        explains=("LOS22",),
        evidence={
            "labels": list(weights),
            "counts": [totals[label] for label in weights],
            "weights": list(weights.values()),
        },
        location=place(event.payload),
        advice=_POSITIVE if event.payload.get("pos_weight") is True else _EACH,
    )


def _twice(
    trace: Trace, event: Event, weights: dict[int, float], totals: Counter[int]
) -> Finding | None:
    drawn = trained_loaders(trace)
    loaders = [one.payload for one in trace.events_of(EventKind.LOADER)]
    is_drawn_by_weight = any(
        one.get("weights") is not None and whole(one, "loader") in drawn for one in loaders
    )
    sizes, (light, heavy) = totals.values(), (min(weights.values()), max(weights.values()))
    if not is_drawn_by_weight or max(sizes) > _EVEN * min(sizes) or heavy < _UNEVEN * light:
        return None
    return Finding(
        f"classes are balanced twice: the loader's sampler draws them about equally often "
        f"({min(sizes)} to {max(sizes)} of the sampled labels each), and the loss weighs them "
        f"from {light:.3g} to {heavy:.3g}: rare ones count too much.",
        steps=(event.step, int(trace.steps.step[-1])),
        explains=("LOS22",),
        evidence={
            "labels": list(weights),
            "counts": [totals[label] for label in weights],
            "weights": list(weights.values()),
        },
        location=place(event.payload),
        advice=_ONCE,
    )
