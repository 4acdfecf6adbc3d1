"""Products of normalised vectors whose norms were taken over another axis than the product sums.

Cosines come out only where both are the same axis. `functional.normalize` takes axis 1 if it is not
told another, which of [batch, length, width] is the length.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import torch

from nntrace_torch.axes.softmaxes import WrongAxis, made_by, node_above
from nntrace_torch.program.graphs import nodes_of, operation, output_shape, saved, signed

_SUMMED = {"MmBackward0": (1, 0), "BmmBackward0": (2, 1)}  # axes of both operands
_COMPARED = {**_SUMMED, "CdistBackward0": (1, 1), "EuclideanDistBackward0": (1, 1)}
_STRETCHED = ("Expand", "ClampMin", "Clamp", "Add", "Unsqueeze", "Maximum", "Minimum")
_NORMS = ("LinalgVectorNorm", "Norm")
_DEEP = 5
# What a margin and a scale do to cosines, each by itself.
_ELEMENTWISE = frozenset(
    {
        *("Mul", "Div", "Add", "Sub", "Rsub", "Neg", "Pow", "Sqrt", "Exp", "Acos", "Cos", "Clone"),
        *("Clamp", "ClampMin", "ClampMax", "Where", "MaskedFill", "Scatter", "IndexPut", "ToCopy"),
        *("View", "UnsafeView", "Squeeze", "Unsqueeze", "Transpose", "T", "Index", "CopySlices"),
    }
)


def other_norms(node: Any) -> WrongAxis | None:
    """The first operand of a product of two normalised ones whose norm has another axis."""
    for made, shape, summed in _normalised(node, _SUMMED):
        norm = _norm(made)
        axes = [signed(axis) for axis in saved(norm, "dim") or ()]
        if len(axes) != 1 or axes[0] is None:
            return None
        axis = axes[0] % len(shape)
        if axis != summed and min(shape[axis], shape[summed]) > 1:
            return WrongAxis("norm", shape, axis, summed, (), norm)
    return None


def is_of_cosines(node: Any) -> bool:
    """Whether these values are made of single numbers and of products of normalised vectors.

    Distances between such vectors are as good as products.
    """
    products = 0
    for one in nodes_of(node, beyond=lambda made: operation(made) in _ELEMENTWISE):
        if operation(one) in _ELEMENTWISE:
            continue
        leaf = getattr(one, "variable", None)  # a scale that is learned
        if isinstance(leaf, torch.Tensor) and leaf.numel() == 1:
            continue
        if not _normalised(one, _COMPARED):
            return False
        products += 1
    return products > 0


def _normalised(
    node: Any, summed: Mapping[str, tuple[int, int]]
) -> list[tuple[Any, tuple[int, ...], int]]:
    """What divided both operands of a product by norms, its shape, the axis that is summed there.

    Empty for nodes that `summed` does not name, with the axes of both operands.
    """
    if node.name() not in summed or len(node.next_functions) != 2:
        return []
    found = [
        made_by(lambda made: _norm(made) is not None, side, output_shape(side, place), axis)
        for (side, place), axis in zip(node.next_functions, summed[node.name()], strict=True)
        if side is not None
    ]
    both = [made for made in found if made is not None]
    return both if len(both) == len(node.next_functions) else []


def _norm(node: Any) -> Any:
    """The norm by which this node divides, or by whose inverse it multiplies; None if neither."""
    kind, operands = operation(node), node.next_functions
    if len(operands) != 2:
        return None
    if kind == "Div":
        return _behind(operands[1][0], _NORMS)
    roots = [_behind(side, ("Rsqrt",)) for side, _ in operands] if kind == "Mul" else []
    sums = (_behind(node_above(root), ("Sum",)) for root in roots if root is not None)
    return next((one for one in sums if one is not None and _is_of_squares(one)), None)


def _behind(node: Any, wanted: Sequence[str]) -> Any:
    """The node of one of these operations behind what bounds or stretches it; None if another."""
    for _ in range(_DEEP):
        if node is None or operation(node) in wanted:
            return node
        if operation(node) not in _STRETCHED:
            return None
        node = node_above(node)
    return None


def _is_of_squares(total: Any) -> bool:
    squares = node_above(total)
    return squares is not None and operation(squares) in ("Pow", "Mul")
