"""Computes a part of one graph again in another graph, from the same inputs.

What is copied runs on its own: the graph it was taken from is left as it is. Variables that were
written before they were read are written in the copy, too, in the same order.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import tensorflow as tf
from tensorflow.python.framework import ops
from tensorflow.python.framework.auto_control_deps_utils import get_read_write_resource_inputs
from tensorflow.python.ops.resource_variable_ops import BaseResourceVariable

# Attributes that place an operation or refer to others, which mean nothing for a copy.
_LEFT_OUT = ("_class", "_gradient_op_type")
CALLS = (
    "PartitionedCall",
    "StatefulPartitionedCall",
    "If",
    "StatelessIf",
    "While",
    "StatelessWhile",
    "Case",
    "StatelessCase",
)
# Operations that are stateful only because of the variable (or table) given to them.
_OF_VARIABLES = ("Read", "Assign", "Resource", "Stateful", "Rng", "LookupTable")
_OUTSIDE = ("PyFunc", "EagerPyFunc", "IteratorGetNext", "OptionalGetValue")
_PLACEHOLDER = "Placeholder"


@dataclass(frozen=True, slots=True)
class Needed:
    """The operations that compute some tensors of a graph.

    Attributes:
        operations: those to be run again, each after its inputs.
        inputs: the placeholders that they read, but for those of resources.
        stopped: the outputs of operations that are not to be run again.
    """

    operations: Sequence[Any]
    inputs: Sequence[Any]
    stopped: Sequence[Any]


def needed(
    graph: Any,
    targets: Iterable[Any],
    handles: Iterable[Any],
    end: int,
    stops: Callable[[Any], bool],
) -> Needed:
    """Collect what computes `targets`, and the values of variables after the first operations.

    Args:
        graph: holds all of them.
        targets: tensors of the graph.
        handles: placeholders of the variables whose values are wanted.
        end: how many operations of the graph count for `handles`.
        stops: whether an operation is not to be run again.
    """
    operations = graph.get_operations()
    numbers = {operation.name: number for number, operation in enumerate(operations)}
    writers = _writers(operations)
    waiting = [target.op for target in targets]
    for handle in handles:
        waiting += [operations[n] for n in writers.get(handle.name, ()) if n < end]
    found: dict[int, Any] = {}
    inputs: dict[str, Any] = {}
    stopped: dict[str, Any] = {}
    while waiting:
        operation = waiting.pop()
        number = numbers[operation.name]
        if operation.type == _PLACEHOLDER:
            for output in operation.outputs:
                if output.dtype != tf.resource:
                    inputs[output.name] = output
            continue
        if operation.name in stopped or number in found:
            continue
        if stops(operation):
            stopped[operation.name] = operation
            continue
        found[number] = operation
        for tensor in operation.inputs:
            waiting.append(tensor.op)
            if tensor.dtype == tf.resource:
                waiting += [operations[n] for n in writers.get(tensor.name, ()) if n < number]
    outputs = [output for operation in stopped.values() for output in operation.outputs]
    return Needed(_in_order(found, numbers), list(inputs.values()), outputs)


def is_drawn(operation: Any) -> bool:
    """Whether an operation would give another result, or act on something, if it ran again."""
    if operation.type in CALLS or not operation._is_stateful:
        return takes_from_outside(operation)
    takes_resource = any(tensor.dtype == tf.resource for tensor in operation.inputs)
    return not (takes_resource and operation.type.startswith(_OF_VARIABLES))


def takes_from_outside(operation: Any) -> bool:
    """Whether an operation, or a function that it calls, runs Python or draws from an iterator."""
    if operation.type.startswith(_OUTSIDE):
        return True
    return operation.type in CALLS and _calls_outside(operation)


def users_of_resources(operations: Iterable[Any]) -> dict[str, list[Any]]:
    """The operations that take each resource, by the name of its tensor."""
    found: dict[str, list[Any]] = {}
    for operation in operations:
        for tensor in operation.inputs:
            if tensor.dtype == tf.resource:
                found.setdefault(tensor.name, []).append(operation)
    return found


class Copies:
    """Makes copies of operations in the graph that is being built.

    Args:
        values: the tensors that replace those of the other graph, by the names of the latter.
        held: the values that replace variables, by the ids of the variables' handles.
    """

    def __init__(self, values: dict[str, Any], held: Mapping[int, Any] | None = None) -> None:
        self._values = values
        self._held = held or {}

    def make(self, operations: Sequence[Any], marks: Mapping[str, Any] | None = None) -> None:
        """Copy operations, in order, with the attributes `marks` added; inputs must come first."""
        graph: Any = ops.get_default_graph()
        if operations and operations[0].graph is not graph:
            for function in operations[0].graph._functions.values():
                graph._add_function_recursive(function)
        for operation in operations:
            attributes = operation.node_def.attr
            copied = graph._create_op_internal(
                operation.type,
                [self._value(tensor) for tensor in operation.inputs],
                [output.dtype for output in operation.outputs],
                attrs={name: attributes[name] for name in attributes if name not in _LEFT_OUT}
                | dict(marks or {}),
            )
            for output, copy in zip(operation.outputs, copied.outputs, strict=True):
                self._values[output.name] = copy

    def of(self, value: Any) -> Any:
        """The copy of `value`; `value` itself if no graph computes it.

        Of a sparse gradient both are copied: the rows that were touched and their indices.
        """
        if isinstance(value, tf.IndexedSlices):
            rows, places = self.of(value.values), self.of(value.indices)
            return tf.IndexedSlices(rows, places, value.dense_shape)
        if isinstance(value, ops.SymbolicTensor):
            return self._value(value)
        variable = getattr(value, "_value", value)
        if isinstance(variable, BaseResourceVariable):
            return self._held.get(id(variable.handle), value)
        return value

    def _value(self, tensor: Any) -> Any:
        known = self._values.get(tensor.name)
        return known if known is not None else captured(tensor)


def captured(tensor: Any) -> Any:
    """The tensor outside of all graphs that a placeholder stands for.

    Raises:
        LookupError: the placeholder is an argument of its function, or no placeholder.
    """
    while isinstance(tensor, ops.SymbolicTensor):
        inside = tensor
        outer = (one for one, other in inside.graph.captures if other is inside)
        tensor = next(outer, None)
        if tensor is None:
            raise LookupError(f"{inside.name} is only known inside of its graph")
    return tensor


def _in_order(found: dict[int, Any], numbers: dict[str, int]) -> list[Any]:
    """The operations in the order of their creation, each after its inputs.

    The two differ for a loop whose gradient is computed: it gets inputs that were created after it.
    """
    ordered: list[Any] = []
    seen: set[int] = set()
    for first in sorted(found):
        waiting = [(first, False)]
        while waiting:
            number, inputs_are_there = waiting.pop()
            if inputs_are_there:
                ordered.append(found[number])
            elif number not in seen:
                seen.add(number)
                waiting.append((number, True))
                makers = {numbers[tensor.op.name] for tensor in found[number].inputs}
                waiting += [(m, False) for m in makers if m in found and m not in seen]
    return ordered


def _writers(operations: Sequence[Any]) -> dict[str, list[int]]:
    """The operations that may write a variable, by the name of its placeholder."""
    found: dict[str, list[int]] = {}
    for number, operation in enumerate(operations):
        if operation._is_stateful and any(t.dtype == tf.resource for t in operation.inputs):
            for handle in get_read_write_resource_inputs(operation)[1]:
                found.setdefault(handle.name, []).append(number)
    return found


def _calls_outside(operation: Any) -> bool:
    functions = operation.graph._functions
    waiting = [
        attribute.func.name for attribute in operation.node_def.attr.values() if attribute.func.name
    ]
    seen: set[str] = set()
    while waiting:
        name = waiting.pop()
        if name in seen or name not in functions:
            continue
        seen.add(name)
        for node in functions[name].cached_definition.node_def:
            if node.op.startswith(_OUTSIDE):
                return True
            waiting += [a.func.name for a in node.attr.values() if a.func.name]
    return False
