"""Which elements of a tensor are sampled: strided views, so that one copy takes them all.

An activation gives R rows × all units, so that a dead unit stays visible; the rows' offsets move
from sample to sample, so that no pixel is looked at for ever. A parameter gives a fixed set.
"""

import math
from functools import lru_cache
from typing import NamedTuple

import torch

from nntrace.recorder import Layout

MAX_UNITS = 1024
# Offsets advance by steps that share no factor with common sizes.
_TURNS = (7, 11, 13, 17, 19, 23)


class Plan(NamedTuple):
    """A strided view: its size and strides in elements, and the slack its offset may move in."""

    size: tuple[int, ...]
    stride: tuple[int, ...]
    slack: tuple[tuple[int, int], ...]
    layout: Layout

    def view(self, tensor: torch.Tensor, turn: int) -> torch.Tensor:
        """The sampled elements of a detached tensor, without a copy."""
        offset = tensor.storage_offset()
        for (room, stride), step in zip(self.slack, _TURNS, strict=False):
            offset += (turn * step) % (room + 1) * stride
        return tensor.as_strided(self.size, self.stride, offset)


@lru_cache(maxsize=4096)
def activation_plan(
    shape: tuple[int, ...], strides: tuple[int, ...], unit_axis: int, limit: int
) -> Plan:
    """The plan for a tensor whose first axis is the batch.

    Args:
        shape: at least one axis, none of size 0.
        unit_axis: the axis of channels or features; ignored for a one-dimensional tensor.
        limit: the most elements to take.
    """
    if len(shape) == 1:
        count = min(shape[0], limit)
        step = shape[0] // count
        slack = shape[0] - ((count - 1) * step + 1)
        return Plan((count,), (strides[0] * step,), ((slack, strides[0]),), Layout(count, 1, 1))
    unit_axis %= len(shape)
    position_axes = [axis for axis in range(1, len(shape)) if axis != unit_axis]
    units = min(shape[unit_axis], MAX_UNITS, limit)
    rows = max(1, limit // units)
    places = math.prod(shape[axis] for axis in position_axes)
    examples = min(shape[0], max(1, rows // min(4, places)))
    counts = {0: examples, unit_axis: units}
    room = rows // examples
    for index, axis in enumerate(position_axes):
        share = room ** (1 / (len(position_axes) - index))
        counts[axis] = max(1, min(shape[axis], int(share + 1e-9)))
        room //= counts[axis]
    axes = [0, *position_axes, unit_axis]
    steps = {axis: shape[axis] // counts[axis] for axis in axes}
    return Plan(
        size=tuple(counts[axis] for axis in axes),
        stride=tuple(strides[axis] * steps[axis] for axis in axes),
        slack=tuple(
            (shape[axis] - ((counts[axis] - 1) * steps[axis] + 1), strides[axis])
            for axis in axes[:-1]
        ),
        layout=Layout(examples, math.prod(counts[axis] for axis in position_axes), units),
    )


@lru_cache(maxsize=4096)
def fixed_plan(shape: tuple[int, ...], strides: tuple[int, ...], limit: int) -> Plan | None:
    """The same elements every time, spread over the tensor's memory; None when it has holes.

    The step shares no factor with any axis, so that no row or column is favoured.
    """
    numel = math.prod(shape)
    if numel == 0 or not _fills_its_memory(shape, strides):
        return None
    count = min(numel, limit)
    step = numel // count
    while step > 1 and any(math.gcd(step, size) > 1 for size in shape if size > 1):
        step -= 1
    return Plan((count,), (step,), (), Layout(1, 1, count, per_unit=False))


def _fills_its_memory(shape: tuple[int, ...], strides: tuple[int, ...]) -> bool:
    """Whether the elements are exactly the `numel` places from the storage offset on."""
    expected = 1
    for stride, size in sorted((st, sz) for sz, st in zip(shape, strides, strict=True) if sz > 1):
        if stride != expected:
            return False
        expected *= size
    return True
