"""The forward pass of a step, as tensors of the step's graph, computed again from other inputs.

It runs in a graph of its own, from the same weights and random numbers. Nothing that the training
reads is written.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import tensorflow as tf
from tensorflow.python.framework import ops

from nntrace_keras.graphs.copies import Copies, Needed, needed
from nntrace_keras.graphs.held import Held
from nntrace_keras.graphs.second import Second
from nntrace_keras.tape.under_tape import Gradient


@dataclass(frozen=True, slots=True)
class Forward:
    """One call of a graph's only model, as tensors of that graph.

    Attributes:
        inputs: of the model.
        names: of the inputs, as they are recorded.
        target: of the step's first loss function.
        output: of the model.
        layers: path and output of each layer, in the order of their calls.
    """

    inputs: Sequence[Any]
    names: Sequence[str]
    target: Any
    output: Any
    layers: Sequence[tuple[str, Any]]


def forward_in(graph: Any, gradients: Sequence[Gradient]) -> Forward | None:
    """The model call of a step that has one model and a loss with targets; else None."""
    calls = next((g.calls for g in gradients if g.calls.roots and g.calls.losses), None)
    if calls is None or len(calls.roots) != 1:
        return None
    root, target = calls.roots[0], calls.losses[0].target
    inputs = [tensor for _, tensor in root.inputs]
    if not inputs or not all(_is_in(graph, one) for one in (*inputs, target, root.output)):
        return None
    layers = [(call.path, call.output) for call in calls.layers if _is_in(graph, call.output)]
    return Forward(inputs, [name for name, _ in root.inputs], target, root.output, layers)


class Repeated:
    """Computes tensors of a step's graph from what is held of the step."""

    def __init__(self, second: Second, arguments: Sequence[Any] | None) -> None:
        self._second = second
        self._arguments = arguments

    def compute(
        self, replaced: Sequence[Any], wanted: Sequence[Any]
    ) -> Callable[[Sequence[Any]], list[Any]]:
        """Return a function from values of `replaced` to the values of `wanted`.

        Raises:
            CannotComputeError: an input of the step was not kept.
        """
        second, names = self._second, {tensor.name for tensor in replaced}
        plan = self._plan(replaced, wanted)
        rest = (
            [tensor for tensor in tensors if tensor.name not in names]
            for tensors in (plan.inputs, plan.stopped)
        )
        is_called = self._arguments is not None
        constants, given = second.given_to(Needed(plan.operations, *rest), is_called)
        entering = [*replaced, *given]

        def again(*tensors: Any) -> Any:
            values = dict(zip((tensor.name for tensor in entering), tensors, strict=True))
            copies = Copies({**constants, **values})
            copies.make(plan.operations)
            return [tf.identity(copies.of(tensor)) for tensor in wanted]

        specs = [tf.TensorSpec(tensor.shape, tensor.dtype) for tensor in entering]
        with tf.init_scope():
            function = tf.function(again, input_signature=specs, autograph=False)
            held = Held(function.get_concrete_function())
        held.values = dict(second.held.values) if second.held is not None else {}
        kept = second.inputs(given, self._arguments)

        def values(inputs: Sequence[Any]) -> list[Any]:
            made = [
                tf.constant(value, tensor.dtype)
                for value, tensor in zip(inputs, replaced, strict=True)
            ]
            return [np.asarray(value) for value in held.call([*made, *kept])]

        return values

    def operations(self, replaced: Sequence[Any], wanted: Sequence[Any]) -> Sequence[Any]:
        """The operations that compute `wanted` from `replaced`, each after its inputs."""
        return self._plan(replaced, wanted).operations

    def _plan(self, replaced: Sequence[Any], wanted: Sequence[Any]) -> Needed:
        second, names = self._second, {tensor.name for tensor in replaced}

        def stops(operation: Any) -> bool:
            outputs = {output.name for output in operation.outputs}
            return bool(outputs & names) or any(name in second.kept for name in outputs)

        return needed(second.graph, wanted, (), second.begin, stops)


def _is_in(graph: Any, tensor: Any) -> bool:
    return isinstance(tensor, ops.SymbolicTensor) and tensor.graph is graph
