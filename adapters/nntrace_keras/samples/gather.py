"""Reads the planned elements of TensorFlow tensors, in a graph as well as eagerly.

The rows to read are computed for all tensors together, and one gather reads those of a tensor:
building and compiling a graph takes time for each operation. Nothing here draws a random number
or makes a gradient.
"""

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import tensorflow as tf
from tensorflow.python.ops.gen_array_ops import gather_v2

from nntrace_keras.graphs.on_graph import shared_constant
from nntrace_keras.samples.elements import LEAP, PHASES, ExamplesPlan, FlatPlan

_HASHED_FEATURES = 4096
_MULTIPLIER = 0x9E3779B97F4A7C15 - (1 << 64)  # 2^64 divided by the golden ratio, as an int64


def examples(
    plans: Sequence[ExamplesPlan], tensors: Sequence[Any], turn: Any
) -> tuple[Any, list[Any]]:
    """The true lengths of all varying axes, float32, and for each tensor float32 [plan.size].

    `turn` is an int64 scalar that shifts the rows.
    """
    tensors = [_units_last(plan, tensor) for plan, tensor in zip(plans, tensors, strict=True)]
    alike: dict[tuple[int, int], list[int]] = {}
    for number, plan in enumerate(plans):
        if plan.sizes != plan.counts:
            alike.setdefault((len(tensors[number].shape), len(plan.axes)), []).append(number)
    rows: dict[int, Any] = {}
    lengths: list[Any] = []
    place_of: dict[int, int] = {}  # of a tensor's first axis in the concatenated `lengths`
    place = 0
    for (rank, _), numbers in alike.items():
        shapes = tf.stack([tf.shape(tensors[number], tf.int64) for number in numbers])
        of_these = _rows([plans[number] for number in numbers], shapes, turn)
        rows.update(zip(numbers, of_these, strict=True))
        lengths.append(tf.reshape(shapes, [-1]))
        for number in numbers:
            place_of[number] = place
            place += rank
    varying = [place_of[n] + axis for n, plan in enumerate(plans) for axis in plan.varying]
    sizes = tf.zeros([0])
    if varying:
        sizes = tf.cast(tf.gather(tf.concat(lengths, 0), varying), tf.float32)
    read = [
        _values(plan, tensor, rows.get(number))
        for number, (plan, tensor) in enumerate(zip(plans, tensors, strict=True))
    ]
    return sizes, read


def _units_last(plan: ExamplesPlan, tensor: Any) -> Any:
    """The tensor with its row axes first and the unit axis last."""
    if plan.unit_axis is not None and plan.unit_axis != len(tensor.shape) - 1:
        return tf.transpose(tensor, [*plan.axes, plan.unit_axis])
    return tensor


def _rows(plans: Sequence[ExamplesPlan], shapes: Any, turn: Any) -> list[Any]:
    """The row numbers [prod(counts)] of each plan's places, the last row axis fastest.

    Args:
        plans: all with the same number of row axes.
        shapes: int64 [plans, rank], the row axes first.
        turn: int64 scalar.
    """
    numbers = [math.prod(plan.counts) for plan in plans]
    owner = np.repeat(np.arange(len(plans), dtype=np.int32), numbers)
    grids = [np.indices(plan.counts, np.int32).reshape(len(plan.counts), -1) for plan in plans]
    indices = np.concatenate(grids, axis=1)
    counts = np.array([plan.counts for plan in plans], np.int64)
    turned = tf.cast(turn, tf.int64) * shared_constant(LEAP, tf.int64)
    of_owner, phases = shared_constant(owner), shared_constant(PHASES, tf.int64)
    staggered = np.array([plan.staggered for plan in plans])
    rows: Any = None
    axes: list[_Axis] = []
    for axis, lengths in enumerate(tf.unstack(shapes, axis=1)[: len(indices)]):
        sizes = _gathered(lengths, of_owner)
        phase = turned // shared_constant(PHASES**axis, tf.int64) % phases
        steps = shared_constant(PHASES * indices[axis].astype(np.int64), tf.int64) + phase
        places = steps * sizes // shared_constant(PHASES * counts[owner, axis], tf.int64)
        axes.append(_Axis(indices[axis].astype(np.int64), counts[owner, axis], sizes, places))
        if axis == 1 and staggered.any():
            moved = tf.logical_and(staggered[owner], sizes > axes[1].counts)
            places = tf.where(moved, _staggered(*axes), places)
        rows = places if rows is None else rows * sizes + places
    return list(tf.split(rows, numbers))


class _Axis(NamedTuple):
    """One axis, per row: the index of its place, the number of places, the length, the place."""

    indices: npt.NDArray[np.int64]
    counts: npt.NDArray[np.int64]
    sizes: Any
    places: Any


def _staggered(examples: _Axis, positions: _Axis) -> Any:
    """Places that move from example to example.

    The first example's begin at the first position, the last one's end at the last.
    """
    few = examples.sizes < examples.counts  # some examples are read twice, and dropped again
    number = tf.where(few, examples.places, examples.indices)
    last = tf.maximum(tf.where(few, examples.sizes, examples.counts) - 1, 1)
    step = positions.sizes // positions.counts
    room = positions.sizes - 1 - (positions.counts - 1) * step
    return positions.indices * step + room * number // last


def _values(plan: ExamplesPlan, tensor: Any, rows: Any) -> Any:
    """The planned units, float32 [plan.size]: of some rows, or of all if `rows` is None."""
    width = 1 if plan.unit_axis is None else tensor.shape[-1]
    if rows is not None:
        shape = shared_constant([-1, width] if width > 1 else [-1])
        tensor = _gathered(tf.reshape(tensor, shape), rows)
    if plan.units < width:
        tensor = tensor[..., : plan.units * plan.unit_step : plan.unit_step]
    return tf.cast(_flattened(tensor), tf.float32)


def flat(plan: FlatPlan, tensor: Any) -> Any:
    """The planned elements, float32 [plan.size], of a parameter or a gradient of its shape."""
    values = _flattened(tf.convert_to_tensor(tensor))
    if plan.runs:
        values = _gathered(values, shared_constant(*_places(plan)))
    elif values.shape[0] != plan.size:  # the static shape does not say that these are all
        values = values[: plan.size]
    return tf.cast(values, tf.float32)


def _places(plan: FlatPlan) -> tuple[npt.NDArray[np.int64], Any]:
    """The places of a parameter's elements to read, and an integer type that holds them."""
    places = plan.places()
    return places, tf.int32 if places[-1] <= np.iinfo(np.int32).max else tf.int64


def _gathered(tensor: Any, places: Any) -> Any:
    """The elements, or the rows, at these places of the first axis."""
    return gather_v2(tensor, places, shared_constant(0))


def _flattened(tensor: Any) -> Any:
    return tensor if tensor.shape.rank == 1 else tf.reshape(tensor, shared_constant([-1]))


def shaped(tensor: Any, shape: tuple[int | None, ...]) -> Any:
    """The tensor with its static shape set to `shape`, in case TensorFlow knows less."""
    if tensor.shape.rank is not None and tuple(tensor.shape) == shape:
        return tensor
    tensor = tf.identity(tensor)  # `set_shape` must not change the user's tensor or a captured one
    tensor.set_shape(shape)
    return tensor


def example_hashes(batch: Any) -> Any:
    """The low and the high 24 bits of a hash of each example [N, …], int64 [N, 2].

    Equal values give equal hashes. Of examples with more than 4096 features every n-th feature is
    hashed.
    """
    batch = tf.convert_to_tensor(batch)
    features = math.prod(batch.shape[1:]) if None not in batch.shape[1:] else -1
    if features > 0:
        rows = tf.reshape(batch, shared_constant([-1, features]))
    else:
        rows = tf.reshape(batch, [tf.shape(batch)[0], features])
    if features > _HASHED_FEATURES:
        rows = rows[:, :: features // _HASHED_FEATURES]
    if rows.dtype.is_floating:
        bits = tf.cast(tf.bitcast(tf.cast(rows, tf.float32), tf.int32), tf.int64)
    else:
        bits = tf.cast(rows, tf.int64)
    place, weight = _weights(bits)
    mixed = (bits + place) * shared_constant(_MULTIPLIER, tf.int64)  # wraps around on purpose
    shifted = tf.bitwise.right_shift(mixed, shared_constant(29, tf.int64))
    hashes = tf.reduce_sum(tf.bitwise.bitwise_xor(mixed, shifted) * weight, shared_constant(1))
    high = tf.bitwise.right_shift(hashes, shared_constant(24, tf.int64))
    parts = tf.stack([hashes, high], axis=1)
    return tf.bitwise.bitwise_and(parts, shared_constant((1 << 24) - 1, tf.int64))


def joined(parts: Any) -> list[int]:
    """The hashes of 48 bits that were kept as low and high 24 bits [N, 2]."""
    return [int(low) | int(high) << 24 for low, high in parts]


def _weights(bits: Any) -> tuple[Any, Any]:
    """For each feature its number, from 1, and an odd weight, both int64 [features]."""
    if bits.shape[1] is None:
        place = tf.range(1, tf.shape(bits, tf.int64)[1] + 1, dtype=tf.int64)
        return place, 2 * place + 1
    places = np.arange(1, bits.shape[1] + 1)
    return shared_constant(places, tf.int64), shared_constant(2 * places + 1, tf.int64)
