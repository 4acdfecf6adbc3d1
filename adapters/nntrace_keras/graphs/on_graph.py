"""What is noted on a graph while it is built: lists that live as long as the graph does."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt
import tensorflow as tf
from tensorflow.python.framework import ops
from tensorflow.python.ops import control_flow_util


def list_on(graph: Any, name: str) -> list[Any]:
    """The list of this name that is kept on the graph; made if it is missing."""
    found: list[Any] | None = getattr(graph, name, None)
    if found is None:
        found = []
        setattr(graph, name, found)
    return found


def shared_constant(value: npt.ArrayLike, dtype: Any = tf.int32) -> Any:
    """A constant, shared by all uses of the same value in the graph that is being built.

    Each operation takes time to build, to run first, and to run again; without sharing, half of all
    would be constants.
    """
    graph: Any = ops.get_default_graph()
    if tf.executing_eagerly():
        return tf.constant(value, dtype)
    known: dict[Any, Any] | None = getattr(graph, "_nntrace_constants", None)
    if known is None:
        known = graph._nntrace_constants = {}
    array = np.asarray(value, dtype.as_numpy_dtype)
    key = (dtype, array.shape, array.tobytes())
    if key not in known:
        known[key] = tf.constant(array)
    return known[key]


def graphs_around() -> Iterator[Any]:
    """The graph that is being built and those around it, the innermost first."""
    graph: Any = ops.get_default_graph()
    while graph is not None:
        yield graph
        graph = getattr(graph, "outer_graph", None)


def functions_around() -> Iterator[Any]:
    """The graphs of `graphs_around` that become functions."""
    return (graph for graph in graphs_around() if getattr(graph, "building_function", False))


def is_compiled(graph: Any = None) -> bool:
    """Whether XLA compiles a graph, by default the one that is being built."""
    graph = ops.get_default_graph() if graph is None else graph
    return bool(control_flow_util.GraphOrParentsInXlaContext(graph))
