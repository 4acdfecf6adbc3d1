"""The board: one small float64 variable through which training graphs and the host communicate.

It holds the number of optimizer calls so far, which of them to sample, when each graph last
sampled, and a ring with a row of plain facts per call. The host reads it once per call of a
training function, or per several calls; an unsampled step exchanges nothing else with the host.
"""

from collections.abc import Sequence
from math import isfinite
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf
from tensorflow.python.ops.gen_resource_variable_ops import read_variable_op
from tensorflow.python.ops.gen_state_ops import resource_scatter_nd_update
from tensorflow.python.ops.resource_variable_ops import ResourceVariable

from nntrace_keras.graphs.on_graph import is_compiled

_CLOCK, _START, _TURN, _STAMPS = 0, 1, 2, 3
MAX_GRAPHS = 64
_RING = _STAMPS + MAX_GRAPHS
RING_ROWS = 256
_COLUMNS = 7
_LOSS = 3
# Stands for an unknown number; NaN could be the loss.
UNKNOWN = -1.7e308
_SIZE = _RING + RING_ROWS * _COLUMNS
_NEVER, _ALWAYS = -1, -2  # in place of a row's number: an element written at no or at every call


class Row(NamedTuple):
    """One call of an optimizer inside a graph."""

    number: int
    graph: int
    turn: int
    applied: bool
    loss: float | None
    lr: float | None
    batch_size: int | None
    loss_scale: float | None


def variable(values: Any, name: str) -> Any:
    """A variable that belongs to no model, strategy or tape; can be called in any context."""
    with tf.init_scope():
        return ResourceVariable(values, trainable=False, name=f"nntrace_{name}")


class Board:
    """The variable, and how graphs and the host use it."""

    def __init__(self) -> None:
        initial = np.zeros(_SIZE)
        initial[_STAMPS:_RING] = -1
        self.variable = variable(initial, "board")
        self.seen = 0
        self._stamps = initial[_STAMPS:_RING].copy()
        self._start = 0
        self._armed: Any = None  # the indices of start and turn in the variable

    # In a graph.

    def read(self) -> Any:
        """The whole board, as of now."""
        return self.variable.read_value()

    @staticmethod
    def turn(state: Any) -> Any:
        """The turn of the next sample."""
        return tf.cast(state[_TURN], tf.int64)

    @staticmethod
    def is_whole(state: Any) -> Any:
        """Whether all losses are finite, but for those of broken steps that the host has seen."""
        return tf.reduce_all(tf.math.is_finite(state[_RING + _LOSS :: _COLUMNS]))

    @staticmethod
    def wants(state: Any, graph: int) -> Any:
        """Whether this graph should sample now: it is armed and has not sampled since."""
        start = state[_START]
        return tf.logical_and(state[_CLOCK] >= start, state[_STAMPS + graph] < start)

    def add_row(
        self,
        state: Any,
        graph: int,
        sampled: Any,
        *,
        applied: Any,
        loss: Any,
        lr: Any,
        batch_size: Any,
        loss_scale: Any,
    ) -> Any:
        """Write the row of this call and advance the clock; return where the row begins."""
        clock, _, turn = tf.unstack(state[:_STAMPS])
        stamp = _STAMPS + min(graph, MAX_GRAPHS - 1)
        stamped = tf.where(tf.logical_and(sampled, applied), clock, state[stamp])
        row = tf.math.floormod(tf.cast(clock, tf.int32), RING_ROWS)
        place = _RING + row * _COLUMNS
        facts = (graph, turn, applied, loss, lr, batch_size, loss_scale)
        numbers = [_double(number) for number in (clock + 1, stamped, *facts)]
        if is_compiled():
            self.variable.assign(_replaced(state, stamp, row, numbers), read_value=False)
        else:
            places = tf.concat([[_CLOCK, stamp], place + np.arange(_COLUMNS, dtype=np.int32)], 0)
            self.variable.scatter_nd_update(places[:, None], tf.stack(numbers))
        return place

    def add_loss(self, place: Any, loss: Any) -> None:
        """Write the loss into the row at `place`, once it is known."""
        if is_compiled():
            is_here = tf.equal(np.arange(_SIZE, dtype=np.int32), place + _LOSS)
            completed = tf.where(is_here, _double(loss), self.read())
            self.variable.assign(completed, read_value=False)
        else:
            self.variable.scatter_nd_update([[place + _LOSS]], [_double(loss)])

    # On the host.

    def arm(self, turn: int) -> None:
        """Ask every graph to sample its next call."""
        self._start = self.seen
        if self._armed is None:
            self._armed = tf.constant([[_START], [_TURN]])
        numbers = tf.constant([float(self.seen), float(turn)], tf.float64)
        resource_scatter_nd_update(self.variable.handle, self._armed, numbers)

    def expects(self, graph: int) -> bool:
        """Whether this graph samples the next time it runs, if that call makes a step."""
        return graph < MAX_GRAPHS and bool(self._stamps[graph] < self._start)

    def news(self) -> tuple[list[Row], dict[int, int], int]:
        """The rows since the last look, graphs that sampled by row number, number of lost rows."""
        # The cheapest way to read a variable, as this is done often.
        state = read_variable_op(self.variable.handle, tf.float64).numpy()
        clock = int(state[_CLOCK])
        if clock == self.seen:
            return [], {}, 0
        first = max(self.seen, clock - RING_ROWS)
        ring = state[_RING:].reshape(RING_ROWS, _COLUMNS)
        numbers = range(first, clock)
        written = ring.take(numbers, axis=0, mode="wrap").tolist()
        rows = [_row(number, *values) for number, values in zip(numbers, written, strict=True)]
        stamps = state[_STAMPS:_RING]
        sampled = {}
        if stamps.tobytes() != self._stamps.tobytes():
            changed = np.flatnonzero(stamps != self._stamps)
            sampled = {int(stamps[graph]): int(graph) for graph in changed}
            self._stamps = stamps.copy()
        lost, self.seen = first - self.seen, clock
        self._note_seen([row for row in rows if row.loss is not None and not isfinite(row.loss)])
        return rows, sampled, lost

    def _note_seen(self, broken: Sequence[Row]) -> None:
        """Overwrite the losses of broken steps, so that graphs keep inputs again (`is_whole`)."""
        if broken:
            places = [[_RING + row.number % RING_ROWS * _COLUMNS + _LOSS] for row in broken]
            unknown = tf.constant([UNKNOWN] * len(places), tf.float64)
            resource_scatter_nd_update(self.variable.handle, tf.constant(places), unknown)


def _replaced(state: Any, stamp: int, row: Any, numbers: Sequence[Any]) -> Any:
    """The board with the clock, a stamp and a row of facts replaced, element by element.

    XLA compiles a scatter to a loop: compiling one took 95 ms of processor time, this takes 30.
    """
    places = np.arange(_SIZE, dtype=np.int32)
    rows, columns = np.divmod(places - _RING, _COLUMNS)
    of_facts = places >= _RING
    is_always = (places == _CLOCK) | (places == stamp)
    # Whole numbers: TensorFlow converts a constant of booleans one by one.
    which = tf.constant(np.where(of_facts, columns + 2, places == stamp), tf.int32)
    of_row = tf.constant(np.where(of_facts, rows, np.where(is_always, _ALWAYS, _NEVER)), tf.int32)
    is_written = tf.logical_or(tf.equal(of_row, row), tf.equal(of_row, _ALWAYS))
    written = numbers[0]
    for number, value in enumerate(numbers[1:], 1):
        written = tf.where(tf.equal(which, number), value, written)
    return tf.where(is_written, written, state)


def _double(number: Any) -> Any:
    if isinstance(number, int | float):
        return tf.constant(number, tf.float64)
    return tf.cast(number, tf.float64)


def _row(
    number: int,
    graph: float,
    turn: float,
    applied: float,
    loss: float,
    lr: float,
    batch: float,
    scale: float,
) -> Row:
    return Row(
        number,
        int(graph),
        int(turn),
        bool(applied),
        loss if loss != UNKNOWN else None,
        lr if lr != UNKNOWN else None,
        int(batch) if batch != UNKNOWN else None,
        scale if scale != UNKNOWN else None,
    )
