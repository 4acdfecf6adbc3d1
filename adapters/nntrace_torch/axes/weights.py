"""Weights that a softmax made over the examples, or over an axis of one, and that weigh another.

Mixture weights, gates and attention add up to one over the axis that is summed. Where a softmax ran
over the batch (`dim=0`) each example's weights depend on the others; over an axis of one value all
weights are 1.
"""

from collections.abc import Iterator
from typing import Any

import torch

from nntrace_torch.axes.softmaxes import WrongAxis, node_above, shape_of, softmax_behind
from nntrace_torch.program.graphs import nodes_of, operation, output_shape, saved, signed

SUMS = ("SumBackward1", "MeanBackward1")
LOG_SUM = "LogsumexpBackward0"
_LINEAR = ("Sum", "Mean", "Neg", "Div", "Mul", "Add", "Sub", "View", "Reshape", "Squeeze")
_MOST = 64  # nodes next to the loss


def weighs_another_axis(
    shape: tuple[int, ...], axis: int, summed: int, examples: int | None
) -> bool:
    """Whether a softmax over `axis` makes no weights for a sum over `summed`, whatever it is of."""
    if axis == summed or shape[summed] < 2:
        return False
    return shape[axis] == 1 or (axis == 0 and len(shape) > 1 and shape[0] == examples)


def weights_in(node: Any, examples: int | None) -> WrongAxis | None:
    """Such weights in a sum of products, or in the logarithm of a sum of exponentials."""
    inside = node_above(node)
    whole = None if inside is None else output_shape(inside)
    if whole is None or operation(inside) != ("Add" if node.name() == LOG_SUM else "Mul"):
        return None
    axes = [axis % len(whole) for axis in _axes(node)]
    for side, place in inside.next_functions:
        shape = None if side is None else output_shape(side, place)
        if shape is None or not axes or len(shape) > len(whole):
            continue
        own = [axis - len(whole) + len(shape) for axis in axes]
        found = [_behind(node, side, shape, axis) for axis in own if axis >= 0 and shape[axis] > 1]
        if not found or any(one is None for one in found):
            continue
        softmaxes = [one for one in found if one is not None]
        softmax = softmaxes[0][0]
        made, axis = shape_of(saved(softmax, "result")), signed(saved(softmax, "dim"))
        if made is None or axis is None:
            continue
        axis %= len(made)
        if all(weighs_another_axis(made, axis, summed, examples) for _, summed in softmaxes):
            return WrongAxis("weights", made, axis, softmaxes[0][1], (), softmax)
    return None


def next_to(loss: torch.Tensor) -> set[Any]:
    """The nodes whose values are only added up on their way to the loss, over all axes."""
    return {*nodes_of(loss.grad_fn, most=_MOST, beyond=lambda node: operation(node) in _LINEAR)}


def _axes(node: Any) -> Iterator[int]:
    for axis in saved(node, "dim") or ():
        number = signed(axis)
        if number is not None:
            yield number


def _behind(node: Any, side: Any, shape: tuple[int, ...], axis: int) -> tuple[Any, int] | None:
    """The softmax behind a factor, or behind a summand of logarithms, and the axis there."""
    if node.name() != LOG_SUM:
        return softmax_behind(side, shape, axis)
    if side.name() == "LogSoftmaxBackward0":
        return side, axis
    return softmax_behind(node_above(side), shape, axis) if operation(side) == "Log" else None
