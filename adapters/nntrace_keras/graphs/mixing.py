"""Asks a model whose loss stays where it began, once in a run, whether it mixes the examples.

The forward of one step is computed again with other examples beside one of them. Where that one's
output changes, the search goes on to the operation behind which the examples no longer lie apart.
"""

from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

import keras
import numpy as np
import numpy.typing as npt

from nntrace.recorder import Recorder
from nntrace.schema import EventKind
from nntrace_keras.graphs.forwards import Forward, Repeated
from nntrace_keras.graphs.second import UNKNOWN_TO_US, CannotComputeError, Second
from nntrace_keras.nonfinite.origins import line_of, span_of
from nntrace_keras.program.sources import Sources
from nntrace_keras.tape.under_tape import Span

Array = npt.NDArray[Any]
_STUCK = 0.9  # of the loss at an earlier sample, twice to four times as near to the start
_HIGH = 0.5  # of the first loss
_SAMPLES = 30  # sampled steps after which a loss that stays there is a suspicion
_MEMORY = 0.9  # the weight of the old value in the running mean of the loss, per sample
_TRIES = 4  # samples in a row that are waited for another batch of the same shape
_FEWEST = 3  # examples
_MANY = 1 << 24  # elements of inputs and of a layer's output that are computed again
_NEAR = 4  # other examples that are tried one by one, to name them
_BY_DESIGN = "keras.src.layers.preprocessing"  # such as `MixUp`


class _Mixed(NamedTuple):
    """The operation that mixes, and what it makes of which shape."""

    operation: Any
    given: tuple[int, ...]
    made: tuple[int, ...]


class MixingWatch:
    """Waits until a loss has stayed where it was early on, then examines one forward."""

    def __init__(self, recorder: Recorder, sources: Sources) -> None:
        self._recorder = recorder
        self._sources = sources
        self._samples = 0
        self._means: dict[int, float] = {}  # running means of the loss at powers of two of samples
        self._mean = 0.0
        self._earlier: list[Array] | None = None  # inputs of the first suspicious step
        self._tries = 0
        self._is_done = False

    def look(
        self,
        forward: Forward | None,
        second: Second,
        spans: Sequence[Span],
        arguments: Sequence[Any] | None,
        loss: float | None,
    ) -> None:
        """Examine a suspicious step, from what is held of it, after its second computation.

        Args:
            forward: the model call of the step, if it is known.
            second: the step's second computation.
            spans: the calls of layers in the step's graph.
            arguments: all inputs of the step's graph if the host called that graph itself, else
                None.
            loss: of the step.
        """
        if self._is_done or forward is None or loss is None:
            return
        self._samples += 1
        memory = min(_MEMORY, 1 - 1 / self._samples)
        self._mean = memory * self._mean + (1 - memory) * loss
        if self._samples.bit_count() == 1:
            self._means[self._samples] = self._mean
        if self._tries or (self._samples > _SAMPLES and self._is_stuck()):
            self._tries += 1
            self._ask(forward, Repeated(second, arguments), spans)

    def _is_stuck(self) -> bool:
        earlier = self._means[1 << (self._samples.bit_length() - 2)]
        return self._mean > max(_STUCK * earlier, _HIGH * self._means[1], 0)

    def _ask(self, forward: Forward, repeated: Repeated, spans: Sequence[Span]) -> None:
        with self._recorder.setting_up():
            try:
                payload = self._asked(forward, repeated, spans)
            except (*UNKNOWN_TO_US, CannotComputeError):
                self._is_done = True
                return
        if payload is not None:
            self._recorder.add_event(EventKind.AXES, payload, severity="warning")

    def _asked(
        self, forward: Forward, repeated: Repeated, spans: Sequence[Span]
    ) -> dict[str, Any] | None:
        """The payload of the event if the model mixes examples; None if not, or not yet known."""
        *inputs, target = repeated.compute((), [*forward.inputs, forward.target])(())
        earlier, self._earlier = self._earlier, inputs
        if earlier is None or [part.shape for part in earlier] != [part.shape for part in inputs]:
            self._is_done = self._tries == _TRIES
            return None  # the next sample may be of another batch
        self._is_done, self._earlier = True, None
        if all(np.array_equal(a, b) for a, b in zip(earlier, inputs, strict=True)):
            return None  # a full batch: perhaps one graph, whose nodes belong together
        if not _has_examples(inputs, target):
            return None
        layers = [span.layer for span in spans]
        has_norm = any(isinstance(one, keras.layers.BatchNormalization) for one in layers)
        found = _first_mixed(
            forward, repeated, inputs, orders_of(len(target), replace=not has_norm)
        )
        if found is None:
            return None
        mixed, which = found
        span = span_of(mixed.operation, spans)
        if span is not None and _is_by_design(span.layer):
            return None
        line = line_of(mixed.operation, span, self._sources)
        near = ", ".join(map(str, which)) or "with several together"
        return {
            "what": "examples",
            "text": f"the output of example {len(target) // 2} changes with other examples: {near}",
            "layer": "",
            "op": mixed.operation.type,
            "module": span.path if span is not None else "",
            "shape": list(mixed.given),
            "result": list(mixed.made),
            "file": line.get("file"),
            "line": line.get("line"),
        }


def _has_examples(inputs: Sequence[Array], target: Array) -> bool:
    """Whether the first axis of all inputs is that of the examples, and sure to be."""
    if not target.ndim or target.shape[0] < _FEWEST or sum(part.size for part in inputs) > _MANY:
        return False
    count = target.shape[0]
    if any(part.ndim == 0 or part.shape[0] != count for part in inputs):
        return False
    return all(part.ndim == 1 or part.shape[1] != count for part in inputs)  # of a graph's nodes


def _is_by_design(layer: Any) -> bool:
    """Whether a layer may mix in training alone, by statistics that it keeps for the evaluation."""
    keeps = bool(layer.non_trainable_weights)
    return keeps or type(layer).__module__.startswith(_BY_DESIGN)


def orders_of(examples: int, *, replace: bool, moved: Iterable[int] | None = None) -> list[Array]:
    """Orders of a batch in which the `moved` examples, by default all but the middle one, change.

    They change places, which leaves what a batch norm computes; or one `replace`s the others.
    """
    kept = examples // 2
    others = [one for one in range(examples) if one != kept]
    following = dict(zip(others, [*others[1:], others[0]], strict=True))
    moved = others if moved is None else list(moved)
    stand_ins = (None, others[0], others[-1]) if replace else (None,)
    orders = []
    for stand_in in stand_ins:
        order = np.arange(examples)
        for one in moved:
            order[one] = following[one] if stand_in is None else stand_in
        orders.append(order)
    return orders


def _first_mixed(
    forward: Forward, repeated: Repeated, inputs: Sequence[Array], orders: Sequence[Array]
) -> tuple[_Mixed, list[int]] | None:
    """The operation from which on examples are mixed, and others that change the middle one."""
    examples = len(inputs[0])
    outputs = repeated.compute(forward.inputs, [forward.output])

    def of(compute: Callable[[Sequence[Array]], list[Array]], order: Array) -> list[Array]:
        return compute([part[order] for part in inputs])

    before = outputs(inputs)
    if before[0].shape[:1] != (examples,) or before[0].shape[:2] == (examples, examples):
        return None
    if _moves(before[0], outputs(inputs)[0], examples):
        return None  # it differs by itself from call to call
    if before[0].size > _MANY:
        return None
    order = next((o for o in orders if _moves(before[0], of(outputs, o)[0], examples)), None)
    if order is None:
        return None
    operations = repeated.operations(forward.inputs, [forward.output])
    tensors = [
        tensor
        for operation in operations
        for tensor in operation.outputs
        if tensor.dtype.is_floating or tensor.dtype.is_integer
    ]
    compute = repeated.compute(forward.inputs, tensors)
    one, other = compute(inputs), of(compute, order)
    is_clean: dict[str, bool | None] = {t.name: True for t in forward.inputs}
    shapes = {
        t.name: value.shape
        for t, value in zip((*forward.inputs, *tensors), (*inputs, *one), strict=True)
    }
    for tensor, a, b in zip(tensors, one, other, strict=True):
        is_clean[tensor.name] = _is_clean(a, b, examples)
    first = next((o for o in operations if _is_mixed(o, is_clean)), None)
    if first is None:
        return None
    culprit = min(_between(first, is_clean), key=lambda operation: operation._id)
    given = next((shapes[t.name] for t in culprit.inputs if t.name in shapes), ())
    mixed = _Mixed(culprit, given, shapes.get(culprit.outputs[0].name, ()))
    kept = examples // 2
    near = sorted((n for n in range(examples) if n != kept), key=lambda n: abs(n - kept))[:_NEAR]
    alone = {n: orders_of(examples, replace=True, moved=[n])[0] for n in near}
    which = [n for n in near if _moves(before[0], of(outputs, alone[n])[0], examples)]
    return mixed, sorted(which)


def _is_clean(before: Array, after: Array, examples: int) -> bool | None:
    """Whether the part of the middle example is as before; None if there may be no such part.

    Several rows of an example may follow one another, as a layer for each row takes them.
    """
    if before.shape != after.shape or before.ndim == 0 or before.shape[0] % examples:
        return None
    rows = (examples, -1)
    is_same = not _moves(before.reshape(rows), after.reshape(rows), examples)
    return is_same if len(before) == examples else is_same or None


def _is_mixed(operation: Any, is_clean: dict[str, bool | None]) -> bool:
    return any(is_clean.get(tensor.name) is False for tensor in operation.outputs)


def _between(first: Any, is_clean: dict[str, bool | None]) -> list[Any]:
    """An operation, and those before it whose results have no part for each example."""
    found, waiting = {first.name: first}, [first]
    while waiting:
        for tensor in waiting.pop().inputs:
            if is_clean.get(tensor.name, True) is None and tensor.op.name not in found:
                found[tensor.op.name] = tensor.op
                waiting.append(tensor.op)
    return [o for o in found.values() if _takes_examples(o, is_clean)] or [first]


def _takes_examples(operation: Any, is_clean: dict[str, bool | None]) -> bool:
    return any(is_clean.get(tensor.name) is True for tensor in operation.inputs)


def _moves(before: Array, after: Array, examples: int) -> bool:
    """Whether the part of the middle example has changed."""
    # Imported only when it is needed, once in a run.
    from nntrace_keras.probes.answers import changed

    kept = examples // 2
    return before.shape != after.shape or bool(changed(before[kept], after[kept]).any())
