"""Rules on the form of what a loss receives: logits, probabilities or log-probabilities."""

from collections.abc import Iterator
from typing import Annotated

import numpy as np

from nntrace.rules.common.calls import LossCall, loss_calls
from nntrace.rules.common.chance import CROSS_ENTROPY, batch_span, is_of, loss_inputs, loss_location
from nntrace.rules.common.flow import Flow
from nntrace.rules.common.optimizers import backward_line
from nntrace.rules.finding import Finding, Severity, Skipped, too_few
from nntrace.rules.loss.alignment import is_aligned, unnormalised
from nntrace.rules.loss.declared import contradicted
from nntrace.rules.rule import rule
from nntrace.schema import Role
from nntrace.trace import Batch, Trace

_ONE_OF_THEM = "Leave `from_logits` out, or let the model end without the softmax."
_ROUNDING = 1e-3
_ROW_SUM_ERROR = 0.01  # half-precision probabilities sum to 1 within this
_ROWS_OF_ANOTHER_AXIS = 0.05  # from here on a row's sum misses 1: softmax ran over another axis
_ROWS = 2  # axes of predictions: examples and classes


@rule(
    "LOS02",
    "softmax-before-cross-entropy",
    Severity.ERROR,
    explains=("LOS07", "LOS11", "LOS12", "LOS14", "GRD01", "UPD02", "UPD08"),
    advice="Give the loss the raw logits: remove the softmax from the model (cross-entropy "
    "applies its own), or take `nll_loss` on `log_softmax` outputs.",
    in_keras="Give the loss the raw logits: let the model end without a softmax and say "
    "`from_logits=True`, or end in one softmax and leave `from_logits` out.",
)
def softmax_before_cross_entropy(
    trace: Trace,
    *,
    batches: Annotated[int, "sampled batches whose rows must be probabilities"] = 2,
) -> Iterator[Finding | Skipped]:
    """A cross-entropy that expects logits receives rows that are probabilities.

    It applies a second softmax: with ten classes the loss cannot fall below 1.46, and the gradient
    is faint. Recognised by rows that are non-negative and all sum to 1, which logits do not do by
    accident.

    With Keras also a second softmax after the first. A loss of Keras on TensorFlow uses the logits
    before a softmax whatever it is told: there it is a warning if the loss is told
    `from_logits=True` of a softmax: the run is right, the program is not.

    Source: "37 reasons", 15 and 20 (loss input); PyTorch's documentation of `cross_entropy`.
    """
    doubled = {c.path: c for c in loss_calls(trace) if c.is_doubled and c.function in CROSS_ENTROPY}
    for path, call in doubled.items():
        yield Finding(
            f"the predictions that `{path}` receives went through a softmax twice.",
            site=trace.site(path, Role.OUTPUT),
            steps=batch_span(trace),
            advice="Leave one softmax in the model.",
            location=call.location,
        )
    wrong = tuple(contradicted(trace, CROSS_ENTROPY, "softmax", _ONE_OF_THEM))
    yield from wrong
    calls = {
        path: [batch for batch in given if _has_rows(batch)]
        for path, given in loss_inputs(trace).items()
        if is_of(path, "cross_entropy")
    }
    most = max((len(judged) for judged in calls.values()), default=0)
    if most < batches:
        if not doubled and not wrong:
            lacking = too_few(f"needs {batches} sampled calls of `cross_entropy`, has {most}")
            yield _in_a_loss_of_its_own(trace) or lacking
        return
    for path, judged in calls.items():
        matching = [batch for batch in judged if _is_probabilities(batch)]
        if len(matching) < batches or len(matching) < 0.9 * len(judged):
            continue
        classes = max(batch.classes or 0 for batch in matching)
        floor = float(np.log1p((classes - 1) * np.exp(-1.0)))
        yield Finding(
            f"`{path}` receives probabilities, not logits: in {len(matching)} of {len(judged)} "
            "sampled batches all rows are non-negative and sum to 1. With "
            f"{classes} classes the loss cannot fall below {floor:.2f}.",
            site=trace.site(path, Role.OUTPUT),
            steps=(matching[0].step, matching[-1].step),
            evidence={
                "row_sum_min": min(batch.row_sum_min or 0.0 for batch in matching),
                "row_sum_max": max(batch.row_sum_max or 0.0 for batch in matching),
                "classes": classes,
                "lowest_possible_loss": floor,
            },
            location=loss_location(trace, path),
        )


def _in_a_loss_of_its_own(trace: Trace) -> Finding | None:
    """The finding on a log-softmax at the end of the forward pass that takes a softmax's output."""
    flow = Flow(trace)
    for vertex, sources in flow.sources.items():
        before = next((s for s in sources if flow.kind(s).removeprefix(":") == "softmax"), None)
        if before is None or flow.kind(vertex).removeprefix(":") != "logsoftmax":
            continue
        if not any(after.is_module for after in flow.behind([vertex])):
            return Finding(
                "the loss takes the log-softmax of what went through a softmax: it expects logits.",
                site=trace.site(before.name, Role.ACTIVATION),
                steps=batch_span(trace),
                location=backward_line(trace),
            )
    return None


@rule(
    "LOS03",
    "nll-without-log-softmax",
    Severity.ERROR,
    explains=(
        *("LOS01", "LOS07", "LOS08", "LOS11", "LOS12", "LOS13", "LOS21", "LOS22", "GRD02"),
        *("GRD05", "PAR02"),
    ),
    advice="Take `cross_entropy` on the raw logits, or put `log_softmax(dim=1)` before `nll_loss`.",
    in_keras="Let the model end in a softmax, or say `from_logits=True`.",
)
def nll_without_log_softmax(
    trace: Trace,
    *,
    error: Annotated[float, "largest |log of the sum of exponentials| of log-probabilities"] = 0.05,
    batches: Annotated[int, "sampled calls that are needed"] = 2,
) -> Iterator[Finding | Skipped]:
    """A loss on probabilities, or on their logarithms, receives values that are neither.

    `nll_loss` only picks the value of the right class: without `log_softmax` the loss falls without
    bound while that value grows, and nothing pushes the others down. Recognised because the
    exponentials of log-probabilities sum to 1 in every row, and these do not.

    Keras' cross-entropies and its KL divergence, which expect probabilities, clip values below 0,
    which then have no gradient; what they get from a softmax must add up to 1 for each example. On
    PyTorch a softmax over another axis than the classes is recognised by its width: over the batch
    (`dim=0`) examples compete with each other for each class.

    Source: "37 reasons", 15 (check your loss function) and 20; PyTorch's documentation of
    `NLLLoss`, Keras' of `from_logits`.
    """
    told = _softmax_of_another_axis(trace)
    raw = [
        *told.values(),
        *unnormalised(trace, error, batches),
        *_below_zero(trace, batches),
        *_over_another_axis(trace, batches),
    ]
    yield from raw
    calls = {
        path: [batch for batch in given if batch.row_lse_max is not None]
        for path, given in loss_inputs(trace).items()
        if is_of(path, "nll_loss")
    }
    most = max((len(judged) for judged in calls.values()), default=0)
    if most < batches and not (raw or _on_probabilities(trace) or is_aligned(trace)):
        yield too_few(f"needs {batches} sampled calls of `nll_loss`, has {most}")
    for path, judged in calls.items():
        wrong = [b for b in judged if _farthest_log_sum(b) > error]
        if path in told or len(judged) < batches or len(wrong) < 0.9 * len(judged):
            continue
        first = wrong[0]
        sums = f"from {first.row_lse_min:.3g} to {first.row_lse_max:.3g}"
        are = "probabilities" if _sums_to_one(first) else "raw values"
        yield Finding(
            f"`{path}` receives {are}, not log-probabilities: the log-sum-exp of a row of "
            f"log-probabilities is 0, here it is {sums}.",
            site=trace.site(path, Role.OUTPUT),
            steps=(first.step, wrong[-1].step),
            evidence={
                "row_lse_min": min(b.row_lse_min or 0.0 for b in wrong),
                "row_lse_max": max(b.row_lse_max or 0.0 for b in wrong),
                "batches": len(wrong),
                "sampled_batches": len(judged),
            },
            location=loss_location(trace, path),
        )


def _sums_to_one(batch: Batch) -> bool:
    low, high = batch.row_sum_min, batch.row_sum_max
    if low is None or high is None:
        return False
    return abs(low - 1.0) < _ROW_SUM_ERROR and abs(high - 1.0) < _ROW_SUM_ERROR


def _farthest_log_sum(batch: Batch) -> float:
    return max(abs(batch.row_lse_min or 0.0), abs(batch.row_lse_max or 0.0))


def _on_probabilities(trace: Trace) -> dict[str, LossCall]:
    """The calls of Keras' losses that use the predictions as probabilities of classes, by path."""
    return {
        call.path: call
        for call in loss_calls(trace)
        if call.takes_probabilities and not call.is_paired
    }


def _softmax_of_another_axis(trace: Trace) -> dict[str, Finding]:
    """Findings, by path, on a softmax before a cross-entropy that is not over the classes."""
    told: dict[str, Finding] = {}
    for call in loss_calls(trace):
        shape, width = call.shape or (), call.head_width
        if call.function not in CROSS_ENTROPY or call.head not in ("softmax", "log_softmax"):
            continue
        if call.path in told or call.takes_probabilities:
            continue
        if call.over_classes or not call.classes or width in (None, 1):
            continue
        if call.over_classes is None and width == call.classes:
            continue
        if width not in shape:
            continue  # the width is of something else: a slice, or several heads in one
        over = f"the {width} examples of the batch" if width == shape[0] else f"an axis of {width}"
        is_nll = call.function == "nll_loss"
        told[call.path] = Finding(
            f"the {call.head} before `{call.path}` runs over {over}, not over the "
            f"{call.classes} classes: the values of an example are no distribution.",
            site=trace.site(call.path, Role.OUTPUT),
            steps=batch_span(trace),
            evidence={"width": width, "classes": call.classes, "shape": list(shape)},
            advice=f"Let it run over the classes: `{call.head}(x, dim=1)` (or `dim=-1`, where they "
            "are the last axis)."
            if is_nll
            else f"Leave out the {call.head}: `{call.function}` applies its own, over the classes.",
            location=call.location,
        )
    return told


def _below_zero(trace: Trace, batches: int) -> Iterator[Finding]:
    """Yield findings on calls of such losses with values below zero, which are no probabilities."""
    given = loss_inputs(trace)
    for path, call in _on_probabilities(trace).items():
        seen = [b for b in given.get(path, ()) if b.output_min is not None]
        raw = [b for b in seen if (b.output_min or 0.0) < -_ROUNDING]
        if len(raw) < batches or len(raw) < 0.9 * len(seen):
            continue
        low = min(b.output_min or 0.0 for b in raw)
        high = max(b.output_max or 0.0 for b in raw)
        yield Finding(
            f"`{path}` receives values from {low:.3g} to {high:.3g}: logits, not probabilities. "
            "What lies below 0 is clipped, and has no gradient.",
            site=trace.site(path, Role.OUTPUT),
            steps=(raw[0].step, raw[-1].step),
            evidence={"output_min": low, "output_max": high, "batches": len(raw)},
            advice="Let the model end in a softmax, or say `from_logits=True`.",
            location=call.location,
        )


def _over_another_axis(trace: Trace, batches: int) -> Iterator[Finding]:
    """Yield findings on softmax outputs that do not add up to 1 over the classes of an example."""
    given = loss_inputs(trace)
    for path, call in _on_probabilities(trace).items():
        site = trace.site(path, Role.OUTPUT)
        seen = [b for b in given.get(path, ()) if _has_rows(b)]
        wrong = [b for b in seen if _farthest_row_sum(b) > _ROWS_OF_ANOTHER_AXIS]
        is_softmax = call.head == "softmax" and site is not None and len(site.shape) == _ROWS
        if not is_softmax or len(wrong) < batches or len(wrong) < 0.9 * len(seen):
            continue
        low = min(b.row_sum_min or 0.0 for b in wrong)
        high = max(b.row_sum_max or 0.0 for b in wrong)
        yield Finding(
            f"the softmax before `{path}` is not over the classes: an example's values add up to "
            f"{low:.3g} to {high:.3g}, not to 1. Each depends on the other examples of the batch.",
            site=site,
            steps=(wrong[0].step, wrong[-1].step),
            evidence={"row_sum_min": low, "row_sum_max": high, "batches": len(wrong)},
            advice="Take the softmax over the last axis: `axis=-1`, not `axis=0`.",
            location=call.location,
        )


def _farthest_row_sum(batch: Batch) -> float:
    return max(abs((batch.row_sum_min or 0.0) - 1.0), abs((batch.row_sum_max or 0.0) - 1.0))


def _has_rows(batch: Batch) -> bool:
    known = batch.row_sum_min is not None and batch.row_sum_max is not None
    return known and (batch.classes or 0) >= 2


def _is_probabilities(batch: Batch) -> bool:
    smallest, largest = batch.output_min, batch.output_max
    is_share = smallest is not None and smallest >= 0.0 and (largest or 0.0) <= 1.0 + _ROW_SUM_ERROR
    return _sums_to_one(batch) and is_share
