"""The gradients computed by a `GradientTape`, together with those of the layers' outputs.

Watches the tape's `gradient`. Its results are kept with the graph (or the thread) until an
optimizer takes them; a graph also keeps all that was ever computed in it.
"""

import threading
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import tensorflow as tf
from tensorflow.python.framework import ops
from tensorflow.python.util import nest

from nntrace_keras.graphs.on_graph import functions_around, graphs_around, list_on
from nntrace_keras.nonfinite.derivatives import Derivative, Derivatives, first_broken
from nntrace_keras.patching import Guard, Undo, wrap
from nntrace_keras.program.sources import caller
from nntrace_keras.tape.broadcasts import broadcast
from nntrace_keras.tape.under_tape import Calls, Gradient, LayerCall, key

_MAX_PENDING = 16  # gradients that no optimizer has taken


class _Local(threading.local):
    def __init__(self) -> None:
        self.pending: list[Gradient] = []


class TapeGradients:
    """The gradients that the tapes of all threads compute.

    Args:
        guard: keeps errors away from the training.
        calls_of: gives the calls under a tape; None for one that is not watched.
        collects: whether current calls are collected.
        sampling: whether an eager step is being sampled.
        differentiated: receives gradients that were computed eagerly.
    """

    def __init__(
        self,
        guard: Guard,
        calls_of: Callable[[Any], Calls | None],
        collects: Callable[[], bool],
        sampling: Callable[[], bool],
        differentiated: Callable[[Sequence[Gradient]], object],
    ) -> None:
        self._calls_of = calls_of
        self._collects = collects
        self._sampling = sampling
        self._differentiated = differentiated
        self._local = _Local()
        self._derivatives = Derivatives()
        self._extra = guard(self._extra_sources)
        self._found = guard(self._gradient_found)

    def install(self) -> list[Undo]:
        """Watch `GradientTape.gradient`."""
        return [wrap(tf.GradientTape, "gradient", self._around_gradient)]

    def take(self, variables: list[Any]) -> list[Gradient]:
        """Remove and return the pending gradients of any of these variables, oldest first."""
        wanted = {key(variable) for variable in variables}
        taken: list[Gradient] = []
        for holder in self._holders():
            mine = [g for g in holder if wanted & {key(source) for source in g.sources}]
            taken += mine
            holder[:] = [g for g in holder if g not in mine]
        for unused in map(gradients_in, functions_around()):
            unused[:] = [g for g in unused if g not in taken]
        return taken

    def hand_out(self, gradients: Sequence[Gradient]) -> None:
        """Let gradients that a function has computed wait for an optimizer outside of it."""
        self._local.pending += gradients
        del self._local.pending[:-_MAX_PENDING]

    @property
    def is_pending(self) -> bool:
        """Whether gradients wait for an optimizer, in this graph or one around it."""
        return any(self._holders())

    @property
    def pending(self) -> list[Gradient]:
        """The gradients that wait for an optimizer, oldest first."""
        return [gradient for holder in self._holders() for gradient in holder]

    def pending_for(self, variable: Any) -> Gradient | None:
        """The last pending gradient of a variable; it stays pending."""
        wanted = key(variable)
        return next(
            (g for g in reversed(self.pending) if wanted in {key(s) for s in g.sources}), None
        )

    def _holders(self) -> list[list[Gradient]]:
        """The pending gradients of this graph and of those around it, or of this thread."""
        if tf.executing_eagerly():
            return [self._local.pending]
        return [_pending_of(graph) for graph in graphs_around()][::-1]

    def _around_gradient(self, original: Callable[..., Any]) -> Callable[..., Any]:
        def gradient(tape: Any, target: Any, sources: Any, *args: Any, **kwargs: Any) -> Any:
            extra = self._extra(tape, target) or []
            wanted = [sources, [call.output for call in extra]] if extra else sources
            with self._watched(tape) as derivatives:
                found = original(tape, target, wanted, *args, **kwargs)
            found, more = found if extra else (found, [])
            self._found(tape, target, sources, found, extra, more, derivatives)
            return found

        return gradient

    def _watched(self, tape: Any) -> AbstractContextManager[list[Derivative]]:
        """A context that collects the derivatives computed inside if an eager step is sampled."""
        if tf.executing_eagerly() and self._calls_of(tape) is not None and self._sampling():
            return self._derivatives.kept()
        return nullcontext([])

    def _extra_sources(self, tape: Any, target: Any) -> list[LayerCall]:
        """The first output of each layer called under this tape, if it is in the target's graph."""
        calls = self._calls_of(tape)
        if calls is None or not calls.layers or not self._collects():
            return []
        home = None if tf.executing_eagerly() else ops.get_default_graph()
        seen: set[int] = set()
        found = []
        for call in calls.layers:
            if id(call.layer) in seen:
                continue
            if getattr(call.output, "graph", None) is home if home is not None else True:
                seen.add(id(call.layer))
                found.append(call)
        return found

    def _gradient_found(
        self,
        tape: Any,
        target: Any,
        sources: Any,
        gradients: Any,
        extra: list[LayerCall],
        more: list[Any],
        derivatives: list[Derivative],
    ) -> None:
        calls = self._calls_of(tape)
        if calls is None:
            return
        calls.is_differentiated = True
        targets = [t for t in nest.flatten(target) if tf.is_tensor(t)]
        is_scaled = any(hasattr(t, "_nntrace_unscaled") for t in targets)  # overflows are expected
        found = Gradient(
            [getattr(t, "_nntrace_unscaled", t) for t in targets],
            nest.flatten(sources),
            nest.flatten(gradients),
            calls,
            list(zip(extra, more, strict=True)),
            None if is_scaled else first_broken(derivatives, nest.flatten(gradients)),
            broadcast(derivatives),
        )
        if tf.executing_eagerly():
            holders = [self._local.pending]
            self._differentiated([found])
        else:
            found.source = caller()
            holders = [_pending_of(ops.get_default_graph()), *map(gradients_in, functions_around())]
        for holder in holders:
            holder.append(found)
            del holder[:-_MAX_PENDING]


def gradients_in(graph: Any) -> list[Gradient]:
    """The gradients computed in a function's graph and those inside it that no optimizer took."""
    return list_on(graph, "_nntrace_gradients")


def _pending_of(graph: Any) -> list[Gradient]:
    """The gradients of a graph that no optimizer has taken."""
    return list_on(graph, "_nntrace_pending")
