"""Sums over what enters a model in the graphs with which Keras evaluates it, read after each pass,
and hashes of some of its examples.

The batches of a pipeline are visible nowhere else; drawing from it would change what it delivers.
"""

import weakref
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import tensorflow as tf
from tensorflow.python.eager import record
from tensorflow.python.framework import ops
from tensorflow.python.ops.resource_variable_ops import ResourceVariable

from nntrace_keras.data.passes import ELEMENTS
from nntrace_keras.graphs.on_graph import is_compiled
from nntrace_keras.samples.gather import example_hashes, joined

_HASHED = 64  # examples of a pass
_NONE = (0, 0)
_NOTHING = (0.0, 0.0, 0.0, np.inf, -np.inf)  # number, sum, squares, least and largest


@dataclass(slots=True)
class _Sums:
    """The sums over the batches of one model since a pass began.

    Attributes:
        counts: the numbers of calls and of examples.
        hashes: two numbers for each of some examples of the first batch, else zeros.
        shape: of a batch; zero where its size varies.
    """

    model: Callable[[], Any]
    counts: Any
    sums: Any
    hashes: Any
    shape: tuple[int, ...]


class GraphInputs:
    """Adds the sums to graphs that evaluate; they live in variables of nntrace."""

    def __init__(self) -> None:
        self._known: list[_Sums] = []
        self._model: Callable[[], Any] = lambda: None

    def begins(self, model: Any) -> None:
        """Reset a model's sums: a pass of Keras' own begins."""
        self._model = weakref.ref(model)
        self._known = [known for known in self._known if known.model() is not None]
        if (known := self._of(model)) is not None:
            known.counts.assign(_NONE)
            known.sums.assign(_NOTHING)
            known.hashes.assign(np.zeros((_HASHED, 2)))

    def called(self, layer: Any, entered: Any) -> None:
        """In a graph being built: count the input of an outermost layer if it is the model."""
        model = self._model()
        if layer is not model or not isinstance(entered, ops.SymbolicTensor):
            return
        if not entered.dtype.is_floating or (entered.shape.rank or 0) < 2 or is_compiled():
            return
        if tf.distribute.has_strategy():
            return
        known = self._of(model)
        if known is None:
            with tf.init_scope():
                shape = tuple(int(size or 0) for size in entered.shape)
                counts, sums = _variable(_NONE, tf.int64), _variable(_NOTHING, tf.float64)
                hashes = _variable(np.zeros((_HASHED, 2)), tf.int64)
                known = _Sums(weakref.ref(model), counts, sums, hashes, shape)
                self._known.append(known)
        with tf.name_scope("nntrace"):
            _count(known, entered)

    def moments(self, model: Any) -> dict[str, Any]:
        """Moments of what has entered since the pass began; empty if unknown."""
        known = self._of(model)
        if known is None:
            return {}
        number, total, squares, least, largest = (float(x) for x in known.sums.numpy())
        if not number:
            return {}
        mean = total / number
        return {
            "examples": int(known.counts.numpy()[1]),
            "input_shape": list(known.shape),
            "input_mean": mean,
            "input_std": float(np.sqrt(max(squares / number - mean * mean, 0.0))),
            "input_min": least,
            "input_max": largest,
        }

    def hashes(self, model: Any, values: Any = None) -> list[int]:
        """Hashes of some examples of the pass: of an array's, or of what has entered the graph.

        They are those of a sampled batch of the same examples, if that is the model's only input.
        """
        if len(getattr(model, "inputs", None) or ()) > 1:
            return []
        if values is not None:
            with record.stop_recording():
                return joined(example_hashes(values[:: -(-len(values) // _HASHED)]).numpy())
        known = self._of(model)
        found = [] if known is None else joined(known.hashes.numpy())
        return [one for one in found if one]

    def _of(self, model: Any) -> _Sums | None:
        return next((known for known in self._known if known.model() is model), None)


def _count(known: _Sums, entered: Any) -> None:
    """Add batches 1, 2, 4, 8, … to the sums: spread over the pass, whose data may be sorted."""
    examples = tf.shape(entered, tf.int64)[0]
    calls = known.counts.assign_add(tf.stack([tf.ones_like(examples), examples]))[0]
    is_due = tf.equal(tf.bitwise.bitwise_and(calls, calls - 1), 0)

    def add() -> Any:
        step = tf.maximum(tf.size(entered) // ELEMENTS, 1)
        some = tf.cast(tf.reshape(entered, [-1])[::step], tf.float64)
        some.set_shape([None])
        some = tf.boolean_mask(some, tf.math.is_finite(some))
        sums = known.sums.read_value()
        least, largest = tf.reduce_min(some), tf.reduce_max(some)
        added = [tf.size(some, tf.int64), tf.reduce_sum(some), tf.reduce_sum(some * some)]
        added = [sums[n] + tf.cast(one, tf.float64) for n, one in enumerate(added)]
        ends = [tf.minimum(sums[3], least), tf.maximum(sums[4], largest)]
        known.sums.assign(tf.stack([*added, *ends]))
        return tf.constant(0)

    def hash_first() -> Any:
        found = example_hashes(entered[:_HASHED])
        known.hashes.assign(tf.pad(found, [[0, _HASHED - tf.shape(found)[0]], [0, 0]]))
        return tf.constant(0)

    tf.cond(is_due, add, lambda: tf.constant(0))
    tf.cond(tf.equal(calls, 1), hash_first, lambda: tf.constant(0))


def _variable(value: Any, dtype: Any) -> Any:
    start = np.asarray(value, dtype.as_numpy_dtype)
    return ResourceVariable(start, dtype=dtype, trainable=False, name="nntrace_inputs")
