"""Finds where the program chose the losses that Keras calls: the line of `compile`, not `fit`."""

import sys
from types import FrameType

from keras.src.trainers.compile_utils import CompileLoss

from nntrace.adapter.sources import BuiltAt, Source
from nntrace.recorder import Recorder
from nntrace_keras.patching import Undo, before
from nntrace_keras.program.sources import CODE, caller

_FRAMES = 20  # looked at between a loss function's call and that of `CompileLoss.call`


class CompiledLosses:
    """Remembers where each model was compiled."""

    def __init__(self, recorder: Recorder) -> None:
        self._built = BuiltAt(CODE)
        self._note = recorder.guard(self._built.note)

    def install(self) -> Undo:
        """Watch the construction of the losses of `compile`."""
        return before(CompileLoss, "__init__", self._note)

    def caller(self) -> Source:
        """The line of the program that asked for the loss function now being called.

        It is the user's innermost line; if only Keras lies between the loss function and the losses
        of `compile`, the line of `compile`.
        """
        frame: FrameType | None = sys._getframe(1)
        for _ in range(_FRAMES):
            if frame is None or CODE.is_users(frame.f_code.co_filename):
                break
            if frame.f_code is CompileLoss.call.__code__:
                built = self._built.of(frame.f_locals["self"])
                return caller() if built.file is None else built
            frame = frame.f_back
        return caller()
