"""Losses that a function returns: they are read from its results.

Most training functions written by users return their loss. Writing it to the board inside the
graph would give it one more user there, by which TensorFlow may decide to sum differently.
"""

from collections.abc import Callable, Sequence
from typing import Any

import tensorflow as tf
from tensorflow.python.framework import ops
from tensorflow.python.framework.auto_control_deps import AutomaticControlDependencies

from nntrace.recorder import Recorder
from nntrace_keras.graphs.on_graph import list_on
from nntrace_keras.patching import Undo, before

_WAITING = "_nntrace_losses"


class ReturnedLoss:
    """A loss in a graph that is being traced; whether it is returned is known when tracing ends.

    Attributes:
        targets: scalars whose sum is the loss.
    """

    def __init__(self, targets: Sequence[Any], write: Callable[[], None]) -> None:
        self.targets = targets
        self._write = write
        self._returned: list[Any] = []
        self._places: list[int] | None = None

    def settle(self, returned: Sequence[Any]) -> None:
        """Write, at the end of tracing, the loss in the graph unless `returned` contains it."""
        for target in self.targets:
            found = next((t for t in returned if _is_identity_of(t, target)), None)
            if found is None:
                self._write()
                self._returned = []
                break
            self._returned.append(found)
        self.targets = ()

    def read(self, function: Any, result: Any) -> float | None:
        """The loss of a call, from the function's result; None if it was not returned."""
        if self._places is None:
            places = {id(output): place for place, output in enumerate(function.graph.outputs)}
            self._places = [places[id(t)] for t in self._returned if id(t) in places]
            self._returned = []
        tensors = tf.nest.flatten(result, expand_composites=True)
        if not self._places or len(tensors) != len(function.graph.outputs):
            return None
        return float(sum(float(tensors[place]) for place in self._places))


def may_be_returned(targets: Sequence[Any]) -> bool:
    """Whether the loss in the graph that is being built can be a result of its function.

    Only of an outermost function: one inside another returns its results to that one.
    """
    graph = ops.get_default_graph()
    is_outermost = not getattr(graph.outer_graph, "building_function", False)
    replicas = tf.distribute.get_strategy().num_replicas_in_sync
    scalars = bool(targets) and all(
        isinstance(target, ops.SymbolicTensor) and target.graph is graph and target.shape.rank == 0
        for target in targets
    )
    return is_outermost and replicas == 1 and scalars


def await_results(loss: ReturnedLoss) -> None:
    """Settle `loss` when the graph that is being built is complete."""
    list_on(ops.get_default_graph(), _WAITING).append(loss)


def watch_tracing(recorder: Recorder) -> Undo:
    """Settle the losses of a graph when its function has been traced."""

    def ends(dependencies: Any, *exception: Any) -> None:
        waiting = getattr(ops.get_default_graph(), _WAITING, None)
        if not waiting or any(exception):
            return
        with tf.name_scope("nntrace"):
            while waiting:
                waiting.pop().settle(list(dependencies._returned_tensors))

    return before(AutomaticControlDependencies, "__exit__", recorder.guard(ends))


def _is_identity_of(tensor: Any, target: Any) -> bool:
    operation = getattr(tensor, "op", None)
    return operation is not None and operation.type == "Identity" and operation.inputs[0] is target
