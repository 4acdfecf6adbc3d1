"""The summands of the loss that a step differentiates: their names, and values in its sample."""

from collections.abc import Sequence
from typing import Any

import tensorflow as tf

from nntrace_keras.program.losses import loss_facts
from nntrace_keras.program.objective import Term
from nntrace_keras.samples.capture import Capture
from nntrace_keras.tape.loss_paths import path_of
from nntrace_keras.tape.under_tape import LossCall


def named_calls(called: Sequence[LossCall]) -> list[tuple[str, Any]]:
    """The scalar values of a step's loss functions, each under a unique name."""
    counts: dict[str, int] = {}
    found = []
    for call in called:
        if call.value is None or call.value.shape.rank != 0:
            continue
        function = loss_facts(call.function, tf.convert_to_tensor(call.prediction)).function
        name = path_of(function, call.output)
        count = counts[name] = counts.get(name, 0) + 1
        found.append((name if count == 1 else f"{name}#{count}", call.value))
    return found


def terms(
    capture: Capture, called: Sequence[LossCall], objective: Sequence[Term] | None
) -> dict[str, Any]:
    """Keep the values of the terms that are added up and differentiated, if there are several.

    Args:
        capture: keeps them.
        called: the loss functions that were called.
        objective: the terms that a graph shows; None eagerly, where only the calls are known.
    """
    if objective is None:
        if any(call.value is None or call.value.shape.rank != 0 for call in called):
            return {}
        named = zip(named_calls(called), called, strict=True)
        objective = [Term(name, call.weight, value, True) for (name, value), call in named]
    if len({term.name for term in objective}) < 2:
        return {}
    for number, term in enumerate(objective):
        capture.add_scalar(f"term.{number}", term.tensor)
    return {
        "term_names": tuple(term.name for term in objective),
        "term_weights": tuple(term.weight for term in objective),
    }
