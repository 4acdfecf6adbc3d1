"""The values that variables had before a step, held for a computation that repeats it.

Holding a value copies nothing by itself, but TensorFlow never overwrites what someone else holds:
the next update of the variable copies it.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import lru_cache
from typing import Any

import numpy as np
import tensorflow as tf
from tensorflow.python.eager import context
from tensorflow.python.ops.gen_resource_variable_ops import assign_variable_op, read_variable_op
from tensorflow.python.ops.resource_variable_ops import ResourceVariable

_MOST_HELD = 1 << 28  # bytes of weights held for a search after an unsampled step


class Held:
    """Runs a computation on variables as they were.

    Args:
        computation: a concrete function. Values of variables that it only reads are among its last
            arguments; captured variables are replaced by temporary ones.
        handles: of the variables whose values are those arguments.

    Attributes:
        values: the held values, by the ids of the handles.
        earlier: those held before `values`, until the step is known not to be broken.
        is_large: whether the values are too large to be held longer than a step.
    """

    def __init__(self, computation: Any, handles: Sequence[Any] = ()) -> None:
        self._computation = computation
        self._given = [(real, spec_of(real).dtype) for real in handles]
        self._captured = [(real, _shadow(real)) for real in computation.captured_inputs]
        self._empty: dict[Any, Any] = {}
        self.values: dict[int, Any] = {}
        self.earlier: dict[int, Any] = {}
        self.is_large = False
        self._size: int | None = None

    def hold(self) -> None:
        """Hold the values that the variables have now."""
        self.earlier = self.values
        shadowed = [(real, shadow.dtype) for real, shadow in self._captured if shadow is not None]
        self.values = {
            id(real): read_variable_op(real, dtype=dtype) for real, dtype in self._given + shadowed
        }

    def call(self, inputs: Sequence[Any], live: Sequence[Any] = ()) -> Any:
        """Run the computation on the held values, and on the `live` handles.

        Raises:
            LookupError: a value is not held.
        """
        given = [self.values[id(real)] for real, _ in self._given]
        captured_inputs = []
        for real, shadow in self._captured:
            if shadow is not None:
                assign_variable_op(shadow.handle, self.values[id(real)])
            captured_inputs.append(real if shadow is None else shadow.handle)
        with _as_it_is():
            found = self._computation._call_flat([*inputs, *given, *live], captured_inputs)
        for _, shadow in self._captured:
            if shadow is not None:
                assign_variable_op(shadow.handle, self._nothing(shadow.dtype))
        return found

    def _nothing(self, dtype: Any) -> Any:
        if dtype not in self._empty:
            self._empty[dtype] = tf.zeros([0], dtype)
        return self._empty[dtype]

    def forget(self) -> None:
        """Release the held values if they are large, as they are an earlier step's by now."""
        if self._size is None:  # computed once, as shapes do not change
            values = self.values.values()
            self._size = sum(v.shape.num_elements() * v.dtype.size for v in values)
            self.is_large = self._size > _MOST_HELD
        if self.is_large:
            self.values = {}


@contextmanager
def _as_it_is() -> Iterator[None]:
    """Run functions that are first called inside without TensorFlow's graph optimizer.

    They are called so rarely that optimising takes longer than all that it could save.
    """
    options = context.context().function_call_options
    context.context().function_call_options = _unoptimised(options.config_proto_serialized)
    try:
        yield
    finally:
        context.context().function_call_options = options


@lru_cache(maxsize=16)
def _unoptimised(serialised: bytes) -> Any:
    """The options of the program's calls, without TensorFlow's graph optimiser."""
    config = tf.compat.v1.ConfigProto.FromString(serialised)
    config.graph_options.rewrite_options.disable_meta_optimizer = True
    return context.FunctionCallOptions(config_proto=config)


def spec_of(handle: Any) -> Any:
    """Shape and type of a variable's value; None if the handle is of something else."""
    facts = getattr(handle, "_handle_data", None)
    if handle.dtype != tf.resource or facts is None or not facts.is_set:
        return None
    kind = facts.shape_and_type[0]
    return tf.TensorSpec(tf.TensorShape(kind.shape), tf.as_dtype(kind.dtype))


def empty(dtype: Any) -> Any:
    """A variable, empty at first, for values of any shape."""
    with tf.init_scope():
        return ResourceVariable(
            np.zeros([0], dtype.as_numpy_dtype),
            dtype=dtype,
            shape=tf.TensorShape(None),
            trainable=False,
            name="nntrace_kept",
        )


def _shadow(real: Any) -> Any:
    """A variable that replaces a captured one; None for what is not a variable."""
    spec = spec_of(real)
    return None if spec is None else empty(spec.dtype)
