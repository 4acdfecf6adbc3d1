"""Which operations of a graph depend on the trained variables: what autograd would follow.

Nothing is added to the graph that is read.
"""

from collections.abc import Iterable
from typing import Any

import tensorflow as tf

_READS = ("ReadVariableOp", "ResourceGather", "ResourceGatherNd")
_STOPS = ("StopGradient", "Shape", "ShapeN", "Size", "Rank", "ZerosLike", "OnesLike")


class Dependence:
    """The dependent operations among those that a graph has so far.

    Args:
        graph: is being built.
        variables: those that are differentiated by; they may be read under other names.
    """

    def __init__(self, graph: Any, variables: Iterable[Any]) -> None:
        trained = {id(handle) for v in variables if (handle := _handle(v)) is not None}
        inside = {id(inner) for outer, inner in graph.captures if id(outer) in trained}
        inside |= trained
        self.operations = graph.get_operations()
        self._found: set[int] = set()
        self._variables: set[int] = set()
        for operation in self.operations:
            if operation.type in _STOPS:
                continue
            inputs = operation.inputs
            if any(t.dtype == tf.resource and id(t) in inside for t in inputs):
                self._found.add(operation._id)
                if operation.type in _READS:
                    self._variables.add(operation._id)
            elif any(t.op._id in self._found and _is_real(t) for t in inputs):
                self._found.add(operation._id)

    def __contains__(self, tensor: Any) -> bool:
        """Whether a tensor of the graph would have a gradient."""
        return _is_real(tensor) and tensor.op._id in self._found

    def is_variable(self, operation: Any) -> bool:
        """Whether an operation does nothing but read a trained variable."""
        return operation._id in self._variables

    def inputs(self, operation: Any) -> list[Any]:
        """The inputs of an operation that would have a gradient."""
        return [tensor for tensor in operation.inputs if tensor in self]


def _is_real(tensor: Any) -> bool:
    return bool(tensor.dtype.is_floating or tensor.dtype.is_complex or tensor.dtype == tf.variant)


def _handle(variable: Any) -> Any:
    return getattr(getattr(variable, "_value", variable), "handle", None)
