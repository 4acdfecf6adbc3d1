"""Logits made of cosines in a graph of TensorFlow: products of vectors divided by their norms.

A margin and a scale are numbers and what came with the data, such as one-hot labels.
"""

from typing import Any

_MOST = 64  # operations behind the logits
_MOVES = ("Identity", "Reshape", "Squeeze", "ExpandDims", "Cast", "Transpose", "PreventGradient")
_PRODUCTS = ("MatMul", "BatchMatMulV2", "Einsum")
# What a margin and a scale do to cosines, each by itself.
_ELEMENTWISE = frozenset(
    {
        *(*_MOVES, "Mul", "RealDiv", "AddV2", "Sub", "Neg", "Square", "Sqrt", "Pow", "Exp"),
        *("Acos", "Cos", "Minimum", "Maximum", "ClipByValue", "SelectV2", "Greater", "OneHot"),
    }
)
_FROM_OUTSIDE = ("Const", "Placeholder", "IteratorGetNext")
_CHOICES = ("Select", "SelectV2")  # zero, as TensorFlow 2.22 has it for vectors of zeros, or a root
_OF_NORMS = (*_MOVES, *_CHOICES, "Minimum", "Maximum", "AddV2", "Rsqrt", "Sqrt")
_NORMS = ("EuclideanNorm", "Sum")


def are_cosines(tensor: Any) -> bool:
    """Whether a tensor is made of single numbers, of the data, and of products of unit vectors."""
    waiting, seen, products = [tensor.op], set(), 0
    while waiting:
        operation = waiting.pop()
        if operation.name in seen:
            continue
        seen.add(operation.name)
        if operation.type in _PRODUCTS:
            if not all(_is_normalised(side.op) for side in operation.inputs):
                return False
            products += 1
        elif operation.type in _ELEMENTWISE:
            waiting += [one.op for one in operation.inputs]
        elif operation.type not in _FROM_OUTSIDE and operation.outputs[0].shape.rank != 0:
            return False
        if len(seen) > _MOST:
            return False
    return products > 0


def _is_normalised(operation: Any) -> bool:
    """Whether vectors come from this operation that were divided by their norms."""
    while operation.type in _MOVES and operation.inputs:
        operation = operation.inputs[0].op
    if operation.type == "RealDiv":
        return _is_norm(operation.inputs[1].op, "Sqrt")
    return operation.type == "Mul" and any(_is_norm(t.op, "Rsqrt") for t in operation.inputs)


def _is_norm(operation: Any, root: str) -> bool:
    """Whether this is a norm, or its inverse where `root` is that of an inverse."""
    has_root = False
    while operation.type in _OF_NORMS and operation.inputs:
        has_root = has_root or operation.type == root
        operation = operation.inputs[2 if operation.type in _CHOICES else 0].op
    return operation.type in _NORMS and (has_root or operation.type == "EuclideanNorm")
