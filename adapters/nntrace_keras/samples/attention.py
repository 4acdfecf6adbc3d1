"""How sharp attention is: the entropy of sampled attention rows, relative to a uniform row's.

Rows are results of a softmax over keys, in whatever layer: all of Keras' attention uses
TensorFlow's softmax. 0 is a row that looks at a single key, 1 one that weighs all keys alike;
masked keys do not count.
"""

from collections.abc import Callable
from typing import Any

import tensorflow as tf
from keras import layers

from nntrace_keras.patching import Guard, Undo, after
from nntrace_keras.tape.under_tape import AttentionCall, Calls

_EXAMPLES, _QUERIES = 4, 8
_FEWEST_KEYS = 4
_FUNCTIONS = (layers.Softmax, layers.Activation)
# Operations that may stand between the softmax and its use: dropout multiplies rows.
_PASSES = ("Identity", "Reshape", "Transpose", "Cast", "SelectV2", "Mul")
_PRODUCTS = ("MatMul", "BatchMatMul", "BatchMatMulV2", "BatchMatMulV3", "Einsum")
_DEEP = 8


class AttentionCalls:
    """Notes calls of softmax with the tapes that record.

    Args:
        guard: keeps errors away from the training.
        active: gives the calls under each of this thread's tapes that record.
        collects: whether current calls are collected.
        stack: gives the layers being called, the innermost last.
        path_of: gives the recorded path of a layer, from it and the layer that encloses it.
    """

    def __init__(
        self,
        guard: Guard,
        active: Callable[[], list[Calls]],
        collects: Callable[[], bool],
        stack: Callable[[], list[Any]],
        path_of: Callable[[Any, Any], str],
    ) -> None:
        self._active = active
        self._collects = collects
        self._stack = stack
        self._path_of = path_of
        self._note = guard(self._normalised)

    def install(self) -> list[Undo]:
        """Watch `tf.nn.softmax`, which all others call."""
        return [after(tf.nn, "softmax", self._observe)]

    def _observe(self, *call: Any, **kwargs: Any) -> None:
        if self._active() and self._collects():
            self._note(*call, **kwargs)

    def _normalised(self, rows: Any, logits: Any, axis: Any = None, name: Any = None) -> None:
        rank = rows.shape.rank
        if rank not in (3, 4) or axis not in (None, -1, rank - 1):
            return
        if (rows.shape[-1] or _FEWEST_KEYS) < _FEWEST_KEYS:
            return
        around = [layer for layer in self._stack() if not isinstance(layer, _FUNCTIONS)]
        if not around:
            return
        owner, enclosing = around[-1], around[-2] if around[1:] else None
        path = self._path_of(owner, enclosing)
        is_named = "att" in f"{path} {type(owner).__name__}".lower()
        if not is_named and (rank == 3 or tf.executing_eagerly()):
            return  # these may be the classes of a sequence's places or of pixels
        for calls in self._active():
            calls.attention.append(AttentionCall(owner, path, rows, is_named))


def is_attention(call: AttentionCall, last: int) -> bool:
    """Whether the rows weigh something: up to operation number `last`, a product takes them."""
    if not hasattr(call.rows, "op") or tf.executing_eagerly():
        return call.is_named
    waiting = [call.rows]
    for _ in range(_DEEP):
        takers = [one for t in waiting for one in t.consumers() if one._id <= last]
        if any(one.type in _PRODUCTS for one in takers):
            return True
        passed = [one for one in takers if one.type in _PASSES]
        waiting = [output for one in passed for output in one.outputs]
    return False


def entropies(rows: Any) -> Any:
    """Relative entropies [examples, queries, heads] of some attention rows."""
    if rows.shape.rank == 3:
        rows = rows[:, None]
    rows = tf.cast(rows[:_EXAMPLES, :, -_QUERIES:], tf.float32)
    entropy = -tf.reduce_sum(rows * tf.math.log(tf.maximum(rows, 1e-30)), -1)
    seen = tf.reduce_sum(tf.cast(rows > 0, tf.float32), -1)
    judged = tf.cast(seen > 1, tf.float32)
    # A row with a single key has no entropy: it gets the mean of the others.
    relative = judged * entropy / tf.math.log(tf.maximum(seen, 2.0))
    mean = tf.reduce_sum(relative) / tf.maximum(tf.reduce_sum(judged), 1.0)
    return tf.transpose(tf.where(judged > 0, relative, mean), [0, 2, 1])


def shape_of(rows: Any) -> Any:
    """The static shape of the rows' entropies."""
    examples, *heads, queries, _ = rows.shape.as_list()
    return tf.TensorShape([_least(examples, _EXAMPLES), _least(queries, _QUERIES), *(heads or [1])])


def _least(size: int | None, most: int) -> int | None:
    return None if size is None else min(size, most)
