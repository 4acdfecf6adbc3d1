"""What is called under a `GradientTape`: layers, and the gradients asked of it.

Watches `Layer.__call__` and the tape itself. Calls are kept with the tapes that
recorded them, gradients with the graph (or the thread) until an optimizer takes them.
"""

import threading
import weakref
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import partial
from typing import Any

import keras
import tensorflow as tf
from keras.src.backend.common.symbolic_scope import in_symbolic_scope
from tensorflow.python.framework import ops
from tensorflow.python.util import nest

from nntrace_keras.births.derivatives import Derivative, Derivatives, first_broken
from nntrace_keras.data.own_passes import OwnPasses
from nntrace_keras.graphs.dataflow import place
from nntrace_keras.graphs.on_graph import graphs_around, list_on
from nntrace_keras.patching import Undo, wrap
from nntrace_keras.program.describe import is_batch_norm, is_dropout, is_training
from nntrace_keras.program.tensors import first_input, first_tensor, named_tensors
from nntrace_keras.samples.attention import AttentionCalls
from nntrace_keras.samples.running_norms import NormStatistics
from nntrace_keras.tape.loss_calls import LossCalls
from nntrace_keras.tape.under_tape import (
    Calls,
    Gradient,
    LayerCall,
    Mode,
    NormCall,
    RootCall,
    Span,
    Statistics,
    key,
)

_MAX_PENDING = 16  # gradients that no optimizer takes


class _Local(threading.local):
    def __init__(self) -> None:
        self.active: list[Calls] = []
        self.stack: list[Any] = []
        self.last_output: Any = None
        self.norms: set[int] = set()
        self.pending: list[Gradient] = []
        self.unobserved = False


class Tapes:
    """The tapes of all threads.

    Args:
        guard: keeps errors away from the training.
        path_of: the recorded path of a layer, given the one that encloses it.
        sampling: whether an eager step is being sampled; graphs always collect.
        differentiated: told of gradients that were computed eagerly.
        own_passes: told of what is called outside of tapes.
    """

    def __init__(
        self,
        guard: Callable[[Callable[..., Any]], Callable[..., Any]],
        path_of: Callable[[Any, Any], str],
        sampling: Callable[[], bool],
        differentiated: Callable[[Sequence[Gradient]], object],
        own_passes: OwnPasses,
    ) -> None:
        self.path_of = path_of
        self._differentiated = differentiated
        self._sampling = sampling
        self._local = _Local()
        self._derivatives = Derivatives()
        self._calls: weakref.WeakKeyDictionary[Any, Calls] = weakref.WeakKeyDictionary()
        self._norms = NormStatistics()
        self._look_at_norm = guard(self._norm_begins)
        self._observe_layer = guard(self._layer_called)
        self._attention = AttentionCalls(
            guard, lambda: self._local.active, self.collects, lambda: self._local.stack, path_of
        )
        self._own_passes = own_passes
        self._losses = LossCalls(guard, lambda: self._local.active, self.collects)
        self._pushed = guard(self._push)
        self._popped = guard(self._pop)
        self._extra = guard(self._extra_sources)
        self._found = guard(self._gradient_found)

    def install(self) -> list[Undo]:
        """Watch layers, losses and tapes."""
        return [
            wrap(keras.layers.Layer, "__call__", self._around_layer),
            *self._losses.install(),
            *self._attention.install(),
            wrap(tf.GradientTape, "_push_tape", self._around_push),
            wrap(tf.GradientTape, "_pop_tape", self._around_pop),
            wrap(tf.GradientTape, "gradient", self._around_gradient),
        ]

    @contextmanager
    def unobserved(self) -> Iterator[None]:
        """On this thread no tape that is opened inside is watched."""
        before, self._local.unobserved = self._local.unobserved, True
        try:
            yield
        finally:
            self._local.unobserved = before

    @contextmanager
    def aside(self) -> Iterator[None]:
        """On this thread nothing that is called inside is seen, under whatever tape."""
        local = self._local
        before, local.active = local.active, []
        try:
            with self.unobserved():
                yield
        finally:
            local.active = before

    @property
    def is_unobserved(self) -> bool:
        """Whether this thread is inside `unobserved`."""
        return self._local.unobserved

    def take(self, variables: list[Any]) -> list[Gradient]:
        """The gradients that were asked for these variables since the last time, oldest first."""
        wanted = {key(variable) for variable in variables}
        taken: list[Gradient] = []
        for holder in self._holders():
            mine = [g for g in holder if wanted & {key(source) for source in g.sources}]
            taken += mine
            holder[:] = [g for g in holder if g not in mine]
        return taken

    @property
    def is_pending(self) -> bool:
        """Whether gradients wait for an optimizer, here or in a graph around."""
        return any(self._holders())

    @property
    def pending(self) -> list[Gradient]:
        """Those that wait, oldest first."""
        return [gradient for holder in self._holders() for gradient in holder]

    def pending_for(self, variable: Any) -> Gradient | None:
        """The last gradient that was asked for a variable and not taken; it stays where it is."""
        wanted = key(variable)
        return next(
            (g for g in reversed(self.pending) if wanted in {key(s) for s in g.sources}), None
        )

    def _holders(self) -> list[list[Gradient]]:
        """The pending gradients of this graph and of those around it, or of this thread."""
        if tf.executing_eagerly():
            return [self._local.pending]
        return [_pending_of(graph) for graph in graphs_around()][::-1]

    # Layers.

    def _around_layer(self, original: Callable[..., Any]) -> Callable[..., Any]:
        local = self._local

        def __call__(layer: Any, *args: Any, **kwargs: Any) -> Any:  # noqa: N807
            if not local.active and not local.unobserved:
                return self._own_passes.call(original, layer, args, kwargs)
            if not local.active or in_symbolic_scope():  # to learn shapes Keras calls it in vain
                return original(layer, *args, **kwargs)
            graph, start = place()
            statistics = self._look_at_norm(layer) if is_batch_norm(layer) else None
            local.stack.append(layer)
            try:
                outputs = original(layer, *args, **kwargs)
            finally:
                local.stack.pop()
            self._observe_layer(layer, args, kwargs, outputs, graph, start, statistics)
            return outputs

        return __call__

    def _layer_called(
        self,
        layer: Any,
        args: Any,
        kwargs: Any,
        outputs: Any,
        graph: Any,
        start: int,
        statistics: Statistics | None,
    ) -> None:
        local = self._local
        collect = self.collects()
        tensor = first_tensor(outputs)
        enclosing = local.stack[-1] if local.stack else None
        if graph is not None:
            self._note_span(layer, enclosing, graph, start)
        # The layers of a recurrent one are called for each place; in graphs a loop hides them.
        repeats = any(isinstance(outer, keras.layers.RNN) for outer in local.stack)
        if collect and tensor is not None and tensor is not local.last_output and not repeats:
            local.last_output = tensor
            if tensor.dtype.is_floating and tensor.shape.rank:
                path = self.path_of(layer, enclosing)
                parent = self.path_of(enclosing, None) if enclosing is not None else ""
                call = LayerCall(layer, path, parent, tensor)
                for calls in local.active:
                    calls.layers.append(call)
        if collect and (is_dropout(layer) or is_batch_norm(layer)):
            mode = Mode(is_dropout(layer), is_training(layer, kwargs))
            for calls in local.active:
                calls.modes[id(layer)] = mode
            if mode.active and not mode.is_dropout:
                self._note_norm(layer, enclosing)
                entered = first_input(args, kwargs)
                if entered and statistics is not None:
                    path = self.path_of(layer, enclosing)
                    for calls in local.active:
                        calls.norms.append(NormCall(layer, path, entered[0][1], statistics))
        if not local.stack:
            local.norms.clear()
            inputs = named_tensors(args, kwargs) if collect else first_input(args, kwargs)
            root = RootCall(layer, inputs, tensor if collect else None, kwargs.get("training"))
            for calls in local.active:
                calls.roots.append(root)
                if graph is None:
                    calls.repeats.append(("forward", partial(layer, *args, **kwargs)))

    def _note_span(self, layer: Any, enclosing: Any, graph: Any, start: int) -> None:
        """A layer's call has returned while a graph is built: keep it unless it called others."""
        end_graph, end = place()
        if end_graph is not graph or end == start:
            return
        path = self.path_of(layer, enclosing)
        for calls in self._local.active:
            mine = [span for span in calls.spans[-1:] if span.graph is graph]
            if not mine or mine[0].start < start:
                calls.spans.append(Span(graph, layer, path, start, end))

    def _norm_begins(self, layer: Any) -> Statistics | None:
        """A batch norm is about to be called."""
        return self._norms.of(layer) if self.collects() else None

    def _note_norm(self, layer: Any, enclosing: Any) -> None:
        """A batch norm was called in training mode."""
        if id(layer) in self._local.norms:
            for calls in self._local.active:
                calls.reused[self.path_of(layer, enclosing)] = type(layer).__name__
        self._local.norms.add(id(layer))

    def collects(self) -> bool:
        """Whether what is called now is wanted: in graphs always, eagerly where it is sampled."""
        return not tf.executing_eagerly() or self._sampling()

    # Tapes.

    def _around_push(self, original: Callable[..., Any]) -> Callable[..., Any]:
        def _push_tape(tape: Any) -> Any:
            result = original(tape)
            self._pushed(tape)
            return result

        return _push_tape

    def _push(self, tape: Any) -> None:
        if self._local.unobserved:
            return
        calls = self._calls.get(tape)
        if calls is None:
            calls = self._calls[tape] = Calls()
        self._local.active.append(calls)

    def _around_pop(self, original: Callable[..., Any]) -> Callable[..., Any]:
        def _pop_tape(tape: Any) -> Any:
            self._popped(tape)
            return original(tape)

        return _pop_tape

    def _pop(self, tape: Any) -> None:
        calls = self._calls.get(tape)
        active = self._local.active
        active[:] = [other for other in active if other is not calls]
        if not active:
            self._local.stack.clear()
            self._local.last_output = None

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
        """Keeps the derivatives computed inside, where an eager step is sampled."""
        if tf.executing_eagerly() and self._calls.get(tape) is not None and self._sampling():
            return self._derivatives.kept()
        return nullcontext([])

    def _extra_sources(self, tape: Any, target: Any) -> list[LayerCall]:
        """The first output of every layer under this tape that lives where its target does."""
        calls = self._calls.get(tape)
        if calls is None or not calls.layers or not self.collects():
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
        calls = self._calls.get(tape)
        if calls is None:
            return
        targets = [t for t in nest.flatten(target) if tf.is_tensor(t)]
        is_scaled = any(hasattr(t, "_nntrace_unscaled") for t in targets)  # overflows are expected
        found = Gradient(
            [getattr(t, "_nntrace_unscaled", t) for t in targets],
            nest.flatten(sources),
            nest.flatten(gradients),
            calls,
            list(zip(extra, more, strict=True)),
            None if is_scaled else first_broken(derivatives, nest.flatten(gradients)),
        )
        if tf.executing_eagerly():
            holders = [self._local.pending]
            self._differentiated([found])
        else:
            holders = [_pending_of(ops.get_default_graph()), *map(gradients_in, graphs_around())]
        for holder in holders:
            holder.append(found)
            del holder[:-_MAX_PENDING]

    def note_scaled(self, scaled: Any, loss: Any) -> None:
        """An optimizer multiplied the loss by its scale, to divide the gradients again."""
        if self._local.active:
            scaled._nntrace_unscaled = loss


def gradients_in(graph: Any) -> list[Gradient]:
    """The gradients asked for in a graph and those inside of it; they live as long as it."""
    return list_on(graph, "_nntrace_gradients")


def _pending_of(graph: Any) -> list[Gradient]:
    """Those of a graph that no optimizer has taken."""
    return list_on(graph, "_nntrace_pending")
