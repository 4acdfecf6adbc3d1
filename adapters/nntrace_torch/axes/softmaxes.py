"""Follows a factor back to the softmax that made it: through views and copies, axis by axis."""

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import torch

from nntrace_torch.program.graphs import saved, signed

_SOFTMAXES = ("SoftmaxBackward0", "LogSoftmaxBackward0")
RESHAPES = ("ViewBackward0", "UnsafeViewBackward0", "ReshapeAliasBackward0")
_LAYERS = ("ConvolutionBackward0", "AddmmBackward0", "MmBackward0")
_MOVES = (
    *RESHAPES,
    *("TransposeBackward0", "PermuteBackward0", "CloneBackward0", "CatBackward0"),
    *("SplitBackward0", "SplitWithSizesBackward0", "SliceBackward0"),
)


class WrongAxis(NamedTuple):
    """An operation over a wrong axis.

    Attributes:
        what: `attention`, `weights`, `norm`, `classes` or `heads`.
        shape: of what it was applied to.
        axis: over which it runs.
        right: over which it should: of attention and weights the one that is summed over.
        result: of classes and heads the shape that the values were given.
        node: the softmax's, or that of the reshape into heads.
    """

    what: str
    shape: tuple[int, ...]
    axis: int
    right: int
    result: tuple[int, ...]
    node: Any


def softmax_behind(node: Any, shape: tuple[int, ...] | None, axis: int) -> tuple[Any, int] | None:
    """The softmax whose result this is, only moved, and where its axis `axis` was there."""
    found = made_by(lambda made: made.name() == "SoftmaxBackward0", node, shape, axis)
    return None if found is None else (found[0], found[2])


def is_over(predictions: torch.Tensor, axis: int) -> bool | None:
    """Whether the softmax that made predictions ran over the axis that is now `axis`.

    None if another operation made them, or it cannot be followed.
    """
    found = made_by(
        lambda made: made.name() in _SOFTMAXES,
        predictions.grad_fn,
        tuple(predictions.shape),
        axis,
    )
    ran_over = None if found is None else signed(saved(found[0], "dim"))
    if found is None or ran_over is None:
        return None
    _, shape, there = found
    return ran_over % len(shape) == there


def is_put_out(scores: torch.Tensor) -> bool:
    """Whether a linear layer or a convolution put these out as they are, only moved and cut."""
    node: Any = scores.grad_fn
    while node is not None and (node.name() in _MOVES or _adds_a_bias(node)):
        node = node_above(node)
    return node is not None and node.name() in _LAYERS


def _adds_a_bias(node: Any) -> bool:
    """Whether this adds a parameter, as a linear layer does by itself where views are copied."""
    added = node.next_functions[1][0] if len(node.next_functions) > 1 else None
    is_parameter = added is not None and hasattr(added, "variable")
    return is_parameter and node.name() == "AddBackward0"


def made_by(
    is_maker: Callable[[Any], bool], node: Any, shape: tuple[int, ...] | None, axis: int
) -> tuple[Any, tuple[int, ...], int] | None:
    """What made this, which was only moved since: its node, the shape, and where `axis` was there.

    None if anything else was done to it.
    """
    while node is not None and shape is not None:
        if is_maker(node):
            return node, shape, axis
        before = _before(node, shape, axis)
        if before is None:
            return None
        shape, axis = before
        node = node_above(node)
    return None


def _before(node: Any, shape: tuple[int, ...], axis: int) -> tuple[tuple[int, ...], int] | None:
    """The shape that a node was given, and where `axis` of its result was there.

    None if it does more than move values, or spreads the axis over several.
    """
    name = node.name()
    if name in RESHAPES or name == "ExpandBackward0":
        before = sizes_of(node)
        there = None if before is None else _same_axis(shape, axis, before)
        return None if before is None or there is None else (before, there)
    if name == "UnsqueezeBackward0":
        added = (signed(saved(node, "dim")) or 0) % len(shape)
        if added == axis:
            return None
        return shape[:added] + shape[added + 1 :], axis - (added < axis)
    if name == "TBackward0":
        return shape[::-1], 1 - axis
    if name == "TransposeBackward0":
        one, other = (signed(saved(node, key)) for key in ("dim0", "dim1"))
        if one is None or other is None:
            return None
        order = list(range(len(shape)))
        order[one], order[other] = order[other], order[one]
        return tuple(shape[place] for place in order), order[axis]
    if name == "PermuteBackward0":
        order = [(signed(place) or 0) % len(shape) for place in saved(node, "dims") or ()]
        if len(order) != len(shape):
            return None
        return tuple(shape[order.index(n)] for n in range(len(order))), order[axis]
    return (shape, axis) if _keeps_places(node) else None


def _keeps_places(node: Any) -> bool:
    """Whether this is a copy, a dropout or a scale, by something without a gradient."""
    if node.name() in ("MulBackward0", "DivBackward0"):
        return len(node.next_functions) > 1 and node.next_functions[1][0] is None
    return node.name() in ("CloneBackward0", "NativeDropoutBackward0", "ToCopyBackward0")


def _same_axis(shape: tuple[int, ...], axis: int, before: tuple[int, ...]) -> int | None:
    """Which axis of `before` an axis of its reshaped `shape` is; None if it was cut or joined."""
    inside = math.prod(shape[axis + 1 :])
    return next(
        (
            place
            for place, size in enumerate(before)
            if size == shape[axis] and math.prod(before[place + 1 :]) == inside
        ),
        None,
    )


def node_above(node: Any) -> Any:
    """The node of the first operand."""
    return node.next_functions[0][0] if node.next_functions else None


def sizes_of(node: Any) -> tuple[int, ...] | None:
    """The shape of what a view was made of."""
    sizes = saved(node, "self_sym_sizes")
    if sizes is None:
        sizes = saved(node, "self_sizes")
    return None if sizes is None else tuple(int(size) for size in sizes)


def shape_of(value: Any) -> tuple[int, ...] | None:
    """The shape of what a node saved; None if that is no tensor."""
    return tuple(value.shape) if isinstance(value, torch.Tensor) else None
