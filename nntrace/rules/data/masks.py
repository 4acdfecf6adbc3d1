"""A part of DAT10: masks whose foreground is so rare that the model predicts none."""

from collections.abc import Sequence
from math import log
from typing import Final

from nntrace.rules.common.chance import BINARY, loss_location
from nntrace.rules.common.framework import speaks_keras
from nntrace.rules.common.signals import median
from nntrace.rules.finding import Finding, Severity
from nntrace.schema import Role
from nntrace.trace import Batch, Trace

_LATE: Final = 3  # the last third of the batches
_BATCHES: Final = 8
_STEPS: Final = 100
_RARE: Final = 0.05  # share of foreground
_PLACES: Final = 64  # of an example
_AXES: Final = 3  # examples, and two or more of places: with two, it is several labels of each
_LEARNT: Final = 0.9  # of the loss of answering the share everywhere
_ABOVE: Final = 1.5  # times the same: not even the share is learned yet
_FALLS: Final = 0.95  # of the loss: within the last third, what is stuck stays at it
_ROUNDING: Final = 1e-3

_ADVICE = (
    "Weigh the foreground: `pos_weight` of `BCEWithLogitsLoss`, a focal or a Dice loss beside the "
    "cross-entropy; start the output bias at {bias:.1f}, the log odds of that share; crop around "
    "the foreground; judge by the overlap of masks, not by accuracy."
)
_ADVICE_IN_KERAS = (
    "Weigh the foreground: `keras.losses.BinaryFocalCrossentropy`, or `keras.losses.Dice` beside "
    "the cross-entropy; start the output bias at {bias:.1f}, the log odds of that share "
    "(`bias_initializer`); crop around the foreground; judge by `keras.metrics.BinaryIoU`, not by "
    "accuracy."
)


def foreground_never_predicted(trace: Trace, batches: Sequence[Batch]) -> Finding | None:
    """Masks of rare foreground, of which no prediction says that it is there.

    Only where the loss is no better than that of the same small probability everywhere: a model
    that knows more may have reason to be unsure. Nor where it still falls from far above that: a
    slow model learns the share first.
    """
    masks = [batch for batch in batches if _is_mask(trace, batch)]
    late = masks[len(masks) - len(masks) // _LATE :]
    if len(late) < _BATCHES or len(trace.steps) < _STEPS:
        return None
    share = median([batch.target_mean or 0.0 for batch in late])
    if not 0.0 < share < _RARE or any(map(_has_predicted, late)):
        return None
    entropy = -share * log(share) - (1.0 - share) * log(1.0 - share)
    losses = [batch.loss_value for batch in late if batch.loss_value is not None]
    half = len(losses) // 2
    loss = median(losses or [0.0])
    if loss < _LEARNT * entropy:
        return None
    if loss > _ABOVE * entropy and median(losses[half:]) < _FALLS * median(losses[:half]):
        return None
    path = late[-1].loss_path or late[-1].loss_function or ""
    advice = _ADVICE_IN_KERAS if speaks_keras(trace) else _ADVICE
    return Finding(
        f"everything is taken for background: {share:.1%} of the targets' values are 1, and since "
        f"step {late[0].step} no prediction says so. The loss of {loss:.3g} is not below that of "
        f"the same answer everywhere ({entropy:.3g}).",
        site=trace.site(path, Role.OUTPUT),
        steps=(late[0].step, late[-1].step),
        severity=Severity.WARNING,
        evidence={"foreground": share, "loss": loss, "loss_of_a_constant": entropy},
        advice=advice.format(bias=log(share / (1.0 - share))),
        location=loss_location(trace, path),
    )


def _is_mask(trace: Trace, batch: Batch) -> bool:
    """Whether the targets are zeros and ones, many for each example."""
    mean, spread = batch.target_mean, batch.target_std
    if batch.loss_function not in BINARY or mean is None or spread is None:
        return False
    site = trace.site(batch.loss_path or batch.loss_function, Role.OUTPUT)
    if site is None or len(site.shape) < _AXES or site.numel < _PLACES * site.shape[0]:
        return False
    is_binary = abs(spread**2 - mean * (1.0 - mean)) <= _ROUNDING * mean
    return is_binary and (batch.target_min, batch.target_max) == (0.0, 1.0)


def _has_predicted(batch: Batch) -> bool:
    """Whether any place is more likely foreground than not."""
    middle = 0.5 if batch.loss_function == "binary_cross_entropy" else 0.0
    return batch.output_max is None or batch.output_max >= middle
