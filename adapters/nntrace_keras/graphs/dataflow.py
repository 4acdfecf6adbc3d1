"""Which layer's output enters which: read off the graph of a training step while it is built.

Every operation has a number, and so have the calls of layers: an operation belongs to the
innermost layer during whose call it was made. What is called eagerly leaves no graph to read.
"""

from collections.abc import Sequence
from typing import Any

import tensorflow as tf
from tensorflow.python.framework import ops

from nntrace.adapter.flow import FlowGraph, ModuleCall, NewGraphs, Operation
from nntrace.recorder import Recorder
from nntrace_keras.graphs.dependence import Dependence
from nntrace_keras.program.describe import activation_name
from nntrace_keras.tape.under_tape import Span

_MAX_GRAPHS = 8
_FIRST_ID = 2  # of an operation: TensorFlow numbers a graph's source and sink, too
# Operations that move or copy elements and change none of them.
_MOVES = frozenset(
    {
        *("Identity", "Reshape", "Transpose", "Squeeze", "ExpandDims", "Cast", "BroadcastTo"),
        *("Placeholder", "PreventGradient", "EnsureShape", "CheckNumerics", "IdentityN"),
    }
)
# The names that these operations have in the other frameworks.
_NAMES = {
    "addv2": "add",
    "batchmatmul": "matmul",
    "batchmatmulv2": "matmul",
    "batchmatmulv3": "matmul",
    "einsum": "matmul",
    "conv1d": "convolution",
    "conv2d": "convolution",
    "conv3d": "convolution",
    "realdiv": "div",
}


class DataFlow:
    """Records which layer feeds which in each training graph, as far as it is new."""

    def __init__(self, recorder: Recorder) -> None:
        self._graphs = NewGraphs(recorder)
        self._looks = 0

    def read(self, depends: Dependence, targets: Sequence[Any], spans: Sequence[Span]) -> None:
        """Read a training graph that has been built up to its losses.

        Args:
            depends: which operations are differentiable.
            targets: the losses.
            spans: the calls of layers that call no other layers, in the order of the calls.
        """
        if self._looks >= _MAX_GRAPHS or not spans:
            return
        self._looks += 1
        calls = [ModuleCall(s.start, s.end, s.path, activation_name(s.layer)) for s in spans]

        def operation(found: Any) -> Operation:
            word = found.type.lower()
            moves = found.type in _MOVES or depends.is_variable(found)
            return found._id, found._id, "" if moves else _NAMES.get(word, word)

        def inputs(found: Any) -> list[Any]:
            return [tensor.op for tensor in depends.inputs(found)]

        graph = FlowGraph(calls)
        graph.walk((target.op for target in targets if target in depends), operation, inputs)
        for path in _stopped(depends.operations, graph):
            graph.detach(path)
        self._graphs.add(graph)


def _stopped(operations: Sequence[Any], graph: FlowGraph) -> set[str]:
    """The layers whose output the program uses without its gradient, outside of layers."""
    found = set()
    for operation in operations:
        if operation.type != "StopGradient" or graph.call_of(operation._id) is not None:
            continue
        source = operation.inputs[0].op
        while source.type in _MOVES and source.inputs:
            source = source.inputs[0].op
        if (call := graph.call_of(source._id)) is not None:
            found.add(call.path)
    return found


def place() -> tuple[Any, int]:
    """The graph that is being built and the number of its next operation; (None, 0) eagerly."""
    if tf.executing_eagerly():
        return None, 0
    graph: Any = ops.get_default_graph()
    return graph, graph.num_operations() + _FIRST_ID
