"""What a graph differentiates: the summands of the objective, and clamps of errors before means.

Read off the operations while the graph is built. Values are computed with the other samples of a
step: no tensor of the training gets a new user.
"""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import tensorflow as tf

from nntrace_keras.graphs.dependence import Dependence

_MOST_OPERATIONS = 512
_MOST_TERMS = 32
_DEEP = 24
_MOVES = ("Identity", "Reshape", "Squeeze", "ExpandDims", "Cast", "Transpose", "PreventGradient")
_ADDS = ("Add", "AddV2", "AddN")
REDUCTIONS = ("Mean", "Sum")
_SCALES = ("Mul", "RealDiv", "Div", "DivNoNan")
_ELEMENTWISE = ("Square", "Pow", "Abs", "Neg", "Sqrt")
_OF_DIFFERENCES = (
    *("SelectV2", "Maximum", "Minimum", "Relu", "AddV2", "Sub"),
    *("Log", "Log1p", "Exp", "Cosh", "Softplus"),
)
DIFFERENCES = ("Sub", "SquaredDifference")
ADD_AXES = ("StridedSlice", "ExpandDims", "BroadcastTo")  # to compare one with many on purpose
# Operations between errors and their mean.
_PLAIN = (*REDUCTIONS, *_ELEMENTWISE, *_MOVES, *_SCALES)
PASSED = (*_PLAIN, *_OF_DIFFERENCES)
_OF_WEIGHTS = frozenset(
    {
        *(*_MOVES, *_ADDS, *REDUCTIONS, *_SCALES, *_ELEMENTWISE),
        *("L2Loss", "Max", "Maximum", "Minimum", "Relu", "Pack", "ConcatV2", "Sub", "MatMul"),
        *("ReadVariableOp", "Const", "EuclideanNorm", "StridedSlice", "MatrixDiagPartV3"),
    }
)

Shape = tuple[int | None, ...]


@dataclass(frozen=True, slots=True)
class Term:
    """One summand of the objective.

    Attributes:
        name: of the loss function; `penalty` if only parameters enter; else `other`.
        weight: the factor with which it enters.
        tensor: the value without that factor.
        is_call: whether a loss function returned it.
    """

    name: str
    weight: float
    tensor: Any
    is_call: bool


@dataclass(frozen=True, slots=True)
class Clamp:
    """Values that are cut off at bounds before they are reduced."""

    values: Any
    least: float | None
    most: float

    def share(self, values: Any) -> Any:
        """The share of the values, or of their sampled copy, that is cut off."""
        cut = values > tf.cast(self.most, values.dtype)
        if self.least is not None and self.least < 0:
            cut = tf.logical_or(cut, values < tf.cast(self.least, values.dtype))
        return tf.reduce_mean(tf.cast(cut, tf.float32))


def terms(depends: Dependence, target: Any, calls: Sequence[tuple[str, Any]]) -> list[Term]:
    """The summands of a scalar; empty if there are too many to follow.

    Args:
        depends: what is differentiable in the target's graph.
        target: what is differentiated.
        calls: names of loss functions and what they returned.
    """
    known = {id(value): name for name, value in calls}
    found: list[Term] = []
    waiting = [(target, 1.0)]
    for _ in range(_MOST_OPERATIONS):
        if not waiting:
            return found if len(found) <= _MOST_TERMS else []
        tensor, weight = waiting.pop()
        if id(tensor) in known:
            found.append(Term(known[id(tensor)], weight, tensor, True))
            continue
        if tensor not in depends:
            continue
        inside = list(_summands(depends, tensor, weight)) if tensor.shape.rank == 0 else []
        if inside:
            waiting.extend(reversed(inside))
        else:
            name = "penalty" if _only_parameters(depends, tensor) else "other"
            found.append(Term(name, weight, tensor, False))
    return []


def sum_of(objective: Sequence[Term], values: Any) -> Any:
    """The term that sums a loss function's value per example, `values`; None if there is none."""
    sums = (term.tensor for term in objective if term.tensor.op.type == "Sum")
    return next((total for total in sums if total.op.inputs[0] is values), None)


def clamp(depends: Dependence, term: Term) -> Clamp | None:
    """The upper clamp between a term's errors and their reduction; None if there is none."""
    least = None
    for operation in _toward_the_error(depends, term.tensor, through=("Maximum",)):
        inputs = depends.inputs(operation)
        if operation.type == "ClipByValue" and inputs:
            low, high = (_number(operation.inputs[place]) for place in (1, 2))
            return None if high is None else Clamp(operation.inputs[0], low, high)
        if operation.type not in ("Minimum", "Maximum"):
            continue
        if len(inputs) != 1:
            return None  # the smaller of two computed values bounds nothing
        bound = _number(next((t for t in operation.inputs if t is not inputs[0]), None))
        if operation.type == "Minimum":
            return None if bound is None else Clamp(inputs[0], least, bound)
        least = bound
    return None


def broadcast(depends: Dependence, term: Term) -> tuple[Shape, Shape] | None:
    """Shapes of predictions and of their difference from the targets, if they were broadcast.

    That is, if the difference has an element for each pair of the two: (N, 1) against (N,).
    """
    for operation in _toward_the_error(depends, term.tensor, through=_OF_DIFFERENCES):
        if operation.type not in DIFFERENCES:
            continue
        inputs = depends.inputs(operation)
        if len(inputs) != 1 or _is_prepared(inputs[0].op) or depends.is_variable(inputs[0].op):
            return None
        target = next(t for t in operation.inputs if t is not inputs[0])
        if target.shape.rank == 0:
            continue
        return pairwise(tuple(inputs[0].shape), tuple(target.shape))
    return None


def pairwise(part: Shape | None, other: Shape | None) -> tuple[Shape, Shape] | None:
    """Shapes of predictions and of their difference, if one operand is a column and one a row."""
    if (
        part is None
        or other is None
        or {len(part), len(other)} != {1, 2}
        or 1 not in (part[1:] or other[1:])
    ):
        return None
    return (part, (part[0], part[0])) if part[0] == other[0] != 1 else None


def _toward_the_error(
    depends: Dependence, tensor: Any, through: Collection[str] = ()
) -> Iterator[Any]:
    """Yield the operations from a reduction back to where values stop being errors, a few at most.

    Operations of the types `through` are passed, too, by way of their first differentiable operand.
    """
    for _ in range(_DEEP):
        operation = tensor.op
        yield operation
        inputs = depends.inputs(operation)
        is_plain = len(inputs) == 1 or (len(inputs) == 2 and inputs[0] is inputs[1])  # a square
        passes = operation.type in _PLAIN
        if not inputs or not (operation.type in through or (is_plain and passes)):
            return
        tensor = inputs[0]


def _is_prepared(operation: Any) -> bool:
    """Whether an operation adds an axis to a tensor."""
    if operation.type == "StridedSlice":
        return bool(operation.get_attr("new_axis_mask"))
    return operation.type in ADD_AXES


def _summands(depends: Dependence, tensor: Any, weight: float) -> Iterator[tuple[Any, float]]:
    """The scalars added or scaled to give a scalar, with weights; none for other operations."""
    operation, kind = tensor.op, tensor.op.type
    inputs = depends.inputs(operation)
    if kind in _ADDS:
        yield from ((one, weight) for one in inputs)
    elif kind == "Sub":
        signs = (weight, -weight)
        yield from ((t, s) for t, s in zip(operation.inputs, signs, strict=True) if t in depends)
    elif kind in _SCALES and len(inputs) == 1:
        is_first = operation.inputs[0] is inputs[0]
        factor = _number(operation.inputs[1 if is_first else 0])
        if factor and (is_first or kind == "Mul"):
            yield inputs[0], weight * factor if kind == "Mul" else weight / factor
    elif kind == "Neg":
        yield inputs[0], -weight
    elif kind in (*_MOVES, *REDUCTIONS) and inputs:
        if inputs[0].shape.rank == 0:
            yield inputs[0], weight
        elif inputs[0].op.type == "Pack" and inputs[0].shape.rank == 1:
            parts = inputs[0].op.inputs
            share = weight / len(parts) if kind == "Mean" else weight
            yield from ((part, share) for part in parts if part in depends)


def _only_parameters(depends: Dependence, tensor: Any) -> bool:
    """Whether only parameters, their powers, sums and constant factors enter."""
    seen: set[int] = set()
    waiting, reads = [tensor.op], 0
    while waiting:
        operation = waiting.pop()
        if operation._id in seen:
            continue
        seen.add(operation._id)
        is_read = depends.is_variable(operation)
        if operation.type not in _OF_WEIGHTS or len(seen) > _MOST_OPERATIONS:
            return False
        if operation.type == "ReadVariableOp":
            value = operation.outputs[0]
            if not is_read and value.dtype.is_floating and value.shape.rank != 0:
                return False  # a variable that is not trained: it may hold data
            reads += is_read
            continue
        waiting += [one.op for one in operation.inputs]
    return reads > 0


def _number(tensor: Any) -> float | None:
    """The value of a constant of the graph; None if it is computed."""
    value = None if tensor is None else tf.get_static_value(tensor)
    return float(value) if value is not None and value.size == 1 else None
