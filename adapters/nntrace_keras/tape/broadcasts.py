"""Finds predictions that are broadcast against targets in a step that runs eagerly.

There is no graph to read then; the operations whose derivatives the tape computed serve instead.
"""

from collections.abc import Sequence
from typing import Any

from nntrace_keras.nonfinite.derivatives import Derivative
from nntrace_keras.program import objective
from nntrace_keras.program.objective import Shape


def broadcast(derivatives: Sequence[Derivative]) -> tuple[Shape, Shape] | None:
    """Like `objective.broadcast`: shapes of the predictions and of the errors, or None."""
    for one in derivatives:
        if one.type not in objective.DIFFERENCES or len(one.inputs) != 2:
            continue
        predicted = [n for n, gradient in enumerate(one.given[:2]) if gradient is not None]
        if len(predicted) != 1 or any(operand is None for operand in one.inputs):
            continue
        part, target = (_shape(one.inputs[n]) for n in (predicted[0], 1 - predicted[0]))
        shapes = objective.pairwise(part, target)
        if shapes and not _is_on_purpose(part, derivatives) and _is_error(shapes[1], derivatives):
            return shapes
    return None


def _is_on_purpose(part: Shape | None, derivatives: Sequence[Derivative]) -> bool:
    """Whether a tensor of this shape got an axis to be compared with many, or is a variable."""
    return any(
        one.type in (*objective.ADD_AXES, "ReadVariableOp") and _shape(one.incoming[0]) == part
        for one in derivatives
    )


def _is_error(difference: Shape, derivatives: Sequence[Derivative]) -> bool:
    """Whether all that is done with the differences is to average or to sum them."""
    of_pairs = [one for one in derivatives if difference in map(_shape, one.given)]
    return any(one.type in objective.REDUCTIONS for one in of_pairs) and all(
        one.type in objective.PASSED for one in of_pairs
    )


def _shape(tensor: Any) -> Shape | None:
    shape = getattr(tensor, "shape", None)
    return None if shape is None else tuple(shape)
