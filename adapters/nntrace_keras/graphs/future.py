"""Checks whether a language model whose loss becomes suspiciously small sees the next token, and
whether a decoder that is given its targets shifts them.

If the targets are among the inputs, the forward of one step is computed again in a graph of its
own, from the same weights and random numbers, with other tokens after the middle: once in a run
and only on that suspicion. Nothing that the training reads is written.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import tensorflow as tf
from tensorflow.python.framework import ops

from nntrace.recorder import Recorder
from nntrace.schema import EventKind
from nntrace_keras.graphs.copies import Copies, Needed, needed
from nntrace_keras.graphs.held import Held
from nntrace_keras.graphs.second import UNKNOWN_TO_US, CannotComputeError, Second
from nntrace_keras.tape.under_tape import Gradient

_SUSPICIOUS = 0.25  # of the first loss
_MANY = 1 << 25  # the most elements of predictions that are computed a second time
_AXES = 3  # of a layer's output: examples, positions, units
_FEWEST_TARGETS = 8


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


class FutureWatch:
    """Waits until the loss is suspiciously small, then examines one forward."""

    def __init__(self, recorder: Recorder) -> None:
        self._recorder = recorder
        self._first: float | None = None
        self._is_done = False

    def look(
        self,
        forward: Forward | None,
        second: Second,
        arguments: Sequence[Any] | None,
        loss: float | None,
    ) -> None:
        """Examine a suspicious step, from what is held of it, after its second computation.

        Args:
            forward: the model call of the step, if it is known.
            second: the step's second computation.
            arguments: all inputs of the step's graph if the host called that graph itself, else
                None.
            loss: of the step.
        """
        if self._is_done or forward is None or loss is None:
            return
        self._first = loss if self._first is None else self._first
        if not loss <= _SUSPICIOUS * self._first:
            return
        self._is_done = True
        with self._recorder.setting_up():
            try:
                payload = _seen(forward, second, arguments)
            except (*UNKNOWN_TO_US, CannotComputeError):
                return
        if payload is not None:
            self._recorder.add_event(EventKind.CAUSALITY, payload, severity="warning")


def _seen(
    forward: Forward, second: Second, arguments: Sequence[Any] | None
) -> dict[str, Any] | None:
    """The payload of the event if the model sees what it is to predict; else None."""
    # Imported only when they are needed, once in a run.
    from nntrace_keras.probes.causality import (
        first_to_change,
        is_given_beside,
        predicts_next,
        with_another_future,
    )

    inside = _Inside(second, arguments)
    *inputs, target = inside.compute((), [*forward.inputs, forward.target])(())
    classes = int(forward.output.shape[-1] or 1)
    if not _FEWEST_TARGETS <= target.size <= _MANY // classes:
        return None
    place, beside = predicts_next(inputs, target), is_given_beside(inputs, target)
    changed_in = beside if place is None else place
    if changed_in is None:
        return None
    exchanged, middle = with_another_future(inputs, changed_in)
    given = inputs[changed_in]
    # A decoder that shifts its input sees the first one that is exchanged a position later.
    last = middle if place is not None else middle + 1

    def first(tensor: Any) -> int | None:
        outputs = inside.compute(forward.inputs, [tensor])
        return first_to_change(outputs(inputs)[0], outputs(exchanged)[0], given, last)

    position = first(forward.output)
    if position is None:
        return None
    seen = {"position": position, "depends_on_after": middle, "length": int(given.shape[1])}
    if place is None:
        name = forward.names[changed_in]
        text = f"{name} holds its targets place by place, and no layer shifts them"
        return {**seen, "text": text, "given": name}
    layers = (path for path, out in forward.layers if out.shape.rank == _AXES)
    tensors = dict(reversed(forward.layers))
    layer = next((path for path in layers if first(tensors[path]) is not None), "")
    text = (
        f"the output at position {position} depends on inputs after position {middle}, and the "
        "target is the next input"
    )
    return {**seen, "text": text, "layer": layer}


class _Inside:
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

        def stops(operation: Any) -> bool:
            outputs = {output.name for output in operation.outputs}
            return bool(outputs & names) or any(name in second.kept for name in outputs)

        plan = needed(second.graph, wanted, (), second.begin, stops)
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


def _is_in(graph: Any, tensor: Any) -> bool:
    return isinstance(tensor, ops.SymbolicTensor) and tensor.graph is graph
