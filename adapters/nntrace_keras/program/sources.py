"""Remembers where the user's code built a layer or an optimizer: file and line."""

import os
import sys
import threading

import keras

from nntrace.adapter.sources import UNKNOWN, BuiltAt, Source, UserCode
from nntrace.recorder import Recorder
from nntrace_keras.patching import Undo, after, before

_LIBRARIES = ("keras", "tensorflow", "torch", "jax", "jaxlib")
_HOMES = (getattr(sys.modules.get(library), "__file__", None) for library in _LIBRARIES)
_FRAMES = 60
CODE = UserCode(
    (
        *(os.path.dirname(home) for home in _HOMES if home),
        os.path.dirname(os.path.dirname(os.path.abspath(__file__))),
    ),
    _FRAMES,
)
_REWRITTEN = "__autograph_generated_file"  # in the file name of functions AutoGraph translated
is_users = CODE.is_users

__all__ = ["CODE", "UNKNOWN", "Source", "Sources", "caller", "is_users"]


def caller() -> Source:
    """The user's innermost line, in the file as written, not as AutoGraph translated it."""
    source = CODE.caller()
    if source.file is None or _REWRITTEN not in source.file:
        return source
    from tensorflow.python.util import tf_stack  # missing with other backends

    # TensorFlow's own map for tracebacks, of the functions that this thread is in.
    lines = tf_stack._source_mapper_stacks[threading.get_ident()][-1].get_effective_source_map()
    return Source(*lines.get(source, source)[:2])


class Sources(BuiltAt):
    """Where each living layer and optimizer was built."""

    def __init__(self, recorder: Recorder) -> None:
        super().__init__(CODE)
        self._observe = recorder.guard(self.note)

    def install(self) -> list[Undo]:
        """Watch constructors."""
        return [
            # Not its __init__, whose signature Keras reads.
            after(keras.layers.Layer, "__new__", self._observe),
            before(keras.optimizers.Optimizer, "__init__", self._observe),
        ]
