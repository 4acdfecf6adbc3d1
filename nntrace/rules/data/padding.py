"""Sequences that are padded to one length, and whether the padding counts in the loss."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

import numpy as np

from nntrace.rules.common.chance import loss_location
from nntrace.rules.common.payloads import number, place, text
from nntrace.rules.finding import Finding
from nntrace.schema import EventKind, Role
from nntrace.trace import Batch, Tensor, Trace
from nntrace.trace.model import BoolArray, FloatArray

_MOST: Final = 0.5  # of the targets
_SOME: Final = 0.05  # of them, where the loss was told to leave padding out
_ROWS: Final = 8
_LENGTHS: Final = 3  # different lengths at least, as sentences have
_ELSEWHERE: Final = 0.02  # the most of the filling value that may occur within sequences
_CLASSES: Final = 4  # among the targets at least, as sentences have words
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


def another_left_out(trace: Trace) -> Finding | None:
    """The finding if a loss was told to leave out another target than that of the padding."""
    inputs = [tensor for tensor in trace.tensors if tensor.role == Role.INPUT]
    if not any(len(given.shape) == 2 and "int" in given.dtype for given in inputs):
        return None
    for event in trace.events_of(EventKind.LOSS_CALL):
        left_out, path = number(event.payload, "ignore_index"), text(event.payload, "path")
        if left_out is None or left_out < 0 or not _counts(event.payload, -1.0):
            continue
        for target in trace.tensors:
            if (target.role, target.path, target.stride) != (Role.TARGET, path, 1):
                continue
            rows = _rows(target, inputs[0].shape[0])
            for filler, inside in _fillings(rows):
                share = float(inside.mean())
                if filler == left_out or share < _SOME or len(np.unique(rows)) < _CLASSES:
                    continue
                return Finding(
                    f"`{path}` leaves out target {left_out:.0f}, but sequences are filled up with "
                    f"{filler:.0f}: {share:.0%} of the targets are padding and count.",
                    site=trace.site(path, Role.TARGET),
                    steps=(event.step, event.step),
                    evidence={"ignored": left_out, "padding": filler, "share": share},
                    location=place(event.payload),
                    advice=f"Say `ignore_index={filler:.0f}`.",
                )
    return None


def _rows(target: Tensor, examples: int) -> FloatArray:
    """The kept targets as [examples, positions], as they were before they were flattened."""
    if len(target.shape) == 1 and examples and target.shape[0] % examples == 0:
        length = target.shape[0] // examples
        return target.values[: len(target.values) // length * length].reshape(-1, length)
    return target.values if target.values.ndim == 2 else np.empty((0, 1))


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
    if target.values.size != ids.size or (ids % 1 != 0).any():
        return nothing
    answers = target.values.reshape(ids.shape)
    for _, inside in _fillings(ids):
        if len(np.unique(answers[inside])) == 1 < len(np.unique(answers)):
            return float(inside.mean()), float(answers[inside][0])
    return nothing


def _fillings(rows: FloatArray) -> Iterator[tuple[float, BoolArray]]:
    """Values that fill up one end of rows [examples, positions] and stand nowhere else, and where.

    At the end of the rows first; only of rows of several lengths.
    """
    for end in (-1, 0) if len(rows) >= _ROWS else ():
        values, counts = np.unique(rows[:, end], return_counts=True)
        filler = values[counts.argmax()]
        inside = _run_from(end, rows == filler)
        lengths = np.unique(inside.sum(axis=1))
        outside = (rows == filler).sum() - inside.sum()
        if len(lengths) >= _LENGTHS and outside <= _ELSEWHERE * inside.sum():
            yield float(filler), inside


def _run_from(end: int, holds: BoolArray) -> BoolArray:
    """Mark the runs of true values at that end of the rows: [examples, positions]."""
    ordered = holds[:, ::-1] if end else holds
    run = np.logical_and.accumulate(ordered, axis=1)
    return run[:, ::-1] if end else run
