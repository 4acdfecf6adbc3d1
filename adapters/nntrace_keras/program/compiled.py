"""Where the program chose the losses that Keras calls for it: the line of `compile`, not `fit`."""

import sys
from types import FrameType

from keras.src.trainers.compile_utils import CompileLoss

from nntrace.adapter.sources import BuiltAt, Source
from nntrace.recorder import Recorder
from nntrace_keras.patching import Undo, before
from nntrace_keras.program.sources import CODE, caller

_FRAMES = 20  # from a loss function's call to that of the losses of `compile`


class CompiledLosses:
    """Remembers where each model was compiled."""

    def __init__(self, recorder: Recorder) -> None:
        self._built = BuiltAt(CODE)
        self._note = recorder.guard(self._built.note)

    def install(self) -> Undo:
        """Watch what `compile` makes of its losses."""
        return before(CompileLoss, "__init__", self._note)

    def caller(self) -> Source:
        """Who asked for the loss function that is being called.

        The innermost line of the user's; where only Keras lies between that and the losses of
        `compile`, the line of `compile`.
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
