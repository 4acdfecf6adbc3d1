"""Operations of a loss's graph that run over another axis than the program means.

What attention weighs, a softmax must have made add up to one; and what a cross-entropy takes for
the classes of one row must be the classes, not neighbouring pixels of one class.
"""

import math
from collections.abc import Iterator
from typing import Any, NamedTuple

import torch

from nntrace_torch.program.graphs import nodes_of, saved, signed

_DEEPEST = 12  # operations between the scores of attention and their softmax
_RESHAPES = ("ViewBackward0", "UnsafeViewBackward0", "ReshapeAliasBackward0")
_SAME_PLACES = (
    *("MulBackward0", "DivBackward0", "AddBackward0", "SubBackward0", "MaskedFillBackward0"),
    *("WhereBackward0", "ToCopyBackward0", "CloneBackward0", "NativeDropoutBackward0"),
)
_MOVES = (
    *_RESHAPES,
    *("ExpandBackward0", "TransposeBackward0", "PermuteBackward0", "UnsqueezeBackward0"),
)


class WrongAxis(NamedTuple):
    """An operation over a wrong axis.

    Attributes:
        what: `attention` or `classes`.
        shape: of what it was applied to.
        axis: over which it runs.
        right: over which it should: of attention the one that is summed over.
        result: of classes the shape that the predictions were given.
        node: the softmax's.
    """

    what: str
    shape: tuple[int, ...]
    axis: int
    right: int
    result: tuple[int, ...]
    node: Any


def wrong_axes(loss: torch.Tensor) -> Iterator[WrongAxis]:
    """Those in a graph whose backward pass is yet to come, the nearest to the loss first."""
    for node in nodes_of(loss.grad_fn):
        name = node.name()
        if name == "BmmBackward0":
            found = _attention(node)
        elif name == "LogSoftmaxBackward0":
            found = _classes(node)
        else:
            continue
        if found is not None:
            yield found


def _classes(node: Any) -> WrongAxis | None:
    """[N, C, H, W] laid out as [N·H·W, C] without moving C behind first."""
    result = _shape(saved(node, "result"))
    above = _above(node)
    if result is None or len(result) != 2 or above is None or above.name() not in _RESHAPES:
        return None
    shape, classes = _sizes(above), result[1]
    if shape is None or len(shape) < 3 or shape[1] != classes or shape[-1] == classes:
        return None
    places = math.prod(shape[2:])
    if places == 1 or result[0] != shape[0] * places:  # a single place is not mixed with another
        return None
    if len(shape) == 3 and shape[-1] % classes == 0:  # several predictions behind one another
        return None
    return WrongAxis("classes", shape, len(shape) - 1, 1, result, node)


def _attention(node: Any) -> WrongAxis | None:
    """Weights that a softmax made of the products of queries and keys, summed over no keys."""
    sides = [above for above, _ in node.next_functions]
    if len(sides) != 2:
        return None
    found = [
        _softmax_behind(side, _shape(saved(node, name)), axis)
        for side, name, axis in zip(sides, ("self", "mat2"), (2, 1), strict=True)
    ]
    weighed = [one for one in found if one is not None]
    if len(weighed) != 1:  # the product of two softmaxes may be of any axis
        return None
    softmax, summed = weighed[0]
    shape = _shape(saved(softmax, "result"))
    axis = signed(saved(softmax, "dim"))
    if shape is None or axis is None:
        return None
    axis %= len(shape)
    if axis == summed or min(shape[axis], shape[summed]) < 2 or not _compares(_above(softmax)):
        return None
    return WrongAxis("attention", shape, axis, summed, (), softmax)


def _softmax_behind(node: Any, shape: tuple[int, ...] | None, axis: int) -> tuple[Any, int] | None:
    """The softmax whose result this is, only moved, and where its axis `axis` was there."""
    while node is not None and shape is not None:
        name = node.name()
        if name == "SoftmaxBackward0":
            return node, axis
        if name in _RESHAPES or name == "ExpandBackward0":
            before = _sizes(node)
            there = None if before is None else _same_axis(shape, axis, before)
            if before is None or there is None:
                return None
            axis, shape = there, before
        elif name == "UnsqueezeBackward0":
            added = (signed(saved(node, "dim")) or 0) % len(shape)
            if added == axis:
                return None
            axis -= added < axis
            shape = shape[:added] + shape[added + 1 :]
        elif name == "TransposeBackward0":
            one, other = (signed(saved(node, key)) for key in ("dim0", "dim1"))
            if one is None or other is None:
                return None
            order = list(range(len(shape)))
            one, other = one % len(shape), other % len(shape)
            order[one], order[other] = order[other], order[one]
            axis, shape = order[axis], tuple(shape[place] for place in order)
        elif name == "PermuteBackward0":
            order = [(signed(place) or 0) % len(shape) for place in saved(node, "dims") or ()]
            if len(order) != len(shape):
                return None
            axis, shape = order[axis], tuple(shape[order.index(n)] for n in range(len(order)))
        elif not _keeps_places(node):
            return None
        node = _above(node)
    return None


def _keeps_places(node: Any) -> bool:
    """Whether this is a copy, or a dropout, which multiplies by a mask without a gradient."""
    if node.name() == "MulBackward0":
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


def _compares(node: Any) -> bool:
    """Whether scores are products of two activations."""
    waiting = [(node, 0)]
    while waiting:
        node, depth = waiting.pop()
        if node is None or depth > _DEEPEST:
            continue
        name = node.name()
        if name == "BmmBackward0":
            return all(_is_computed(above) for above, _ in node.next_functions)
        if name in _SAME_PLACES or name in _MOVES:
            waiting += [(above, depth + 1) for above, _ in node.next_functions]
    return False


def _is_computed(node: Any) -> bool:
    """Whether this is more than a parameter that was moved."""
    while node is not None and node.name() in _MOVES:
        node = _above(node)
    return node is not None and node.name() != "torch::autograd::AccumulateGrad"


def _above(node: Any) -> Any:
    return node.next_functions[0][0] if node.next_functions else None


def _sizes(node: Any) -> tuple[int, ...] | None:
    """The shape of what a view was made of."""
    sizes = saved(node, "self_sym_sizes")
    if sizes is None:
        sizes = saved(node, "self_sizes")
    return None if sizes is None else tuple(int(size) for size in sizes)


def _shape(value: Any) -> tuple[int, ...] | None:
    return tuple(value.shape) if isinstance(value, torch.Tensor) else None
