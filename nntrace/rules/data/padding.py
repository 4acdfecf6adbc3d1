"""Sequences that are padded to one length, and whether the padding counts in the loss."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np

from nntrace.rules.common.chance import loss_location
from nntrace.rules.finding import Finding
from nntrace.schema import EventKind, Role
from nntrace.trace import Batch, Tensor, Trace
from nntrace.trace.model import BoolArray

_MOST: Final = 0.5  # of the targets
_ROWS: Final = 8
_LENGTHS: Final = 3  # different lengths at least, as sentences have
_ELSEWHERE: Final = 0.02  # the most of the filling value that may occur within sequences
_LEAVE_OUT: Final = (
    "Tell the loss which target stands at these positions (`ignore_index=`) or set these targets "
    "to -100, which it ignores by default, or keep each position's loss and take the mean over "
    "real ones alone."
)
_LEAVE_OUT_OF_KERAS: Final = (
    "Let the `Embedding` have `mask_zero=True`: Keras then leaves these positions out of the "
    "loss and of `weighted_metrics`. Or set `ignore_class` of the loss, or give them sample "
    "weights of 0."
)


def padding_in_the_loss(trace: Trace, batches: Sequence[Batch]) -> Finding | None:
    """The finding if most targets are at positions that only fill up a sequence; else None.

    For PyTorch's losses on class indices and for Keras, whose records tell what they leave out.
    """
    calls = [event.payload for event in trace.events_of(EventKind.LOSS_CALL)]
    inputs = [tensor for tensor in trace.tensors if tensor.role == Role.INPUT]
    for target in (tensor for tensor in trace.tensors if tensor.role == Role.TARGET):
        for given in inputs if calls and batches else ():
            share, answer = _filled(given, target)
            if share >= _MOST and all(_counts(call, answer) for call in calls):
                function = str(calls[0].get("function"))
                return Finding(
                    f"{share:.0%} of the targets of `{function}` stand where `{given.path}` is "
                    "padding, and each counts in the loss like a real one.",
                    site=trace.site(given.path, Role.INPUT),
                    steps=(batches[0].step, batches[-1].step),
                    evidence={"share": share, "input": given.path, "target": answer},
                    location=loss_location(trace, function),
                    advice=_LEAVE_OUT if "ignore_index" in calls[0] else _LEAVE_OUT_OF_KERAS,
                )
    return None


def _counts(call: Mapping[str, Any], answer: float) -> bool:
    """Whether a loss surely counts a position with this target like any other."""
    if "ignore_index" not in call:
        return call.get("masked") is False
    is_whole = call.get("reduction") != "none" and not call.get("weighted")
    # Log-probabilities may have been multiplied by a mask on their way to `nll_loss`.
    is_direct = call.get("function") != "nll_loss" or call.get("head") == "log_softmax"
    return is_whole and is_direct and call["ignore_index"] != answer


def _filled(given: Tensor, target: Tensor) -> tuple[float, float]:
    """The share of padding in the kept examples, and the one target that padding has.

    (0, 0) if there is no padding, or its targets differ. Targets may have been flattened, as some
    loss functions want them.
    """
    ids, nothing = given.values, (0.0, 0.0)
    is_of_ids = len(given.shape) == 2 and given.dtype.startswith(("int", "uint", "float"))
    if not is_of_ids or (given.stride, target.stride) != (1, 1) or given.step != target.step:
        return nothing
    if len(ids) < _ROWS or target.values.size != ids.size or (ids % 1 != 0).any():
        return nothing
    answers = target.values.reshape(ids.shape)
    for end in (-1, 0):
        values, counts = np.unique(ids[:, end], return_counts=True)
        filler = values[counts.argmax()]
        inside = _run_from(end, ids == filler)
        lengths = np.unique(inside.sum(axis=1))
        outside = (ids == filler).sum() - inside.sum()
        is_filled = len(lengths) >= _LENGTHS and outside <= _ELSEWHERE * inside.sum()
        if is_filled and len(np.unique(answers[inside])) == 1 < len(np.unique(answers)):
            return float(inside.mean()), float(answers[inside][0])
    return nothing


def _run_from(end: int, holds: BoolArray) -> BoolArray:
    """Mark the runs of true values at that end of the rows: [examples, positions]."""
    ordered = holds[:, ::-1] if end else holds
    run = np.logical_and.accumulate(ordered, axis=1)
    return run[:, ::-1] if end else run
