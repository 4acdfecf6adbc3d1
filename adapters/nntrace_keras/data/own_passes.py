"""Evaluations in loops of the program's own: calls of a trained model outside of any tape.

Eager calls are seen as they happen. For a TensorFlow function, the calls it makes are noted while
it is built, and counted whenever it runs. A pass ends when training goes on.
"""

import threading
import weakref
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import tensorflow as tf
from keras.src.backend.common.symbolic_scope import in_symbolic_scope
from tensorflow.python.framework import ops

from nntrace.recorder import Recorder, is_recorded, moments
from nntrace.schema import EventKind
from nntrace_keras.data.graph_inputs import GraphInputs
from nntrace_keras.data.passes import Passes, some_of
from nntrace_keras.graphs.on_graph import functions_around, list_on
from nntrace_keras.program.describe import is_batch_norm, is_dropout, is_training
from nntrace_keras.program.sources import UNKNOWN, Source, caller
from nntrace_keras.program.tensors import first_input


@dataclass(slots=True)
class Called:
    """A call of a model: the modes of its layers.

    Attributes:
        model: a weak reference.
        training: the argument of the call; None if it was not given.
        place: the position of its input among those of a graph; None if it is computed there.
    """

    model: Callable[[], Any]
    training: bool | None
    modes: dict[str, int] = field(default_factory=dict)
    place: int | None = None

    def note(self, layer: Any, kwargs: dict[str, Any]) -> None:
        """Note the mode of a layer called inside, or of the model itself."""
        kind = "dropout" if is_dropout(layer) else "norm" if is_batch_norm(layer) else ""
        if kind:
            name = f"{kind}_{'active' if is_training(layer, kwargs) else 'inactive'}"
            self.modes[name] = self.modes.get(name, 0) + 1

    def payload(self) -> dict[str, int | bool]:
        """The modes, as fields of an event."""
        kinds = ("dropout_active", "dropout_inactive", "norm_active", "norm_inactive")
        counts = {kind: self.modes.get(kind, 0) for kind in kinds}
        some = bool(counts["dropout_active"] or counts["norm_active"])
        return {"training": some if self.training is None else self.training, **counts}


@dataclass(slots=True)
class _Pass:
    """The calls of one model from one line since training paused."""

    model: str
    group: int
    number: int
    called: Called
    source: Source = UNKNOWN
    calls: int = 0
    examples: int = 0
    shape: tuple[int, ...] = ()
    sampled: list[Any] = field(default_factory=list)


class _Local(threading.local):
    called: Called | None = None


class OwnPasses:
    """Follows calls of models outside of tapes.

    Args:
        prefix_of: gives the name of a trained model in the trace; None for any other.
        groups: numbers the passes, together with those of `evaluate` and `predict`.

    Attributes:
        is_kerass: whether a pass of Keras' own is running, whose calls are not followed here.
        kerass: the sums over what enters the graphs of Keras' passes.
    """

    def __init__(
        self, recorder: Recorder, prefix_of: Callable[[Any], str | None], groups: Passes
    ) -> None:
        self._recorder = recorder
        self._prefix_of = prefix_of
        self._groups = groups
        self._open: dict[tuple[str, Source], _Pass] = {}
        self._local = _Local()
        self._begin, self._end = recorder.guard(self._begins), recorder.guard(self._ends)
        self._note = recorder.guard(Called.note)
        self.is_kerass: Callable[[], bool] = lambda: False
        self.kerass = GraphInputs()

    def call(self, original: Callable[..., Any], layer: Any, args: Any, kwargs: Any) -> Any:
        """Call a layer outside of tapes, and note the call."""
        local = self._local
        called = local.called
        if called is None:
            local.called = called = None if in_symbolic_scope() else self._begin(layer, kwargs)
            if called is None:
                return original(layer, *args, **kwargs)
            try:
                outputs = original(layer, *args, **kwargs)
                self._note(called, layer, kwargs)
            finally:
                local.called = None
            self._end(called, args, kwargs)
        else:
            outputs = original(layer, *args, **kwargs)
            self._note(called, layer, kwargs)
        return outputs

    def _begins(self, layer: Any, kwargs: dict[str, Any]) -> Called | None:
        """Return the call of an outermost layer that begins; None if it is of no interest."""
        said = kwargs.get("training")
        if tf.executing_eagerly() and (self.is_kerass() or self._prefix_of(layer) is None):
            return None
        return Called(weakref.ref(layer), said if isinstance(said, bool) else None)

    def _ends(self, called: Called, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        """Count a call that has returned, or note it on the graph that is being built."""
        entered = next((value for _, value in first_input(args, kwargs)), None)
        if tf.executing_eagerly():
            self._count(called, entered)
            return
        if self.is_kerass():
            self.kerass.called(called.model(), entered)
        graph: Any = ops.get_default_graph()
        places = {id(tensor): place for place, tensor in enumerate(graph.inputs)}
        called.place = places.get(id(entered))
        for around in functions_around():
            called_in(around).append(called)

    def has_run(self, graph: Any, inputs: Sequence[Any]) -> None:
        """Count the calls of a function that trains nothing, after it has run."""
        if self.is_kerass():
            return
        for called in called_in(graph):
            place = called.place
            is_known = place is not None and place < len(inputs)
            entered = inputs[place] if is_known and place is not None else None
            self._count(called, entered if entered is not None else _first_batch(inputs))

    def training_goes_on(self) -> None:
        """Record the passes since training paused."""
        passes, self._open = list(self._open.values()), {}
        for found in passes:
            if is_recorded(found.number):
                payload = {
                    "model": found.model,
                    "loader": None,
                    "group": found.group,
                    "number": found.number,
                    "calls": found.calls,
                    "examples": found.examples,
                    **found.called.payload(),
                    "input_shape": list(found.shape),
                    **moments("input", np.concatenate([np.empty(0), *found.sampled])),
                    "loss_function": None,
                    "reduction": None,
                    "loss": None,
                    **found.source.place,
                }
                self._recorder.add_event(EventKind.EVALUATION, payload)

    @property
    def is_open(self) -> bool:
        """Whether there are passes that are not recorded yet."""
        return bool(self._open)

    def _count(self, called: Called, entered: Any) -> None:
        model, layer = None, called.model()
        if layer is not None:
            model = self._prefix_of(layer)
        if model is None:
            return
        source = caller()
        found = self._open.get((model, source))
        if found is None:
            self._recorder.hooks.catch_up()  # the steps before it come first
            group, number = self._groups.next(model, "own", None, source)
            found = self._open[model, source] = _Pass(model, group, number, called, source)
        found.calls += 1
        shape = tuple(getattr(entered, "shape", ()))
        found.examples += int(shape[0] or 0) if shape else 0
        # Calls 1, 2, 4, 8, …: spread over the pass, whose data may be sorted.
        if shape and is_recorded(found.number) and found.calls & (found.calls - 1) == 0:
            found.shape = found.shape or shape
            found.sampled.append(some_of(np.asarray(entered)))


def called_in(graph: Any) -> list[Called]:
    """The models called outside of tapes in a graph or in those inside it."""
    return list_on(graph, "_nntrace_called")


def _first_batch(inputs: Sequence[Any]) -> Any:
    return next((i for i in inputs if i.dtype != tf.resource and i.shape.rank), None)
