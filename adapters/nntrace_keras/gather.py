"""Reads the planned elements of TensorFlow tensors, in a graph as well as eagerly.

One gather takes all rows of a tensor; nothing here creates a random number or a gradient.
"""

import math
from typing import Any

import tensorflow as tf

from nntrace_keras.elements import LEAP, PHASES, ExamplesPlan, FlatPlan

_HASHED_FEATURES = 4096
_MULTIPLIER = 0x9E3779B97F4A7C15 - (1 << 64)  # 2^64 divided by the golden ratio, as an int64


class Reader:
    """Reads at one turn; `turn` is an int64 scalar that moves the rows."""

    def __init__(self, turn: Any) -> None:
        number = tf.cast(turn, tf.int64) * LEAP
        self._number = number
        self._phases: dict[int, Any] = {}

    def examples(self, plan: ExamplesPlan, tensor: Any) -> Any:
        """float32 [plan.size]."""
        if plan.unit_axis is not None and plan.unit_axis != len(tensor.shape) - 1:
            tensor = tf.transpose(tensor, [*plan.axes, plan.unit_axis])
        width = 1 if plan.unit_axis is None else tensor.shape[-1]
        if plan.sizes != plan.counts:
            flat = tf.reshape(tensor, [-1, width])
            tensor = tf.gather(flat, self._rows(plan, tensor))
        rows = tf.reshape(tensor, [math.prod(plan.counts), width])
        if plan.units < width:
            rows = rows[:, : plan.units * plan.unit_step : plan.unit_step]
        return tf.reshape(tf.cast(rows, tf.float32), [plan.size])

    def _rows(self, plan: ExamplesPlan, tensor: Any) -> Any:
        """The row numbers [prod(counts)] of the planned places, the last row axis fastest."""
        dynamic: Any = tf.shape(tensor, tf.int64) if plan.varying else None
        rows = tf.zeros([1], tf.int64)
        for axis, (count, known) in enumerate(zip(plan.counts, plan.sizes, strict=True)):
            size = dynamic[axis] if known is None else tf.constant(known, tf.int64)
            steps = tf.constant([PHASES * i for i in range(count)], tf.int64)
            places = ((steps + self._phase(axis)) * size) // (PHASES * count)
            rows = tf.reshape(rows[:, None] * size + places[None, :], [-1])
        return rows

    def _phase(self, axis: int) -> Any:
        if axis not in self._phases:
            self._phases[axis] = (self._number // PHASES**axis) % PHASES
        return self._phases[axis]


def flat(plan: FlatPlan, tensor: Any) -> Any:
    """float32 [plan.size] of a parameter or a gradient of its shape."""
    values = tf.reshape(tensor, [-1])
    if values.shape[0] != plan.size:  # also where no static shape says that they are all
        values = values[: plan.size * plan.step : plan.step]
    return tf.cast(values, tf.float32)


def varying_sizes(plan: ExamplesPlan, tensor: Any) -> list[Any]:
    """float32 scalars: the true length of each axis that varies."""
    if not plan.varying:
        return []
    shape = tf.shape(tensor)
    return [tf.cast(shape[plan.axes[index]], tf.float32) for index in plan.varying]


def example_hashes(batch: Any, shift: int) -> Any:
    """24 bits, from bit `shift` on, of an int64 hash of each example [N, …].

    Equal for examples whose values are equal. Of examples with more than 4096 features every n-th
    is hashed.
    """
    batch = tf.convert_to_tensor(batch)
    features = math.prod(batch.shape[1:]) if None not in batch.shape[1:] else -1
    rows = tf.reshape(batch, [tf.shape(batch)[0], features])
    if features > _HASHED_FEATURES:
        rows = rows[:, :: features // _HASHED_FEATURES]
    if rows.dtype.is_floating:
        bits = tf.cast(tf.bitcast(tf.cast(rows, tf.float32), tf.int32), tf.int64)
    else:
        bits = tf.cast(rows, tf.int64)
    place = tf.range(1, tf.shape(bits, tf.int64)[1] + 1, dtype=tf.int64)
    mixed = (bits + place) * _MULTIPLIER  # wraps around, which is meant
    mixed = tf.bitwise.bitwise_xor(mixed, tf.bitwise.right_shift(mixed, 29))
    hashes = tf.reduce_sum(mixed * (2 * place + 1), axis=1)
    return tf.bitwise.bitwise_and(tf.bitwise.right_shift(hashes, shift), (1 << 24) - 1)
