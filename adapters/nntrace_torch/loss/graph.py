"""Reads the autograd graph around a loss: which operation made the predictions, which terms the
objective is a sum of, and what stands between a difference and its reduction.

Nodes are recognised by their names and saved values. A graph that cannot be read gives None, never
a guess. Nothing read here is kept.
"""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch

from nntrace_torch.axes.norms import is_of_cosines
from nntrace_torch.program.graphs import (
    constant_operand,
    nodes_of,
    operands,
    operation,
    output_shape,
    saved,
    signed,
)

_MOST_NODES = 512
_MOST_ELEMENTS = 1 << 20  # of a term that is computed again
_DEEP = 12

_HEADS = {
    "Sigmoid": "sigmoid",
    "Hardsigmoid": "sigmoid",
    "Softmax": "softmax",
    "LogSoftmax": "log_softmax",
    "LogSigmoid": "log_sigmoid",
    "Tanh": "tanh",
    "Hardtanh": "tanh",
    "Relu": "relu",
    "Softplus": "softplus",
    "Exp": "exp",
    "Clamp": "clamp",
    "Addmm": "affine",
    "Mm": "affine",
    "Bmm": "affine",
    "Baddbmm": "affine",
    "Mv": "affine",
    "Convolution": "affine",
}
MOVES = frozenset(
    {
        *("View", "UnsafeView", "ReshapeAlias", "Squeeze", "Unsqueeze", "Select", "Slice", "T"),
        *("Transpose", "Permute", "Clone", "ToCopy", "Index", "Alias", "AsStrided", "Unbind"),
        *("Split", "SplitWithSizes"),
    }
)
_ELEMENTWISE = frozenset({"Pow", "Abs", "Neg", "Sqrt"})
# Further operations on a difference in losses written by hand; not where a bound is looked for.
_OF_DIFFERENCES = frozenset({"Where", "Log", "Log1P", "Exp", "Cosh", "Softplus"})
_REDUCTIONS = frozenset({"Mean", "Sum"})
_OF_WEIGHTS = frozenset(
    {
        *("Pow", "Abs", "Neg", "Sqrt", "Mean", "Sum", "Mul", "Div", "Add", "Norm", "Cat", "Stack"),
        *("LinalgVectorNorm", "Max", "Maximum", "Clamp", "ClampMin", "Relu", "ToCopy", "View"),
        *("UnsafeView", "ReshapeAlias", "T", "Transpose", "Permute", "Unsqueeze", "Squeeze"),
        "AccumulateGrad",
    }
)


class LossCall(NamedTuple):
    """A loss function's call in this step: its name, its result's node and value."""

    name: str
    node: Any
    value: torch.Tensor


@dataclass(frozen=True, slots=True)
class Term:
    """One summand of the objective.

    Attributes:
        name: the loss function's; `penalty` where only parameters enter; else `other`.
        weight: its factor in the sum.
        node: the node that computes it.
        value: its value before the factor, where that is known.
    """

    name: str
    weight: float
    node: Any
    value: torch.Tensor | None


class Head(NamedTuple):
    """The operation that made the predictions; `width` is the size of a softmax's axis."""

    name: str | None
    width: int | None


def head(predictions: torch.Tensor) -> Head:
    """The operation that made the predictions, apart from those that only move values.

    Its name is `cosine` for cosines with a scale, and None for any other operation that is not
    listed in `_HEADS`.
    """
    node = predictions.grad_fn
    for _ in range(_DEEP):
        if node is None:
            break
        name = operation(node)
        if name in MOVES:
            node = operands(node)[0]
            continue
        found, width = _HEADS.get(name), None
        if found is None and is_of_cosines(node):
            found = "cosine"
        if found in ("softmax", "log_softmax"):
            shape, axis = output_shape(node), signed(saved(node, "dim"))
            width = shape[axis] if shape and axis is not None and -len(shape) <= axis else None
        return Head(found, width)
    return Head(None, None)


def is_doubled(predictions: torch.Tensor) -> bool:
    """Whether a softmax or sigmoid made the predictions from the output of the same function."""
    made_by = predictions.grad_fn
    if made_by is None or operation(made_by) not in ("Softmax", "Sigmoid"):
        return False
    below = operands(made_by)[0]
    return below is not None and operation(below) == operation(made_by)


def terms(loss: torch.Tensor, calls: Sequence[LossCall]) -> list[Term]:
    """The summands of a scalar; empty when there are too many to follow."""
    known = {id(call.node): call for call in calls}
    found: list[Term] = []
    waiting: list[tuple[Any, float]] = [(loss.grad_fn, 1.0)]
    for _ in range(_MOST_NODES):
        if not waiting:
            return found
        node, weight = waiting.pop()
        if node is None:
            continue
        call = known.get(id(node))
        if call is not None:
            found.append(Term(call.name, weight, node, call.value))
            continue
        inside = list(_summands(node, weight)) if _is_one_number(node) else []
        if inside:
            waiting.extend(reversed(inside))
        else:
            name = "penalty" if _only_parameters(node) else "other"
            found.append(Term(name, weight, node, None))
    return []


def value(term: Term) -> torch.Tensor | None:
    """A term's value before its weight: recorded, or computed again from saved operands."""
    if term.value is not None:
        return term.value
    name = operation(term.node)
    if name in ("LinalgVectorNorm", "Norm"):
        result = saved(term.node, "result")
        return result if isinstance(result, torch.Tensor) else None
    child = _only_child(term.node)
    if name not in _REDUCTIONS or child is None or not _is_one_number(term.node):
        return None
    elements = _elements(child)
    if elements is None:
        return None
    return elements.mean() if name == "Mean" else elements.sum()


def clamped_share(term: Term) -> torch.Tensor | None:
    """The share of per-example losses (or errors) that are clamped to an upper bound."""
    for node in _toward_the_error(term.node):
        name = operation(node)
        if name in ("Clamp", "ClampMax"):
            values, most = saved(node, "self"), saved(node, "max")
            least = saved(node, "min") if name == "Clamp" else None
            if not isinstance(values, torch.Tensor) or most is None:
                return None
            cut: torch.Tensor = values.detach() > most
            if isinstance(least, (int, float)) and least < 0:
                cut = cut | (values.detach() < least)
            return cut.to(torch.float32).mean()
        if name == "Minimum":
            one, other = saved(node, "self"), saved(node, "other")
            sides = operands(node)
            if not isinstance(one, torch.Tensor) or not isinstance(other, torch.Tensor):
                return None
            if sum(side is not None for side in sides) != 1:
                return None  # the smaller of two computed values bounds nothing
            free, bound = (one, other) if sides[0] is not None else (other, one)
            return (free.detach() > bound.detach()).to(torch.float32).mean()
    return None


def broadcast(term: Term) -> tuple[tuple[int, ...], ...] | None:
    """The shapes of predictions and of their difference from targets, if broadcast to [N, N].

    Of a product with data, such as advantages, the shape of the data comes third.
    """
    for node in _toward_the_error(term.node, through=_OF_DIFFERENCES):
        name = operation(node)
        shapes = _each_with_all(node) if name in ("Sub", "Mul") else None
        if shapes is not None or name == "Sub":
            return shapes
    return None


def _each_with_all(node: Any) -> tuple[tuple[int, ...], ...] | None:
    """The shapes of a column or row of N values and of its [N, N] result with data.

    None if both operands are computed, or one was prepared for it.
    """
    sides = [(child, place) for child, place in node.next_functions if child is not None]
    if len(sides) != 1 or operation(sides[0][0]) in ("Unsqueeze", "Expand", "AccumulateGrad"):
        return None
    whole, part = output_shape(node), output_shape(*sides[0])
    if whole is None or part is None or len(whole) != 2 or whole[0] != whole[1] or whole[0] < 2:
        return None
    columns = ((whole[0],), (whole[0], 1))
    if operation(node) == "Sub":
        return (part, whole) if part in columns else None
    factor = constant_operand(node)
    given = tuple(factor.shape) if isinstance(factor, torch.Tensor) else ()
    return (part, whole, given) if part in columns and given in columns else None


def _summands(node: Any, weight: float) -> Iterator[tuple[Any, float]]:
    """The operands of a node that adds or scales, with their weights; none for other nodes."""
    name, sides = operation(node), operands(node)
    if name in ("Add", "Sub"):
        alpha = _number(saved(node, "alpha"))
        second = weight * (1.0 if alpha is None else alpha) * (-1.0 if name == "Sub" else 1.0)
        yield sides[0], weight
        if len(sides) > 1:
            yield sides[1], second
    elif name in ("Mul", "Div"):
        is_inverse = name == "Div" and sides[0] is None
        factor = None if is_inverse else _number(constant_operand(node))
        if factor:
            child = next(side for side in sides if side is not None)
            yield child, weight / factor if name == "Div" else weight * factor
    elif name == "Neg":
        yield sides[0], -weight
    elif name in MOVES and len(sides) == 1:
        yield sides[0], weight
    elif name in _REDUCTIONS and sides and sides[0] is not None and operation(sides[0]) == "Stack":
        parts = operands(sides[0])
        shape = output_shape(sides[0])
        if shape is not None and len(shape) == 1:
            share = weight / len(parts) if name == "Mean" else weight
            for part in parts:
                yield part, share


def _number(value: Any) -> float | None:
    """A number or a scalar tensor as a float; None for one on an accelerator, which would wait."""
    if isinstance(value, (int, float)):
        return float(value)
    if isinstance(value, torch.Tensor) and value.numel() == 1 and value.device.type == "cpu":
        return float(value)
    return None


def _only_parameters(node: Any) -> bool:
    """Whether nothing but parameters, their powers, sums and constant factors enter."""
    leaves = 0
    for number, one in enumerate(nodes_of(node)):
        name = operation(one)
        if name not in _OF_WEIGHTS or number == _MOST_NODES:
            return False
        factor = constant_operand(one) if name == "Mul" else None
        if isinstance(factor, torch.Tensor) and factor.numel() > 1:
            return False
        leaves += name == "AccumulateGrad"
    return leaves > 0


def _toward_the_error(node: Any, through: Collection[str] = ()) -> Iterator[Any]:
    """The nodes from a reduction down to where values stop being errors, at most `_DEEP`."""
    for _ in range(_DEEP):
        if node is None:
            return
        yield node
        name, sides = operation(node), operands(node)
        passes = name in _REDUCTIONS or name in _ELEMENTWISE or name in MOVES or name in through
        scales = name in ("Mul", "Div") and (
            sum(side is not None for side in sides) == 1
            or (len(sides) == 2 and sides[0] is sides[1])  # a square
        )
        if not (passes or scales):
            return
        node = next((side for side in sides if side is not None), None)


def _elements(node: Any) -> torch.Tensor | None:
    """The values of an elementwise operation, computed again from its saved operands."""
    name, given = operation(node), saved(node, "self")
    if not isinstance(given, torch.Tensor) or given.numel() > _MOST_ELEMENTS:
        return None
    operand: torch.Tensor = given.detach()
    if name == "Pow":
        exponent = saved(node, "exponent")
        return torch.pow(operand, exponent) if isinstance(exponent, (int, float)) else None
    if name == "Abs":
        return operand.abs()
    other = saved(node, "other")
    if name == "Mul" and isinstance(other, torch.Tensor):
        return operand.mul(other.detach())
    return None


def _only_child(node: Any) -> Any:
    children = list(filter(None, operands(node)))
    return children[0] if len(children) == 1 else None


def _is_one_number(node: Any) -> bool:
    shape = output_shape(node)
    return shape is not None and all(size == 1 for size in shape)
