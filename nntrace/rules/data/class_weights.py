"""Class weights that make frequent classes count even more, the reverse of what they are for."""

from collections import Counter
from collections.abc import Mapping
from typing import Final

import numpy as np

from nntrace.rules.common.payloads import number, place
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
_GOES_WITH: Final = 0.5  # correlation of weights with sizes, on logarithmic scales


def weights_of_frequent_classes(trace: Trace, totals: Counter[int]) -> Finding | None:
    """The finding if the weights given to a loss grow with the classes' sizes; else None.

    Args:
        totals: the number of sampled labels of each class.
    """
    calls = trace.events_of(EventKind.LOSS_CALL)
    for event in (*trace.events_of(EventKind.LOADER), *calls):
        given = event.payload.get("class_weights")
        weights = _positive(given, totals) if isinstance(given, Mapping) else {}
        if len(weights) >= 2 and (finding := _reversed(trace, event, weights, totals)) is not None:
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
