"""Decides which elements of a tensor are sampled, from its static shape alone.

A traced graph must have fixed sizes while batch and sequence lengths vary: along every axis a fixed
number of places is read, spread evenly. An axis shorter than that gives some places twice, which
the host, knowing the true length, drops again.
"""

import math
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from nntrace.recorder import RUN, Layout, fixed_runs

SAMPLE_LIMIT = 4096
FILTERS_LIMIT = 1 << 16
_MAX_PLANES = 4  # the most channels that an image has
MAX_UNITS = 1024
PHASES = 16
_MIN_EXAMPLES = 8
_RUN = 4
LEAP = 7919  # a prime, so that all phases occur, in no obvious order


class ExamplesPlan(NamedTuple):
    """Rows × units of a tensor whose first axis is the batch.

    Attributes:
        axes: the row axes, the batch first.
        counts: how many places of each row axis are read.
        sizes: the static size of each row axis; None when it varies.
        unit_axis: the axis of channels or features; None if there is none.
        units: how many units are read, `unit_step` apart.
        per_unit: False for values without examples and units (a gradient's touched rows).
        staggered: whether each example is read at other positions, the first and the last included.
    """

    axes: tuple[int, ...]
    counts: tuple[int, ...]
    sizes: tuple[int | None, ...]
    unit_axis: int | None
    units: int
    unit_step: int
    per_unit: bool = True
    staggered: bool = False

    @property
    def size(self) -> int:
        """The number of values read."""
        return math.prod(self.counts) * self.units

    @property
    def varying(self) -> tuple[int, ...]:
        """Indices into `axes` whose size is known only at run time."""
        return tuple(i for i, size in enumerate(self.sizes) if size is None)


class FlatPlan(NamedTuple):
    """A fixed set of `size` elements of a parameter: all, or short runs that start `step` apart."""

    size: int
    step: int

    @property
    def runs(self) -> int:
        """The number of runs of neighbours; 0 if all elements are read."""
        return self.size // RUN if self.step > 1 else 0

    def places(self) -> npt.NDArray[np.int64]:
        """The places of the runs' elements in the flattened parameter."""
        starts = np.arange(self.runs, dtype=np.int64) * self.step
        return (starts[:, None] + np.arange(RUN)).reshape(-1)

    def read(self, values: Any) -> Any:
        """The elements of a NumPy or JAX array."""
        flat = values.reshape(-1)
        return flat[self.places()] if self.runs else flat

    @property
    def layout(self) -> Layout:
        """The order of the values."""
        return Layout(1, 1, self.size, per_unit=False)


@lru_cache(maxsize=4096)
def examples_plan(
    shape: tuple[int | None, ...], unit_axis: int, *, staggered: bool = False
) -> ExamplesPlan:
    """The plan for a tensor [batch, …] of at least one axis.

    Args:
        shape: None for an axis whose size varies.
        unit_axis: the axis of channels or features; ignored for a one-dimensional tensor.
        staggered: for gradients of sequences, which may be zero at all but one position, such as a
            class token's.
    """
    unit_axis %= len(shape)
    width = shape[unit_axis]
    if len(shape) == 1 or unit_axis == 0 or width is None:
        axes, units, step, by_unit = tuple(range(len(shape))), 1, 1, None
    else:
        units = min(width, MAX_UNITS, SAMPLE_LIMIT)
        step, by_unit = width // units, unit_axis
        axes = tuple(axis for axis in range(len(shape)) if axis != unit_axis)
    sizes = tuple(shape[axis] for axis in axes)
    counts = _counts(sizes, units, SAMPLE_LIMIT)
    staggered = staggered and len(axes) == 2 and counts[0] > 1 and counts != sizes
    return ExamplesPlan(axes, counts, sizes, by_unit, units, step, staggered=staggered)


@lru_cache(maxsize=4096)
def flat_plan(shape: tuple[int, ...]) -> FlatPlan:
    """The plan for a parameter. Filters over images are read whole, as the report shows them."""
    numel = math.prod(shape)
    limit = max(SAMPLE_LIMIT, FILTERS_LIMIT) if are_filters(shape) else SAMPLE_LIMIT
    if numel <= limit:
        return FlatPlan(numel, 1)
    runs, step = fixed_runs(shape, limit)
    return FlatPlan(runs * RUN, step)


def are_filters(shape: tuple[int | None, ...]) -> bool:
    """Whether this is the shape [rows, columns, channels, filters] of showable image filters."""
    if len(shape) != 4 or None in shape:
        return False
    rows, columns, channels, _ = sizes = tuple(size or 0 for size in shape)
    return min(rows, columns) > 1 and channels <= _MAX_PLANES and math.prod(sizes) <= FILTERS_LIMIT


def touched_rows_plan() -> ExamplesPlan:
    """The plan for a flat tensor of unknown length without examples or units."""
    return ExamplesPlan((0,), (SAMPLE_LIMIT,), (None,), None, 1, 1, per_unit=False)


def phases(turn: int, axes: int) -> list[int]:
    """The phase of each axis at this turn: where within their spacing its places lie."""
    number = turn * LEAP
    return [(number // PHASES**axis) % PHASES for axis in range(axes)]


def places(count: int, size: int, phase: int) -> npt.NDArray[np.int64]:
    """`count` places spread over an axis of `size`, ascending; repeated if the axis is shorter."""
    return ((PHASES * np.arange(count) + phase) * size) // (PHASES * count)


def unpacked(
    plan: ExamplesPlan, values: npt.NDArray[np.float32], sizes: tuple[int, ...], turn: int
) -> tuple[npt.NDArray[np.float32], Layout]:
    """The values without those that were read twice, and their layout.

    Args:
        plan: the plan by which they were read.
        values: `plan.size` of them.
        sizes: the true length of every row axis.
        turn: the turn at which they were read.
    """
    block = values.reshape(*plan.counts, plan.units)
    for axis, (count, size, phase) in enumerate(
        zip(plan.counts, sizes, phases(turn, len(sizes)), strict=True)
    ):
        if size < count:
            block = block.take(_kept(count, size, phase), axis=axis)
    if not plan.per_unit:
        return block.reshape(-1), Layout(1, 1, block.size, per_unit=False)
    examples, units = block.shape[0], block.shape[-1]
    positions = math.prod(block.shape[1:-1])
    return block.reshape(-1), Layout(examples, positions, units)


@lru_cache(maxsize=4096)
def _kept(count: int, size: int, phase: int) -> npt.NDArray[np.int64]:
    """The indices of the places that are not repeats."""
    return np.unique(places(count, size, phase), return_index=True)[1]


def _counts(sizes: tuple[int | None, ...], units: int, limit: int) -> tuple[int, ...]:
    """How many places of each row axis to read, at most `limit // units` rows in all."""
    rows = max(1, limit // units)
    batch, *positions = sizes
    known = [size for size in positions if size is not None]
    all_positions = math.prod(known) if len(known) == len(positions) else None
    if all_positions is not None and (
        all_positions * max(_MIN_EXAMPLES, batch or 0) <= rows
        or (batch is not None and batch * all_positions <= rows)
    ):
        examples = rows // all_positions if batch is None else min(batch, rows // all_positions)
        return (examples, *known)
    examples = max(min(rows, _MIN_EXAMPLES), rows // min(_RUN, all_positions or _RUN))
    if batch is not None:
        examples = min(batch, examples)
    room = rows // examples
    counts = [examples]
    for index, size in enumerate(positions):
        share = max(1, int(room ** (1 / (len(positions) - index)) + 1e-9))
        counts.append(share if size is None else max(1, min(size, share)))
        room //= counts[-1]
    return tuple(counts)
