"""Checks whether a language model whose loss becomes suspiciously small sees the next token, and
whether a decoder that is given its targets shifts them.

If the targets are among the inputs, the forward of one step is computed again in a graph of its
own, from the same weights and random numbers, with other tokens after the middle: once in a run
and only on that suspicion. Nothing that the training reads is written.
"""

from collections.abc import Sequence
from typing import Any

from nntrace.adapter.suspicion import FEWEST_TARGETS, MOST_PREDICTIONS, SmallLoss
from nntrace.recorder import Recorder
from nntrace.schema import EventKind
from nntrace_keras.graphs.forwards import Forward, Repeated
from nntrace_keras.graphs.second import UNKNOWN_TO_US, CannotComputeError, Second

_AXES = 3  # of a layer's output: examples, positions, units


class FutureWatch:
    """Waits until the loss is suspiciously small, then examines one forward."""

    def __init__(self, recorder: Recorder) -> None:
        self._recorder = recorder
        self._small = SmallLoss()

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
        if forward is None or loss is None or not self._small.is_reached(loss):
            return
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

    inside = Repeated(second, arguments)
    *inputs, target = inside.compute((), [*forward.inputs, forward.target])(())
    classes = int(forward.output.shape[-1] or 1)
    if not FEWEST_TARGETS <= target.size <= MOST_PREDICTIONS // classes:
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
