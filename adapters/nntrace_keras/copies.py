"""Computes tensors of a graph a second time, from what the graph reads: inputs and variables.

TensorFlow and XLA choose what they fuse, and with it how values are rounded, by who uses them. A
copy adds users only to values that are stored anyway, so that the training stays as it was.
"""

from typing import Any

import tensorflow as tf
from tensorflow.python.framework import ops

# What places an operation or names others, which a copy has no part in.
_LEFT_OUT = ("_class", "_gradient_op_type")


class Copies:
    """Copies into the graph that is being built; each operation once."""

    def __init__(self) -> None:
        self._copies: dict[int, Any] = {}
        self._sources: list[Any] = []  # keeps the ids of `_copies` from being given again

    def of(self, value: Any) -> Any:
        """What computes `value` again; `value` itself when no graph computes it."""
        if isinstance(value, tf.IndexedSlices):
            return tf.IndexedSlices(
                self.of(value.values), self.of(value.indices), value.dense_shape
            )
        if not isinstance(value, ops.SymbolicTensor):
            return value
        for operation in _needed(value, self._copies):
            self._copy(operation)
        return self._copies.get(id(value), value)

    def _copy(self, operation: Any) -> None:
        inputs = [self._copies.get(id(tensor), tensor) for tensor in operation.inputs]
        attributes = operation.node_def.attr
        copied = ops.get_default_graph()._create_op_internal(
            operation.type,
            inputs,
            [output.dtype for output in operation.outputs],
            attrs={name: attributes[name] for name in attributes if name not in _LEFT_OUT},
        )
        for output, copy in zip(operation.outputs, copied.outputs, strict=True):
            self._copies[id(output)] = copy
            self._sources.append(output)


def _needed(value: Any, known: dict[int, Any]) -> list[Any]:
    """The operations that make a tensor from what its graph reads, each after its inputs."""
    found: list[Any] = []
    seen: set[int] = set()
    waiting = [(value.op, False)]
    while waiting:
        operation, inputs_are_found = waiting.pop()
        if inputs_are_found:
            found.append(operation)
            continue
        number = id(operation)
        if number in seen or _is_read(operation):
            continue
        seen.add(number)
        outputs = operation.outputs
        if outputs and id(outputs[0]) in known:
            continue
        waiting.append((operation, True))
        waiting += [(tensor.op, False) for tensor in operation.inputs]
    return found


def _is_read(operation: Any) -> bool:
    """Whether its outputs come from outside, or would not be the same the second time."""
    return operation.type == "Placeholder" or bool(operation._is_stateful)
