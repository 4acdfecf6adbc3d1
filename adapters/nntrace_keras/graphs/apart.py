"""A loss of a graph computed once more beside it, so that the graph's own has no further user.

What else uses a number decides how TensorFlow rounds what is made of it. Its graph optimizer merges
additions whose results have a single user: a metric that adds a loss of two terms to its total adds
three numbers in one operation. And such an operation begins with the number whose memory nobody
else needs any more. So the terms, too, are computed again.
"""

import math
from typing import Any, Final

from tensorflow.core.framework.attr_value_pb2 import AttrValue
from tensorflow.python.framework import ops

from nntrace_keras.graphs.copies import CALLS, Copies, needed
from nntrace_keras.graphs.on_graph import is_compiled

# Operations are merged that are alike in everything; an attribute of one's own keeps them apart.
_APART: Final = {"_nntrace_apart": AttrValue(b=True)}
_MOST_ELEMENTS: Final = 1 << 16  # of what is summed up again: a few microseconds
_UNKNOWN: Final = 64  # stands for a length that the graph leaves open, as that of a batch


def apart(tensor: Any) -> Any:
    """A scalar's value, by copies of the operations on scalars, and of small sums, that give it.

    A tensor that is no scalar of the graph that is being built is returned itself, and any that XLA
    compiles, which merges operations that are alike.
    """
    graph: Any = ops.get_default_graph()
    if (
        not isinstance(tensor, ops.SymbolicTensor)
        or tensor.graph is not graph
        or not _gives_scalars(tensor.op)
        or is_compiled()
    ):
        return tensor
    found = needed(graph, [tensor], (), 0, stops=lambda operation: not _gives_scalars(operation))
    copies = Copies({known.name: known for known in (*found.inputs, *found.stopped)})
    copies.make(found.operations, _APART)
    return copies.of(tensor)


def _gives_scalars(operation: Any) -> bool:
    """Whether that is all it does, in next to no time."""
    if operation._is_stateful or operation.type in CALLS:
        return False
    return all(output.shape.rank == 0 for output in operation.outputs) and all(
        _elements(given) <= _MOST_ELEMENTS for given in operation.inputs
    )


def _elements(tensor: Any) -> float:
    shape = tensor.shape
    return math.inf if shape.rank is None else math.prod(n or _UNKNOWN for n in shape.as_list())
