"""Which elements of a tensor are sampled: strided views, so that one copy takes them all.

An activation gives R rows × all units, so that a dead unit stays visible; the rows' offsets move
from sample to sample, so that no pixel is looked at for ever. Of its gradient each example gives
other positions, the first and the last always among them: it may be zero at all but one, as a
class token's. A parameter gives a fixed set.
Where neighbours share a cache line runs of them are taken: what a sample costs is the number of
cache lines it touches.
"""

import math
from functools import lru_cache
from typing import NamedTuple

import numpy as np
import torch

from nntrace.recorder import RUN, Layout, fixed_runs

MAX_UNITS = 1024
_MIN_EXAMPLES = 8
_RUN = 4  # neighbours of one unit that are sampled together
_LEAP = 7919  # a prime: all offsets come up, far apart from one turn to the next
_STAGGERS = 8


class Plan(NamedTuple):
    """A strided view: its size and strides in elements, and the slack its offset may move in.

    The turns go round the `strides`. `packed` are those of the same values stored without holes;
    there are `numel` of them.
    """

    size: tuple[int, ...]
    strides: tuple[tuple[int, ...], ...]
    packed: tuple[int, ...]
    slack: tuple[tuple[int, int], ...]
    layout: Layout
    numel: int

    def view(self, tensor: torch.Tensor, turn: int) -> torch.Tensor:
        """The sampled elements of a detached tensor, without a copy."""
        strides, moved = self.at(turn)
        return tensor.as_strided(self.size, strides, tensor.storage_offset() + moved)

    def at(self, turn: int) -> tuple[tuple[int, ...], int]:
        """The strides for a turn, and the offset of its first element."""
        offset, number = 0, turn * _LEAP
        for room, stride in self.slack:
            number, moved = divmod(number, room + 1)
            offset += moved * stride
        return self.strides[turn % len(self.strides)], offset


@lru_cache(maxsize=4096)
def activation_plan(
    shape: tuple[int, ...],
    strides: tuple[int, ...],
    unit_axis: int,
    limit: int,
    *,
    staggered: bool = False,
) -> Plan:
    """The plan for a tensor whose first axis is the batch.

    Args:
        shape: at least one axis, none of size 0.
        unit_axis: the axis of channels or features; ignored for a one-dimensional tensor.
        limit: the most elements to take.
        staggered: take other positions of each example; not where examples are compared.
    """
    if len(shape) == 1:
        count = min(shape[0], limit)
        step = shape[0] // count
        slack = shape[0] - ((count - 1) * step + 1)
        return Plan(
            (count,),
            ((strides[0] * step,),),
            (1,),
            ((slack, strides[0]),),
            Layout(count, 1, 1),
            count,
        )
    unit_axis %= len(shape)
    position_axes = [axis for axis in range(1, len(shape)) if axis != unit_axis]
    units = min(shape[unit_axis], MAX_UNITS, limit)
    rows = max(1, limit // units)
    places = math.prod(shape[axis] for axis in position_axes)
    wanted = max(min(rows, _MIN_EXAMPLES), rows // min(_RUN, places))
    examples = min(shape[0], wanted)
    counts = {0: examples, unit_axis: units}
    steps = {0: shape[0] // examples, unit_axis: shape[unit_axis] // units}
    room = rows // examples
    runs = dict.fromkeys(position_axes, 1)
    for axis in position_axes:
        if strides[axis] == 1:
            runs[axis] = min(_RUN, shape[axis], room)
            room //= runs[axis]
    for index, axis in enumerate(position_axes):
        share = int(room ** (1 / (len(position_axes) - index)) + 1e-9)
        wanted = max(1, min(shape[axis] // runs[axis], share))
        # Spread over the whole axis, with fewer where they do not go in evenly: a picture's
        # middle is not like its margins, nor a sequence's end like its start.
        steps[axis] = math.ceil(shape[axis] / wanted)
        counts[axis] = max(1, shape[axis] // steps[axis])
        room //= counts[axis]
    if math.prod(shape) <= limit:  # little enough to take it all
        units = shape[unit_axis]
        counts, steps = dict(enumerate(shape)), dict.fromkeys(range(len(shape)), 1)
        runs = dict.fromkeys(position_axes, 1)
    axes = [0, *position_axes, unit_axis]

    def room_of(axis: int) -> int:
        return shape[axis] - ((counts[axis] - 1) * steps[axis] + runs.get(axis, 1))

    moving = max(position_axes, key=room_of, default=0)
    staggered = staggered and counts[0] > 1 and moving > 0 and room_of(moving) > 0
    groups, alike = (0, 0)
    if staggered:
        groups, alike = _groups(counts[0], room_of(moving))
        counts[0] = 2 * groups * alike
    views = []
    for turn in range(_STAGGERS if staggered else 1):
        jumps = {axis: strides[axis] * steps[axis] for axis in axes}
        view = [(counts[0], jumps[0])]
        if staggered:
            step = max(runs[moving], steps[moving] - steps[moving] * turn // (2 * _STAGGERS))
            jumps[moving] = strides[moving] * step
            room = shape[moving] - ((counts[moving] - 1) * step + runs[moving])
            shift = 2 * room // (2 * groups - 1) if groups > 1 else 0
            shift -= shift * turn // (2 * _STAGGERS)
            rest = room - (groups - 1) * shift  # so that the last group ends at the last position
            view = [
                (2, groups * alike * jumps[0] + rest * strides[moving]),
                (groups, alike * jumps[0] + shift * strides[moving]),
                (alike, jumps[0]),
            ]
        for axis in axes[1:]:
            view.append((counts[axis], jumps[axis]))
            if runs.get(axis, 1) > 1:
                view.append((runs[axis], strides[axis]))
        views.append(view)
    size = tuple(count for count, _ in views[0])
    return Plan(
        size=size,
        packed=tuple(math.prod(size[place + 1 :]) for place in range(len(size))),
        strides=tuple(tuple(stride for _, stride in view) for view in views),
        slack=tuple(
            (0 if staggered and axis == moving else room_of(axis), strides[axis])
            for axis in axes[:-1]
        ),
        layout=Layout(
            counts[0],
            math.prod(counts[axis] * runs[axis] for axis in position_axes),
            units,
        ),
        numel=math.prod(size),
    )


def _groups(examples: int, room: int) -> tuple[int, int]:
    """Into how many groups, each shifted against the one before, either half of the examples goes,
    and how many each has. An odd example is left out: with two halves, the second of them shifted
    by what remains, both ends are met whatever the room.
    """
    half = examples // 2
    groups = max(n for n in range(1, min(half, room) + 1) if half % n == 0)
    return groups, half // groups


@lru_cache(maxsize=4096)
def fixed_plan(shape: tuple[int, ...], strides: tuple[int, ...], limit: int) -> Plan | None:
    """The same elements every time, spread over the tensor's memory; None when it has holes."""
    numel = math.prod(shape)
    if numel == 0 or not _fills_its_memory(shape, strides):
        return None
    if numel <= limit:
        return Plan((numel,), ((1,),), (1,), (), Layout(1, 1, numel, per_unit=False), numel)
    runs, step = fixed_runs(shape, limit)
    layout = Layout(1, 1, runs * RUN, per_unit=False)
    return Plan((runs, RUN), ((step, 1),), (RUN, 1), (), layout, runs * RUN)


@lru_cache(maxsize=4096)
def meets_all(shape: tuple[int, ...], strides: tuple[int, ...], limit: int) -> bool:
    """Whether the fixed sample of a tensor has elements of every row and every column, those of the
    first two axes; of a vector it has to be the whole.
    """
    plan = fixed_plan(shape, strides, limit)
    if plan is None or len(plan.size) == 1:
        return plan is not None
    runs, run = plan.size
    if len(shape) == 1 or max(shape[:2]) > plan.numel:
        return False
    places = (np.arange(runs)[:, None] * plan.strides[0][0] + np.arange(run)).reshape(-1)
    seen = [places // strides[axis] % shape[axis] for axis in (0, 1)]
    return all(np.bincount(seen[axis], minlength=shape[axis]).all() for axis in (0, 1))


def _fills_its_memory(shape: tuple[int, ...], strides: tuple[int, ...]) -> bool:
    """Whether the elements are exactly the `numel` places from the storage offset on."""
    expected = 1
    for stride, size in sorted((st, sz) for sz, st in zip(shape, strides, strict=True) if sz > 1):
        if stride != expected:
            return False
        expected *= size
    return True
