"""Finds the lines of the program that call an eager operation.

TensorFlow keeps no traceback of an eager operation, so the program has to pass once more: in a
repeated call of its layers, or in its next forward pass.
"""

import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from types import CodeType, FrameType
from typing import Any, NamedTuple

import keras
import tensorflow as tf
from tensorflow.python.framework import op_callbacks

from nntrace_keras.nonfinite.derivatives import Broken, Derivative, look_of
from nntrace_keras.patching import Guard, Undo, before

_FRAMES = 100


class Frame(NamedTuple):
    """One of the callers of an operation; `layer` is set if it is a layer's method."""

    file: str
    line: int
    function: str
    layer: Any


Frames = tuple[Frame, ...]  # the innermost first


def frames(until: CodeType | None = None) -> Frames:
    """The callers of the operation for which an op callback runs; to be called by the callback."""
    found: list[Frame] = []
    frame: FrameType | None = sys._getframe(2)
    while frame is not None and len(found) < _FRAMES:
        owner = frame.f_locals.get("self")
        layer = owner if isinstance(owner, keras.layers.Layer) else None
        code = frame.f_code
        found.append(Frame(code.co_filename, frame.f_lineno, code.co_name, layer))
        if code is until:
            break
        frame = frame.f_back
    return tuple(found)


@contextmanager
def watched(note: Callable[[str, Any, Any], object]) -> Iterator[None]:
    """Call `note` with name, inputs and outputs of every operation that runs eagerly inside."""

    def callback(
        name: Any, inputs: Any, attrs: Any, outputs: Any, op_name: Any = None, graph: Any = None
    ) -> None:
        if graph is None:
            note(name.decode() if isinstance(name, bytes) else str(name), inputs, outputs)

    op_callbacks.add_op_callback(callback)
    try:
        yield
    finally:
        op_callbacks.remove_op_callback(callback)


def repeated(repeat: Callable[[], Any], wanted: Derivative) -> Frames | None:
    """The callers of a derivative's operation in a repeated call; None if it is not there."""
    found: list[Frames] = []

    def note(name: str, inputs: Any, outputs: Any) -> None:
        if look_of(name, outputs) == wanted.looks_like and _are_equal(outputs, wanted.outputs):
            found.append(frames(repeated.__code__))

    with watched(note):
        repeat()
    return found[0] if found else None


class NextForward:
    """Waits for the forward pass under the next tape, to see what calls an operation in it.

    Args:
        tell: called once with the callers; with None if they are unknown, as no forward pass
            followed or it was a different one.
        guard: keeps errors away from the training.
    """

    def __init__(
        self, wanted: Broken, tell: Callable[[Frames | None], object], guard: Guard
    ) -> None:
        self._wanted = wanted
        self._tell = tell
        self._found: list[Frames] = []
        self._tape: Any = None
        self._pushed = guard(self._begins)
        self._popped = guard(self._ends)
        self._watching = ExitStack()
        self._undo: list[Undo] = [
            before(tf.GradientTape, "_push_tape", self._pushed),
            before(tf.GradientTape, "_pop_tape", self._popped),
        ]

    def end(self) -> None:
        """Stop waiting and call `tell`."""
        self._watching.close()
        for undo in reversed(self._undo):
            undo()
        if self._undo:
            self._undo = []
            is_same = len(self._found) == self._wanted.alike
            self._tell(self._found[self._wanted.place] if is_same else None)

    def _begins(self, tape: Any) -> None:
        if self._tape is None and tf.executing_eagerly():
            self._tape = tape
            self._watching.enter_context(watched(self._note))

    def _ends(self, tape: Any) -> None:
        if self._tape is tape:
            self.end()

    def _note(self, name: str, inputs: Any, outputs: Any) -> None:
        if look_of(name, outputs) == self._wanted.derivative.looks_like:
            self._found.append(frames())


def _are_equal(one: Any, other: Any) -> bool:
    return all(bool(tf.reduce_all(tf.equal(a, b))) for a, b in zip(one, other, strict=True))
