"""Operations of a loss's graph that run over another axis than the program means.

What attention weighs, a softmax must have made add up to one; and what a cross-entropy takes for
the classes of one row must be the classes, not neighbouring pixels of one class.
"""

import math
from collections.abc import Iterator
from typing import Any

import torch

from nntrace_torch.axes.norms import other_norms
from nntrace_torch.axes.softmaxes import (
    RESHAPES,
    WrongAxis,
    node_above,
    shape_of,
    sizes_of,
    softmax_behind,
)
from nntrace_torch.axes.weights import LOG_SUM, SUMS, next_to, weighs_another_axis, weights_in
from nntrace_torch.program.graphs import nodes_of, output_shape, saved, signed

_DEEPEST = 12  # operations between the scores of attention and their softmax
SAME_PLACES = (
    *("MulBackward0", "DivBackward0", "AddBackward0", "SubBackward0", "MaskedFillBackward0"),
    *("WhereBackward0", "ToCopyBackward0", "CloneBackward0", "NativeDropoutBackward0"),
)
FUSED = "ScaledDotProduct"  # so the nodes of `scaled_dot_product_attention` begin
MOVES = (
    *RESHAPES,
    *("ExpandBackward0", "TransposeBackward0", "PermuteBackward0", "UnsqueezeBackward0"),
)


def wrong_axes(loss: torch.Tensor, examples: int | None = None) -> Iterator[WrongAxis]:
    """Those in a graph whose backward pass is yet to come, the nearest to the loss first.

    Args:
        loss: what is differentiated.
        examples: the size of the batch, if it is known.
    """
    added_up = next_to(loss)
    for node in nodes_of(loss.grad_fn):
        name = node.name()
        if name == "BmmBackward0":
            found = _attention(node, examples) or other_norms(node) or _heads(node)
        elif name.startswith(FUSED):
            found = _heads(node)
        elif name == "MmBackward0":
            found = other_norms(node)
        elif name == LOG_SUM or (name in SUMS and node not in added_up):
            found = weights_in(node, examples)
        elif name == "LogSoftmaxBackward0":
            found = _classes(node)
        elif name in RESHAPES:
            found = _put_together(node)
        else:
            continue
        if found is not None:
            yield found


def _classes(node: Any) -> WrongAxis | None:
    """[N, C, H, W] laid out as [N·H·W, C], or [N, T, C] as [N, C, T], without moving C first."""
    result = shape_of(saved(node, "result"))
    above = node_above(node)
    if result is None or len(result) < 2 or above is None or above.name() not in RESHAPES:
        return None
    shape, classes = sizes_of(above), result[1]
    if shape is None:
        return None
    if len(result) > 2:
        is_over_them = signed(saved(node, "dim")) == 1
        if is_over_them and shape != result == (shape[0], shape[-1], *shape[1:-1]):
            return WrongAxis("classes", shape, len(shape) - 1, 1, result, node)
        return None
    if len(shape) < 3 or shape[1] != classes or shape[-1] == classes:
        return None
    places = math.prod(shape[2:])
    if places == 1 or result[0] != shape[0] * places:  # a single place is not mixed with another
        return None
    if len(shape) == 3 and shape[-1] % classes == 0:  # several predictions behind one another
        return None
    return WrongAxis("classes", shape, len(shape) - 1, 1, result, node)


def _heads(node: Any) -> WrongAxis | None:
    """[N, T, heads·D] laid out as [N, heads, T, D], so that each head gets other positions."""
    for side, _ in node.next_functions[:3]:
        for _ in range(_DEEPEST):
            if side is None or side.name() not in (*MOVES, *SAME_PLACES):
                break
            shape, result = sizes_of(side), output_shape(side)
            if side.name() in RESHAPES and shape and result and _is_cut_into_heads(shape, result):
                return WrongAxis("heads", shape, 1, 2, result, side)
            side = node_above(side)
    return None


def _put_together(node: Any) -> WrongAxis | None:
    """[N, heads, T, D] as attention makes it, laid out as [N, T, heads·D] with no axis moved."""
    shape, result = sizes_of(node), output_shape(node)
    if not (shape and result and _is_cut_into_heads(result, shape)):
        return None
    for _ in range(_DEEPEST):
        above = node_above(node)
        if above is None:
            return None
        if above.name() == "BmmBackward0" or above.name().startswith(FUSED):
            return WrongAxis("heads", shape, 1, 2, result, node)
        if above.name() not in (*RESHAPES, *SAME_PLACES):
            return None
        node = above
    return None


def _is_cut_into_heads(shape: tuple[int, ...], result: tuple[int, ...]) -> bool:
    if len(shape) != 3 or len(result) != 4:
        return False
    _, positions, width = shape
    _, heads, length, share = result
    # Of as many heads as positions it might be [N, T, heads, D].
    return length == positions > 1 < heads != positions and heads * share == width


def _attention(node: Any, examples: int | None) -> WrongAxis | None:
    """Weights that a softmax made of the products of queries and keys, summed over no keys."""
    if len(node.next_functions) != 2:
        return None
    found = [
        softmax_behind(side, None if side is None else output_shape(side, place), axis)
        for (side, place), axis in zip(node.next_functions, (2, 1), strict=True)
    ]
    weighed = [one for one in found if one is not None]
    if len(weighed) != 1:  # the product of two softmaxes may be of any axis
        return None
    softmax, summed = weighed[0]
    shape = shape_of(saved(softmax, "result"))
    axis = signed(saved(softmax, "dim"))
    if shape is None or axis is None:
        return None
    axis %= len(shape)
    if weighs_another_axis(shape, axis, summed, examples):
        return WrongAxis("weights", shape, axis, summed, (), softmax)
    if axis == summed or min(shape[axis], shape[summed]) < 2 or not _compares(node_above(softmax)):
        return None
    return WrongAxis("attention", shape, axis, summed, (), softmax)


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
        if name in SAME_PLACES or name in MOVES:
            waiting += [(above, depth + 1) for above, _ in node.next_functions]
    return False


def _is_computed(node: Any) -> bool:
    """Whether this is more than a parameter that was moved."""
    while node is not None and node.name() in MOVES:
        node = node_above(node)
    return node is not None and node.name() != "torch::autograd::AccumulateGrad"
