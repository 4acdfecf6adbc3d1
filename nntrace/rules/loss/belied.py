"""Whether a reported accuracy can be right, given the loss of the same predictions.

An example that is classified wrongly gives its own class at most one half, and so has a loss of
ln 2 or more. The share of wrong examples is therefore at most the mean loss divided by ln 2.
"""

import math
from collections import Counter
from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from nntrace.rules.common.passes import reported_metrics
from nntrace.rules.common.payloads import number
from nntrace.schema import Role
from nntrace.trace import Trace

_EPOCHS: Final = 3  # that are needed, the last ones
_SURPLUS: Final = 0.1  # of wrong examples beyond what the loss allows


class Belied(NamedTuple):
    """An accuracy at the end of an epoch, the least that it can be, and the loss that says so."""

    metric: str
    accuracy: float
    least: float
    loss: float


def belied_accuracy(trace: Trace, labels: Counter[int]) -> Belied | None:
    """The first accuracy that was too low for its loss in the last epochs.

    Losses that weigh classes, examples or positions must have been ruled out. A mean over classes
    may be lower than one over examples, by at most the ratio of an even share to the rarest one.

    Args:
        trace: with the metrics that Keras reports beside the loss at the end of an epoch.
        labels: how often each class was seen in training.
    """
    epochs = [metrics for _, metrics in reported_metrics(trace)]
    if len(epochs) < _EPOCHS or not labels or not _has_one_target(trace):
        return None
    unevenness = labels.total() / (len(labels) * min(labels.values()))
    late = epochs[-_EPOCHS:]
    for name in (name for name in late[-1] if "acc" in name.lower()):
        told = [_compare(metrics, name, unevenness) for metrics in late]
        if all(told):
            return told[-1]
    return None


def _compare(metrics: Mapping[str, Any], name: str, unevenness: float) -> Belied | None:
    """The accuracy of an epoch, if it is too low for the loss of that epoch; else None."""
    accuracy = number(metrics, name)
    loss = number(metrics, "val_loss" if name.startswith("val_") else "loss")
    if accuracy is None or loss is None or not 0.0 <= accuracy <= 1.0 or loss < 0.0:
        return None
    least = 1.0 - unevenness * loss / math.log(2.0)
    return Belied(name, accuracy, least, loss) if accuracy < least - _SURPLUS else None


def _has_one_target(trace: Trace) -> bool:
    """Whether the loss has one class to predict for each example, not one for each position."""
    outputs, targets = trace.sites_of(Role.OUTPUT), trace.sites_of(Role.TARGET)
    if len(outputs) != 1 or len(targets) != 1:
        return False
    examples, *rest = targets[0].shape or (0,)
    is_one_hot = tuple(rest) == tuple(outputs[0].shape[1:]) and len(rest) == 1
    return targets[0].numel == examples or is_one_hot
