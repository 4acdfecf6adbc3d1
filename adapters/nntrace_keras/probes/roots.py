"""Finds the model that a loop of the program's own trains: the one layer called in no other."""

import weakref
from collections.abc import Callable
from typing import Any

import keras

from nntrace_keras.patching import Undo, wrap


class Roots:
    """Notes the layers that are called outside of any other layer."""

    def __init__(self) -> None:
        self._depth = 0
        self._found: weakref.WeakValueDictionary[int, Any] = weakref.WeakValueDictionary()

    def install(self) -> list[Undo]:
        """Watch the calls of layers."""
        return [wrap(keras.layers.Layer, "__call__", self._calling)]

    @property
    def only(self) -> Any:
        """The only such layer with trainable weights; None if there are several, or none."""
        found = [layer for layer in self._found.values() if layer.trainable_variables]
        return found[0] if len(found) == 1 else None

    def _calling(self, original: Callable[..., Any]) -> Callable[..., Any]:
        def __call__(layer: Any, *args: Any, **kwargs: Any) -> Any:
            if not self._depth and not _is_symbolic((args, kwargs)):
                self._found[id(layer)] = layer
            self._depth += 1
            try:
                return original(layer, *args, **kwargs)
            finally:
                self._depth -= 1

        return __call__


def _is_symbolic(arguments: Any) -> bool:
    """Whether a functional model is being built rather than called."""
    return any(isinstance(leaf, keras.KerasTensor) for leaf in keras.tree.flatten(arguments))
