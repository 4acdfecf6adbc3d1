"""Which elements of a tensor are sampled: strided views, so that one copy takes them all.

An activation gives R rows × all units, so that a dead unit stays visible; the rows' offsets move
from sample to sample, so that it is not always the same pixels. Of its gradient each example gives
other positions, the first and the last always among them: it may be zero at all but one, such as a
class token's. A parameter gives a fixed set. Where neighbours share a cache line, runs of them are
taken: what a sample costs is the number of cache lines it touches.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
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


@dataclass(slots=True, eq=False)
class _Taken:
    """What is taken of an axis: `count` runs, each of `run` neighbours, which begin `step` apart.

    `size` and `stride` are the axis's own.
    """

    size: int
    stride: int
    count: int
    step: int
    run: int = 1

    @property
    def room(self) -> int:
        """By how many positions the sample can move without leaving the axis."""
        return self.size - ((self.count - 1) * self.step + self.run)

    @property
    def dimensions(self) -> list[tuple[int, int]]:
        """The sizes and strides of the view's dimensions for this axis."""
        runs = [(self.run, self.stride)] if self.run > 1 else []
        return [(self.count, self.stride * self.step), *runs]


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
        numbers = _Taken(shape[0], strides[0], count, shape[0] // count)
        return _plan([numbers.dimensions], [numbers], Layout(count, 1, 1))
    unit_axis %= len(shape)
    taken = _taken(shape, strides, unit_axis, limit)
    examples, units = taken[0], taken[unit_axis]
    positions = [of for axis, of in enumerate(taken) if axis not in (0, unit_axis)]
    moving = max(positions, key=lambda axis: axis.room, default=examples)
    slack = [examples, *positions]
    if staggered and examples.count > 1 and moving is not examples and moving.room > 0:
        groups, alike = _groups(examples.count, moving.room)
        examples.count = 2 * groups * alike
        slack.remove(moving)
        views = [
            _staggered(examples, [*positions, units], moving, groups, alike, turn)
            for turn in range(_STAGGERS)
        ]
    else:
        views = [[d for axis in (examples, *positions, units) for d in axis.dimensions]]
    places = math.prod(axis.count * axis.run for axis in positions)
    return _plan(views, slack, Layout(examples.count, places, units.count))


def _plan(
    views: Sequence[Sequence[tuple[int, int]]], slack: Sequence[_Taken], layout: Layout
) -> Plan:
    """A plan of the sizes and strides of its views' dimensions, one view for each turn."""
    size = tuple(count for count, _ in views[0])
    return Plan(
        size=size,
        packed=tuple(math.prod(size[place + 1 :]) for place in range(len(size))),
        strides=tuple(tuple(stride for _, stride in view) for view in views),
        slack=tuple((axis.room, axis.stride) for axis in slack),
        layout=layout,
        numel=math.prod(size),
    )


def _taken(
    shape: tuple[int, ...], strides: tuple[int, ...], unit_axis: int, limit: int
) -> list[_Taken]:
    """What is taken of each axis: all units or as many as may be, then examples, then positions."""
    if math.prod(shape) <= limit:  # little enough to take it all
        return [_Taken(size, by, size, 1) for size, by in zip(shape, strides, strict=True)]
    position_axes = [axis for axis in range(1, len(shape)) if axis != unit_axis]
    units = min(shape[unit_axis], MAX_UNITS, limit)
    rows = max(1, limit // units)
    places = math.prod(shape[axis] for axis in position_axes)
    wanted = max(min(rows, _MIN_EXAMPLES), rows // min(_RUN, places))
    counts = {0: min(shape[0], wanted), unit_axis: units}
    taken = []
    for place, (size, by) in enumerate(zip(shape, strides, strict=True)):
        count = counts.get(place, 1)
        taken.append(_Taken(size, by, count, size // count))
    positions = [taken[axis] for axis in position_axes]
    room = rows // taken[0].count
    for axis in positions:
        if axis.stride == 1:
            axis.run = min(_RUN, axis.size, room)
            room //= axis.run
    for index, axis in enumerate(positions):
        share = int(room ** (1 / (len(positions) - index)) + 1e-9)
        wanted = max(1, min(axis.size // axis.run, share))
        # Spread over the whole axis, with fewer where they do not go in evenly: a picture's
        # middle is not like its margins, nor a sequence's end like its start.
        axis.step = math.ceil(axis.size / wanted)
        axis.count = max(1, axis.size // axis.step)
        room //= axis.count
    return taken


def _staggered(
    examples: _Taken, others: Sequence[_Taken], moving: _Taken, groups: int, alike: int, turn: int
) -> list[tuple[int, int]]:
    """The dimensions of a view in which each group of examples gives other positions of an axis.

    The examples are two halves, of as many groups of `alike` examples; `moving` is one of `others`.
    """
    apart = max(moving.run, moving.step - moving.step * turn // (2 * _STAGGERS))
    room = moving.size - ((moving.count - 1) * apart + moving.run)
    shift = 2 * room // (2 * groups - 1) if groups > 1 else 0
    shift -= shift * turn // (2 * _STAGGERS)
    rest = room - (groups - 1) * shift  # so that the last group ends at the last position
    by = examples.stride * examples.step
    view = [
        (2, groups * alike * by + rest * moving.stride),
        (groups, alike * by + shift * moving.stride),
        (alike, by),
    ]
    for axis in others:
        view += replace(axis, step=apart).dimensions if axis is moving else axis.dimensions
    return view


def _groups(examples: int, room: int) -> tuple[int, int]:
    """The number of groups in either half of the examples, and of examples in each group.

    Each group is shifted against the one before. An odd example is left out: with two halves, the
    second of them shifted by what remains, both ends are met whatever the room.
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
    """Whether the fixed sample of a tensor has elements of every row and every column.

    Rows and columns are those of the first two axes; a vector's sample has to be all of it.
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
