"""What is called under a `GradientTape`: which tapes record, and the layers' calls.

Watches `Layer.__call__`, and where tapes begin and cease to record. Calls are kept with the tapes
that recorded them.
"""

import threading
import weakref
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any

import keras
import tensorflow as tf
from keras.src.backend.common.symbolic_scope import in_symbolic_scope

from nntrace_keras.data.own_passes import OwnPasses
from nntrace_keras.graphs.dataflow import place
from nntrace_keras.patching import Undo, wrap
from nntrace_keras.program.describe import is_batch_norm, is_dropout, is_training
from nntrace_keras.program.sources import UNKNOWN, Source, caller
from nntrace_keras.program.tensors import first_input, first_tensor, named_tensors
from nntrace_keras.samples.attention import AttentionCalls
from nntrace_keras.samples.running_norms import NormStatistics
from nntrace_keras.tape.gradients import TapeGradients
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
)


class _Local(threading.local):
    def __init__(self) -> None:
        self.active: list[Calls] = []
        self.stack: list[Any] = []
        self.last_output: Any = None
        self.norms: set[int] = set()
        self.unobserved = False
        self.last: Callable[[], Any] = lambda: None  # the tape that recorded last, if it lives


class Tapes:
    """The tapes of all threads.

    Args:
        guard: keeps errors away from the training.
        path_of: the recorded path of a layer, given the one that encloses it.
        sampling: whether an eager step is being sampled; graphs always collect.
        differentiated: told of gradients that were computed eagerly.
        own_passes: told of what is called outside of tapes.
        loss_caller: who asked for the loss function that is being called.

    Attributes:
        gradients: those asked of the tapes.
    """

    def __init__(
        self,
        guard: Callable[[Callable[..., Any]], Callable[..., Any]],
        path_of: Callable[[Any, Any], str],
        sampling: Callable[[], bool],
        differentiated: Callable[[Sequence[Gradient]], object],
        own_passes: OwnPasses,
        loss_caller: Callable[[], Source],
    ) -> None:
        self.path_of = path_of
        self._sampling = sampling
        self._local = _Local()
        self._calls: weakref.WeakKeyDictionary[Any, Calls] = weakref.WeakKeyDictionary()
        self._norms = NormStatistics()
        self._look_at_norm = guard(self._norm_begins)
        self._observe_layer = guard(self._layer_called)
        self._attention = AttentionCalls(
            guard, lambda: self._local.active, self.collects, lambda: self._local.stack, path_of
        )
        self._own_passes = own_passes
        self._losses = LossCalls(guard, lambda: self._local.active, self.collects, loss_caller)
        self._pushed = guard(self._push)
        self._popped = guard(self._pop)
        self.gradients = TapeGradients(
            guard, self._calls.get, self.collects, sampling, differentiated
        )

    def install(self) -> list[Undo]:
        """Watch layers, losses and tapes."""
        return [
            wrap(keras.layers.Layer, "__call__", self._around_layer),
            *self._losses.install(),
            *self._attention.install(),
            wrap(tf.GradientTape, "_push_tape", self._around_push),
            wrap(tf.GradientTape, "_pop_tape", self._around_pop),
            *self.gradients.install(),
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

    @property
    def undecided(self) -> Calls | None:
        """What was called under this thread's last tape, as long as nobody asks for gradients."""
        tape = None if self._local.unobserved else self._local.last()
        calls = None if tape is None else self._calls.get(tape)
        return None if calls is None or calls.is_differentiated or not calls.roots else calls

    # Layers.

    def _around_layer(self, original: Callable[..., Any]) -> Callable[..., Any]:
        local = self._local

        def __call__(layer: Any, *args: Any, **kwargs: Any) -> Any:
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
            output, source = (tensor, caller()) if collect else (None, UNKNOWN)
            root = RootCall(layer, inputs, output, kwargs.get("training"), source)
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
        self._local.last = weakref.ref(tape)

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

    def note_scaled(self, scaled: Any, loss: Any) -> None:
        """An optimizer multiplied the loss by its scale, to divide the gradients again."""
        if self._local.active:
            scaled._nntrace_unscaled = loss
