"""Layers that were applied to a functional model's inputs and lead to none of its outputs.

Keras leaves them out of the model without a word: the next layer was given another tensor.
"""

import weakref
from collections.abc import Callable, Iterator
from typing import Any

from keras.models import Model
from keras.src.models.functional import Functional

from nntrace.recorder import Recorder
from nntrace.schema import EventKind
from nntrace_keras.patching import Undo, after
from nntrace_keras.program.sources import UNKNOWN, Sources

_MOST = 4_096  # tensors of a graph that are followed


class LeftOutLayers:
    """Looks once at each functional model that is trained.

    Args:
        path_of: gives the recorded path of a layer.
    """

    def __init__(self, recorder: Recorder, sources: Sources, path_of: Callable[[Any], str]) -> None:
        self._recorder = recorder
        self._sources = sources
        self._path_of = path_of
        self._models: weakref.WeakSet[Any] = weakref.WeakSet()
        self._looked: weakref.WeakSet[Any] = weakref.WeakSet()

    def install(self) -> list[Undo]:
        """Note every functional model: a layer that is left out of one may be part of another."""
        guard = self._recorder.guard
        built = guard(lambda _, model, *args, **kwargs: self._models.add(model))
        return [after(Functional, "__init__", built)]

    def look(self, root: Any) -> None:
        """Record what was left out of a model that is called under a tape, or of its parts."""
        if root in self._looked:
            return
        self._looked.add(root)
        for part in root._flatten_layers():
            if isinstance(part, Functional):
                self._look_at(part)

    def _look_at(self, model: Any) -> None:
        used = {id(one) for known in self._models for one in getattr(known, "operations", ())}
        found = {id(one): one for one in applied_to(model.inputs)}
        layers = [one for key, one in found.items() if key not in used and _has_weights(one)]
        if not layers:
            return
        sources = [self._sources.of(layer) for layer in reversed(layers)]
        source = next((one for one in sources if one != UNKNOWN), UNKNOWN)
        payload = {
            "model": self._path_of(model),
            "layers": [self._path_of(layer) for layer in layers],
            **source.place,
        }
        self._recorder.add_event(EventKind.LEFT_OUT, payload, severity="warning")


def applied_to(inputs: Any) -> Iterator[Any]:
    """Yield the operations that were applied to symbolic tensors, or to what came of them."""
    waiting = list(inputs)
    seen: set[int] = set()
    while waiting and len(seen) < _MOST:
        tensor = waiting.pop(0)
        if id(tensor) in seen:
            continue
        seen.add(id(tensor))
        operation = getattr(getattr(tensor, "_keras_history", None), "operation", None)
        for node in getattr(operation, "_outbound_nodes", ()):
            if any(given is tensor for given in node.input_tensors):
                yield node.operation
                waiting += node.output_tensors


def _has_weights(operation: Any) -> bool:
    """Whether this is a layer that could learn; a model may be trained by itself."""
    return bool(getattr(operation, "trainable_weights", ())) and not isinstance(operation, Model)
