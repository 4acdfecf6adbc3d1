"""A loss of a graph computed a second time beside it, so that the original gets no further user.

The users of a number decide how TensorFlow rounds what is computed from it. Its graph optimizer
merges additions whose results have a single user: a metric that adds a loss of two terms to its
total adds three numbers in one operation. Such an operation starts with the number whose memory
nothing else needs any more. So the terms are computed again, too.
"""

import math
from typing import Any, Final

from tensorflow.core.framework.attr_value_pb2 import AttrValue
from tensorflow.python.framework import ops

from nntrace_keras.graphs.copies import CALLS, Copies, needed
from nntrace_keras.graphs.on_graph import is_compiled

# TensorFlow merges operations that are equal in everything; an attribute of ours prevents that.
_APART: Final = {"_nntrace_apart": AttrValue(b=True)}
_MOST_ELEMENTS: Final = 1 << 16  # of a sum that is computed again: a few microseconds
_UNKNOWN: Final = 64  # assumed for a length that the graph leaves open, such as the batch's


def apart(tensor: Any) -> Any:
    """A scalar computed again by copies of the scalar operations and small sums that give it.

    Returned unchanged are tensors that are no such scalar of the graph being built, and all in
    graphs that XLA compiles, as XLA merges equal operations.
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
    """Whether an operation only computes scalars, in next to no time."""
    if operation._is_stateful or operation.type in CALLS:
        return False
    return all(output.shape.rank == 0 for output in operation.outputs) and all(
        _elements(given) <= _MOST_ELEMENTS for given in operation.inputs
    )


def _elements(tensor: Any) -> float:
    shape = tensor.shape
    return math.inf if shape.rank is None else math.prod(n or _UNKNOWN for n in shape.as_list())
