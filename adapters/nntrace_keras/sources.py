"""Remembers where the user's code built a layer or an optimizer: file and line.

The first frame outside Keras, TensorFlow and the object's own constructors counts.
"""

import os
import sys
import weakref
from types import FrameType
from typing import Any, NamedTuple

import keras

import nntrace.recorder
from nntrace.recorder import Recorder
from nntrace_keras.patching import Undo, after, before

_LIBRARIES = ("keras", "tensorflow", "torch", "jax", "jaxlib")
_NOT_THE_USERS = (
    *(
        os.path.join(os.path.dirname(os.path.dirname(keras.__file__)), library) + os.sep
        for library in _LIBRARIES
    ),
    os.path.dirname(os.path.abspath(__file__)) + os.sep,
    os.path.dirname(os.path.abspath(nntrace.recorder.__file__)) + os.sep,  # its guard calls us
    "<",
)
_MAX_FRAMES = 60


class Source(NamedTuple):
    """A line of the user's code."""

    file: str | None
    line: int | None


UNKNOWN = Source(None, None)


def is_users(file: str) -> bool:
    """Whether a file is the program's: neither a framework's nor ours."""
    return not file.startswith(_NOT_THE_USERS)


def caller(built: object | None = None) -> Source:
    """The innermost line outside the libraries (and outside the constructors of `built`)."""
    frame: FrameType | None = sys._getframe(1)
    for _ in range(_MAX_FRAMES):
        if frame is None:
            break
        code = frame.f_code
        if is_users(code.co_filename):
            constructs = (
                built is not None
                and code.co_name == "__init__"
                and code.co_argcount > 0
                and frame.f_locals.get(code.co_varnames[0]) is built
            )
            if not constructs:
                return Source(code.co_filename, frame.f_lineno)
        frame = frame.f_back
    return UNKNOWN


class Sources:
    """Where each living layer and optimizer was built."""

    def __init__(self, recorder: Recorder) -> None:
        self._observe = recorder.guard(self._built)
        self._by_id: dict[int, tuple[weakref.ref[Any], Source]] = {}

    def install(self) -> list[Undo]:
        """Watch constructors."""
        return [
            # Not its __init__, whose signature Keras reads.
            after(keras.layers.Layer, "__new__", self._observe),
            before(keras.optimizers.Optimizer, "__init__", self._observe),
        ]

    def of(self, built: object) -> Source:
        """Where it was built; unknown for something built before nntrace came."""
        reference, source = self._by_id.get(id(built), (None, UNKNOWN))
        return source if reference is not None and reference() is built else UNKNOWN

    def _built(self, built: object, *args: Any, **kwargs: Any) -> None:
        key = id(built)
        if key in self._by_id and self._by_id[key][0]() is built:
            return  # a base class's constructor
        try:
            reference = weakref.ref(built, lambda _: self._by_id.pop(key, None))
        except TypeError:
            return
        self._by_id[key] = (reference, caller(built))
