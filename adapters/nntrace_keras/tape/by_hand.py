"""Updates that a program writes itself, such as `variable.assign_sub(rate * gradient)`.

A step begins with the first assignment to a variable whose gradient was computed and that no
optimizer took, and ends when all variables of that gradient have been assigned.
"""

import threading
from collections.abc import Callable
from typing import Any

import tensorflow as tf
from tensorflow.python.framework import ops
from tensorflow.python.ops.resource_variable_ops import ResourceVariable

from nntrace.recorder import Recorder
from nntrace_keras.patching import Undo, wrap
from nntrace_keras.program.hand_written import HandWritten
from nntrace_keras.tape.tapes import Tapes
from nntrace_keras.tape.under_tape import key


class _Open(threading.local):
    """The step that has begun on this thread; `waiting` are the keys of variables yet to assign."""

    begun: Any = None
    graph: Any = None
    waiting: frozenset[int] = frozenset()


class UpdatesByHand:
    """Watches assignments to variables.

    Args:
        begin: begins a step: takes an optimizer, gradients and variables.
        end: ends a step: takes what `begin` returned.
        is_inside: whether an optimizer is running, whose assignments do not count.
    """

    def __init__(
        self,
        recorder: Recorder,
        tapes: Tapes,
        begin: Callable[[Any, list[Any], list[Any]], Any],
        end: Callable[[Any], None],
        is_inside: Callable[[], bool],
    ) -> None:
        self._recorder = recorder
        self._tapes = tapes
        self._begin = begin
        self._end = end
        self._is_inside = is_inside
        self._optimizer = HandWritten()
        self._open = _Open()

    def install(self) -> list[Undo]:
        """Watch the three methods that assign."""
        self._will_assign = self._recorder.guard(self._assigns)
        self._has_assigned = self._recorder.guard(self._assigned)
        names = ("assign", "assign_sub", "assign_add")
        return [wrap(ResourceVariable, name, self._around) for name in names]

    def _around(self, original: Callable[..., Any]) -> Callable[..., Any]:
        def assign(variable: Any, *args: Any, **kwargs: Any) -> Any:
            is_others = self._is_inside() or self._tapes.is_unobserved
            if is_others or not (self._open.waiting or self._tapes.gradients.is_pending):
                return original(variable, *args, **kwargs)
            self._will_assign(variable)
            result = original(variable, *args, **kwargs)
            self._has_assigned(variable)
            return result

        return assign

    def _assigns(self, variable: Any) -> None:
        state = self._open
        if key(variable) in state.waiting and state.graph is _graph():
            return
        found = self._tapes.gradients.pending_for(variable)
        if found is None:
            return
        if state.begun is not None and state.graph is _graph():
            self._end(state.begun)  # the program left some of its variables unassigned
        pairs = [
            (gradient, source)
            for gradient, source in zip(found.source_gradients, found.sources, strict=True)
            if gradient is not None and hasattr(source, "assign")
        ]
        state.graph = _graph()
        state.waiting = frozenset(key(source) for _, source in pairs)
        gradients, variables = ([pair[side] for pair in pairs] for side in (0, 1))
        state.begun = self._begin(self._optimizer, gradients, variables)

    def _assigned(self, variable: Any) -> None:
        state = self._open
        if key(variable) not in state.waiting or state.graph is not _graph():
            return
        state.waiting -= {key(variable)}
        if not state.waiting:
            begun, state.begun, state.graph = state.begun, None, None
            if begun is not None:
                self._end(begun)


def _graph() -> Any:
    return None if tf.executing_eagerly() else ops.get_default_graph()
