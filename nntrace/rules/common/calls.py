"""The recorded calls of loss functions: shapes, head, reduction, line of code.

A trace is not trusted: a payload value of another type than documented counts as unknown.
"""

from dataclasses import dataclass
from typing import Any

from nntrace.rules.common.payloads import count, flag, place, text, whole
from nntrace.rules.finding import Location
from nntrace.schema import EventKind
from nntrace.trace import Trace

REGRESSION = frozenset({"mse_loss", "l1_loss", "smooth_l1_loss", "huber_loss"})

_OF_PROBABILITIES = (
    *("categorical_crossentropy", "sparse_categorical_crossentropy"),
    "kl_divergence",
)


@dataclass(frozen=True, slots=True)
class LossCall:
    """One place in the program that calls a loss function.

    Attributes:
        path: of the sites of its targets and predictions.
        classes: the width of the predictions' class axis; None if unknown.
        head: the operation that made the predictions, such as `softmax`; None if unknown.
        head_width: the size of a softmax's axis.
        over_classes: whether that axis is the one of the classes; None if unknown.
        takes_probabilities: whether it is one of Keras' losses on probabilities of classes.
        is_paired: whether Keras' loss uses the logits behind the predictions, whatever it is told.
        is_contradicted: whether it does so although it is told that the predictions are logits.
        is_doubled: whether those logits are the output of a softmax or sigmoid themselves.
        is_exchanged: whether targets are the model's output, and predictions come with the data.
        has_learned_target: whether a gradient flows into the target, as into what a network made.
        positions: how many positions of an example are compared with its one target; else 0.
    """

    function: str
    path: str
    reduction: str
    classes: int | None
    shape: tuple[int, ...] | None
    target_shape: tuple[int, ...] | None
    head: str | None
    head_width: int | None
    over_classes: bool | None
    takes_probabilities: bool
    is_paired: bool
    is_contradicted: bool
    is_doubled: bool
    is_exchanged: bool
    has_learned_target: bool
    positions: int
    location: Location | None


def loss_calls(trace: Trace) -> tuple[LossCall, ...]:
    """Every recorded call, in order."""
    found = []
    for event in trace.events_of(EventKind.LOSS_CALL):
        values = event.payload
        function = text(values, "function")
        if not function:
            continue
        found.append(
            LossCall(
                function,
                text(values, "path") or function,
                text(values, "reduction") or "mean",
                whole(values, "classes"),
                as_shape(values.get("shape")),
                as_shape(values.get("target_shape")),
                text(values, "head") or None,
                whole(values, "head_width"),
                flag(values, "over_classes"),
                _takes_probabilities(values),
                values.get("hidden_logits") is True,
                values.get("hidden_logits") is True and values.get("from_logits") is True,
                values.get("doubled") is True,
                values.get("exchanged") is True,
                values.get("learned_target") is True,
                count(values, "positions"),
                place(values),
            )
        )
    return tuple(found)


def are_scaled_cosines(trace: Trace, path: str) -> bool:
    """Whether logits are cosines times a scale, which is large from the start by design."""
    return any(call.path == path and call.head == "cosine" for call in loss_calls(trace))


def _takes_probabilities(values: dict[str, Any]) -> bool:
    """Whether a loss takes probabilities; none of PyTorch's does: `kl_div` takes logarithms."""
    name = values.get("keras_function")
    return name in _OF_PROBABILITIES and values.get("from_logits") is not True


def as_shape(value: object) -> tuple[int, ...] | None:
    """A shape from a payload; None for anything else."""
    if not isinstance(value, list) or not all(
        isinstance(size, int) and size >= 0 for size in value
    ):
        return None
    return tuple(value)
