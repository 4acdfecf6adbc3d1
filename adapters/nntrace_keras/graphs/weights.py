"""Weights of a graph that a softmax made over another axis than the one that is summed.

Attention, gates and mixtures weigh what they sum: their softmax must have run over that very axis.
Nothing is added to the graph that is read.
"""

import math
from collections.abc import Callable, Collection, Iterator, Sequence
from typing import Any, Final, NamedTuple

import numpy as np
import tensorflow as tf

from nntrace_keras.graphs.dependence import Dependence

Shape = tuple[int | None, ...]
_SAME_PLACES = ("Identity", "Cast", "SelectV2")
_LAID_OUT = ("Reshape", "ExpandDims", "Squeeze", "StridedSlice")
_SCALES = ("Mul", "RealDiv", "AddV2", "Sub")
_PRODUCTS = {
    "MatMul": ("transpose_a", "transpose_b"),
    "BatchMatMul": ("adj_x", "adj_y"),
    "BatchMatMulV2": ("adj_x", "adj_y"),
    "BatchMatMulV3": ("adj_x", "adj_y"),
}
_SUMS = ("Sum", "Mean")
# What TensorFlow computes an order of axes by, and does not take for a constant.
_OF_CONSTANTS: Final[dict[str, Callable[..., Any]]] = {
    "Sub": np.subtract,
    "Range": np.arange,
    "Pack": lambda *parts: np.stack(parts),
    "ConcatV2": lambda *parts: np.concatenate(parts[:-1], axis=int(parts[-1])),
}
_FAR = 12  # operations between scores and softmax, or between weights and the sum


class OtherAxis(NamedTuple):
    """Weights whose softmax ran over another axis than the one that is summed.

    Attributes:
        what: `attention` for weights that compare two activations, else `weights`.
        shape: of the weights where they are used; None for sizes that vary.
        axis: over which the softmax ran.
        right: over which they are summed.
        operation: the softmax.
    """

    what: str
    shape: Shape
    axis: int
    right: int
    operation: Any


class _Use(NamedTuple):
    """An operation that sums what a softmax's results weigh; `axis` is the softmax's there."""

    operation: Any
    tensor: Any
    axis: int
    summed: tuple[int, ...]


def over_another_axis(
    depends: Dependence, targets: Sequence[Any], examples: Collection[int | None]
) -> Iterator[OtherAxis]:
    """Yield such weights among what the targets are computed from.

    Args:
        depends: what is differentiable in the graph.
        targets: what is differentiated.
        examples: sizes that the axis of the examples may have, None if it varies.
    """
    forward = _behind(depends, targets)
    softmaxes = [o for o in depends.operations if o.type == "Softmax" and o._id in forward]
    uses = [(one, use) for one in softmaxes for use in _uses(depends, one.outputs[0], forward)]
    taken = [use.operation._id for _, use in uses]
    for softmax, use in uses:
        if taken.count(use.operation._id) > 1 or use.axis in use.summed:
            continue  # the product of two softmaxes may be of any axis
        shape: Shape = tuple(use.tensor.shape)
        right = next((axis for axis in use.summed if shape[axis] != 1), None)
        if right is None:
            continue
        over_examples = use.axis == 0 and shape[0] in examples
        if shape[use.axis] == 1 or over_examples:
            yield OtherAxis("weights", shape, use.axis, right, softmax)
        elif _compares(depends, softmax):
            yield OtherAxis("attention", shape, use.axis, right, softmax)


def _behind(depends: Dependence, targets: Sequence[Any]) -> set[int]:
    """The numbers of the operations from which the targets are computed: no gradients."""
    found: set[int] = set()
    waiting = [target.op for target in targets if target in depends]
    while waiting:
        operation = waiting.pop()
        if operation._id not in found:
            found.add(operation._id)
            waiting += [tensor.op for tensor in depends.inputs(operation)]
    return found


def _uses(depends: Dependence, rows: Any, forward: Collection[int]) -> Iterator[_Use]:
    """Follow a softmax's results, only moved, to the sums over what they weigh."""
    if rows.shape.rank is None:
        return
    waiting = [(rows, rows.shape.rank - 1, 0)]
    while waiting:
        tensor, axis, far = waiting.pop()
        for taker in tensor.consumers():
            if taker._id not in forward or far > _FAR:
                continue
            if taker.type == "Mul" and len(depends.inputs(taker)) > 1:
                yield from _weighed(taker, tensor, axis, forward)
            elif summed := _contracted(taker, tensor):
                yield _Use(taker, tensor, axis, summed)
            elif (after := _moved(depends, taker, tensor, axis)) is not None:
                waiting.append((taker.outputs[0], after, far + 1))


def _contracted(product: Any, operand: Any) -> tuple[int, ...]:
    """The axes of an operand over which a product of matrices sums; none for other operations."""
    rank = operand.shape.rank
    if product.type in _PRODUCTS:
        first = product.inputs[0] is operand
        is_turned = product.get_attr(_PRODUCTS[product.type][0 if first else 1])
        return (rank - 2 if first == is_turned else rank - 1,)
    if product.type == "Einsum":
        terms, _, result = product.get_attr("equation").decode().replace(" ", "").partition("->")
        place = next(n for n, tensor in enumerate(product.inputs) if tensor is operand)
        own = terms.split(",")[place]
        return () if "." in own else tuple(n for n, one in enumerate(own) if one not in result)
    return ()


def _weighed(product: Any, weights: Any, axis: int, forward: Collection[int]) -> Iterator[_Use]:
    """The sums over what weights are multiplied with, place by place."""
    whole = product.outputs[0].shape.rank
    if whole is None:
        return
    ahead = whole - weights.shape.rank
    for taker in product.outputs[0].consumers():
        if taker._id not in forward or taker.type not in _SUMS:
            continue
        axes = _constant(taker.inputs[1])
        if axes is None or axes.size == whole:  # a sum of everything is a loss
            continue
        summed = tuple(int(one) % whole - ahead for one in axes.reshape(-1))
        if summed and all(one >= 0 and weights.shape[one] != 1 for one in summed):
            yield _Use(taker, weights, axis, summed)


def _moved(depends: Dependence, operation: Any, tensor: Any, axis: int) -> int | None:
    """Where an axis of a tensor lies in the result of an operation that changes no element.

    None for other operations, and for an axis that is cut or joined. Dropout counts as a move: it
    multiplies by what has no gradient.
    """
    result = operation.outputs[0] if operation.outputs else None
    if result is None or result.shape.rank is None:
        return None
    if operation.type == "Transpose":
        order = _constant(operation.inputs[1])
        return None if order is None else order.tolist().index(axis)
    if operation.type in _LAID_OUT:
        return _same_axis(tuple(tensor.shape), axis, tuple(result.shape))
    is_masked = operation.type == "Mul" and len(depends.inputs(operation)) == 1
    if operation.type in _SAME_PLACES or is_masked:
        return axis if result.shape.rank == tensor.shape.rank else None
    return None


def _constant(tensor: Any) -> Any:
    """The value of a tensor that is computed of constants alone; None for any other."""
    value = tf.get_static_value(tensor)
    compute = _OF_CONSTANTS.get(tensor.op.type)
    if value is not None or compute is None:
        return value
    parts = [_constant(part) for part in tensor.op.inputs]
    return None if any(part is None for part in parts) else compute(*parts)


def _same_axis(shape: Shape, axis: int, after: Shape) -> int | None:
    """Which axis of a shape, laid out anew, an axis of the old one is; None if that is unclear."""
    inside = _size(shape[axis + 1 :])
    if inside is None:
        return None
    return next(
        (n for n, s in enumerate(after) if s == shape[axis] and _size(after[n + 1 :]) == inside),
        None,
    )


def _size(axes: Shape) -> int | None:
    known = [size for size in axes if size is not None]
    return math.prod(known) if len(known) == len(axes) else None


def _compares(depends: Dependence, softmax: Any) -> bool:
    """Whether the scores of a softmax are products of two activations."""
    waiting = [(softmax.inputs[0], 0)]
    while waiting:
        tensor, far = waiting.pop()
        operation, inputs = tensor.op, depends.inputs(tensor.op)
        if operation.type in (*_PRODUCTS, "Einsum"):
            return len(inputs) == 2 and not any(_is_parameter(depends, one) for one in inputs)
        passes = (*_SAME_PLACES, *_LAID_OUT, *_SCALES, "Transpose")
        if operation.type in passes and far < _FAR:
            waiting += [(one, far + 1) for one in inputs]
    return False


def _is_parameter(depends: Dependence, tensor: Any) -> bool:
    """Whether this is a parameter that was only moved."""
    while not depends.is_variable(tensor.op):
        if tensor.op.type not in (*_SAME_PLACES, *_LAID_OUT, "Transpose"):
            return False
        tensor = tensor.op.inputs[0]
    return True
