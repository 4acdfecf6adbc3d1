"""Remembers where the user's code built a layer or an optimizer: file and line."""

import os

import keras

from nntrace.adapter.sources import UNKNOWN, BuiltAt, Source, UserCode
from nntrace.recorder import Recorder
from nntrace_keras.patching import Undo, after, before

_PACKAGES = os.path.dirname(os.path.dirname(keras.__file__))
_LIBRARIES = ("keras", "tensorflow", "torch", "jax", "jaxlib")
_FRAMES = 60
_CODE = UserCode(
    (
        *(os.path.join(_PACKAGES, library) for library in _LIBRARIES),
        os.path.dirname(os.path.abspath(__file__)),
    ),
    _FRAMES,
)
is_users = _CODE.is_users
caller = _CODE.caller

__all__ = ["UNKNOWN", "Source", "Sources", "caller", "is_users"]


class Sources(BuiltAt):
    """Where each living layer and optimizer was built."""

    def __init__(self, recorder: Recorder) -> None:
        super().__init__(_CODE)
        self._observe = recorder.guard(self.note)

    def install(self) -> list[Undo]:
        """Watch constructors."""
        return [
            # Not its __init__, whose signature Keras reads.
            after(keras.layers.Layer, "__new__", self._observe),
            before(keras.optimizers.Optimizer, "__init__", self._observe),
        ]
