"""The rule on targets whose shape is not that of the predictions they are compared with."""

from collections.abc import Iterator
from math import prod

import numpy as np

from nntrace.rules.common.calls import LossCall, as_shape, loss_calls
from nntrace.rules.common.chance import CROSS_ENTROPY, batch_span
from nntrace.rules.common.payloads import items, place
from nntrace.rules.finding import Finding, Severity, Skipped
from nntrace.rules.rule import rule
from nntrace.schema import EventKind
from nntrace.trace import Trace


@rule(
    "LOS18",
    "loss-broadcast",
    Severity.ERROR,
    explains=("LOS01", "LOS07", "LOS11", "LOS12", "LOS14"),
    advice="Give both the same shape: `prediction.squeeze(1)` or `target.unsqueeze(1)`.",
    in_keras="Give both the same shape: `keras.ops.squeeze(prediction, -1)` or "
    "`keras.ops.expand_dims(target, -1)`.",
)
def loss_broadcast(trace: Trace) -> Iterator[Finding | Skipped]:
    """Predictions and targets of different shapes are broadcast inside the loss.

    (N, 1) against (N,) gives N × N differences: each prediction is compared with every target, and
    the best answer is the mean of all targets. Only an expansion beyond both shapes counts: one
    constant target for the whole batch is fine. A warning if predictions [examples, positions, 1]
    meet one target for each example, as after a recurrent layer that returns its whole sequence:
    Keras compares each position with that target.

    Losses written by hand are seen, too; with Keras on TensorFlow in graphs and eagerly (Keras' own
    losses make both shapes alike). So are, with PyTorch, products with data, as of
    log-probabilities (N,) with advantages (N, 1).

    Source: PyTorch's warning in `mse_loss`; "37 reasons", 15 (check your loss).
    """
    calls = [call for call in loss_calls(trace) if call.shape is not None]
    where = batch_span(trace)
    if repeated := next((call for call in loss_calls(trace) if call.positions > 1), None):
        yield _one_target_for_all(repeated, where)
        return
    objectives = trace.events_of(EventKind.OBJECTIVE)
    if not calls and not objectives:
        yield Skipped("the shapes of predictions and targets were not recorded")
        return
    for call in calls:
        given, wanted = call.shape or (), call.target_shape or ()
        whole = _broadcast(given, wanted)
        is_elementwise = call.function not in CROSS_ENTROPY
        if is_elementwise and whole and prod(whole) > max(prod(given), prod(wanted)):
            yield Finding(
                f"`{call.function}` receives predictions of shape {given} and targets of shape "
                f"{wanted}, which broadcast to {whole}: each prediction is compared with every "
                "target.",
                steps=where,
                evidence={
                    "shape": list(given),
                    "target_shape": list(wanted),
                    "broadcast": list(whole),
                },
                location=call.location,
            )
            return
    for event in objectives:
        pair = items(event.payload, "broadcast")
        part, result, factor = (_as_written(shape) for shape in (*pair, None, None, None)[:3])
        if part and result:
            yield Finding(
                f"what the model gives, of shape {part}, times data of shape {factor} has shape "
                f"{result}: each value is weighed by the data of every example."
                if factor
                else f"predictions of shape {part} minus targets have shape {result}: each "
                "prediction is compared with every target.",
                steps=where,
                evidence={"shape": pair[0], "broadcast": pair[1]},
                location=place(event.payload),
                advice="Give both the same shape: `.squeeze(1)` the column." if factor else "",
            )
            return


def _one_target_for_all(call: LossCall, where: tuple[int, int]) -> Finding:
    return Finding(
        f"`{call.path}` is given predictions (N, {call.positions}, 1) and targets (N, 1): all "
        f"{call.positions} positions of an example are trained to predict its one target.",
        steps=where,
        severity=Severity.WARNING,
        evidence={"positions": call.positions},
        advice="Let the last recurrent layer return its last output only "
        "(`return_sequences=False`), or pool over the positions before the last layer.",
        location=call.location,
    )


def _as_written(shape: object) -> str:
    """A shape as text, with `N` for a batch size that a graph does not know; empty for no shape."""
    sizes = shape if isinstance(shape, list) else []
    known = as_shape([0 if size is None else size for size in sizes])
    written = ["N" if size is None else str(size) for size in sizes] if known else []
    return f"({', '.join(written)}{',' * (len(written) == 1)})" if written else ""


def _broadcast(one: tuple[int, ...], other: tuple[int, ...]) -> tuple[int, ...] | None:
    try:
        return np.broadcast_shapes(one, other)
    except ValueError:
        return None
