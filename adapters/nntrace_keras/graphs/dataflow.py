"""Which layer's output enters which: read off the graph of a training step while it is built.

Every operation has a number, and so have the calls of layers: an operation belongs to the
innermost layer during whose call it was made. What is called eagerly leaves no graph to read.
"""

from bisect import bisect_right
from collections.abc import Sequence
from typing import Any

import tensorflow as tf
from tensorflow.python.framework import ops

from nntrace.recorder import Recorder
from nntrace.schema import EventKind
from nntrace_keras.graphs.dependence import Dependence
from nntrace_keras.program.describe import activation_name
from nntrace_keras.tape.under_tape import Span

_MAX_VERTICES = 4_000
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
        self._recorder = recorder
        self._known: set[tuple[str, str]] = set()
        self._graphs = 0

    def read(self, depends: Dependence, targets: Sequence[Any], spans: Sequence[Span]) -> None:
        """Read a training graph that has been built up to its losses.

        Args:
            depends: which operations are differentiable.
            targets: the losses.
            spans: the calls of layers that call no other layers, in the order of the calls.
        """
        if self._graphs >= _MAX_GRAPHS or not spans:
            return
        self._graphs += 1
        vertices, edges = _vertices_and_edges(depends, targets, spans)
        named = {(vertices[one], vertices[two]) for one, two in edges}
        if named - self._known and len(vertices) <= _MAX_VERTICES:
            self._known |= named
            self._recorder.add_event(EventKind.GRAPH, {"vertices": vertices, "edges": edges})


def place() -> tuple[Any, int]:
    """The graph that is being built and the number of its next operation; (None, 0) eagerly."""
    if tf.executing_eagerly():
        return None, 0
    graph: Any = ops.get_default_graph()
    return graph, graph.num_operations() + _FIRST_ID


def _vertices_and_edges(
    depends: Dependence, targets: Sequence[Any], spans: Sequence[Span]
) -> tuple[list[str], list[list[int]]]:
    """Vertices: paths of layers, and operations' names after a colon. Edges: who feeds whom.

    The activation function that a layer holds is an operation after the layer.
    """
    numbers: dict[Any, int] = {}
    vertices: list[str] = []
    edges: dict[tuple[int, int], None] = {}
    starts = [span.start for span in spans]

    def numbered(key: Any, name: str) -> int:
        if key not in numbers:
            numbers[key] = len(vertices)
            vertices.append(name)
        return numbers[key]

    def ends(operation: Any) -> tuple[int, int] | None:
        """An operation's vertices as a taker and as a source; None if it only moves elements."""
        place = bisect_right(starts, operation._id) - 1
        owner = spans[place] if place >= 0 else None
        if owner is not None and operation._id < owner.end:
            taker = numbered(owner.path, owner.path)
            function = activation_name(owner.layer)
            if function in ("", "linear"):
                return taker, taker
            source = numbered((owner.path, "activation"), f":{function}")
            edges[taker, source] = None
            return taker, source
        if operation.type in _MOVES or depends.is_variable(operation):
            return None
        word = operation.type.lower()
        number = numbered(operation._id, f":{_NAMES.get(word, word)}")
        return number, number

    waiting: list[tuple[Any, int | None]] = [(t.op, None) for t in targets if t in depends]
    walked: set[Any] = set()  # operations; those that are no vertex once for each of their takers
    while waiting and len(vertices) <= _MAX_VERTICES:
        operation, taker = waiting.pop()
        own = ends(operation)
        if own is not None and taker is not None and taker not in own:
            edges[own[1], taker] = None
        key = operation._id if own is not None else (operation._id, taker)
        if key not in walked:
            walked.add(key)
            taken_by = taker if own is None else own[0]
            waiting += [(tensor.op, taken_by) for tensor in depends.inputs(operation)]
    return vertices, [list(edge) for edge in edges]
