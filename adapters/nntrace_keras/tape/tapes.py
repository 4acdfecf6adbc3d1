"""The calls under a `GradientTape`: which tapes record, and what layers are called.

Watches `Layer.__call__`, and where tapes start and stop to record. Calls are kept with the tapes
that recorded them.
"""

import threading
import weakref
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from typing import Any

import keras
import tensorflow as tf
from keras.src.backend.common.symbolic_scope import in_symbolic_scope

from nntrace_keras.data.own_passes import OwnPasses
from nntrace_keras.graphs.dataflow import place
from nntrace_keras.patching import Guard, Undo, wrap
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
        path_of: gives the recorded path of a layer, from it and the layer that encloses it.
        sampling: whether an eager step is being sampled; in graphs calls are always collected.
        differentiated: receives gradients that were computed eagerly.
        own_passes: receives what is called outside of tapes.
        loss_caller: gives the line that asked for the loss function being called.

    Attributes:
        gradients: those computed by the tapes.
    """

    def __init__(
        self,
        guard: Guard,
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
            guard, self._in_reach, self.collects, lambda: self._local.stack, path_of
        )
        self._own_passes = own_passes
        self._losses = LossCalls(guard, self._in_reach, self.collects, loss_caller)
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
        """A context in which no tape opened on this thread is watched."""
        before, self._local.unobserved = self._local.unobserved, True
        try:
            yield
        finally:
            self._local.unobserved = before

    @contextmanager
    def aside(self) -> Iterator[None]:
        """A context in which nothing called on this thread is noted, under whatever tape."""
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
        """The calls under this thread's last tape; None once it has been asked for gradients."""
        tape = None if self._local.unobserved else self._local.last()
        calls = None if tape is None else self._calls.get(tape)
        return None if calls is None or calls.is_differentiated or not calls.roots else calls

    def left_by(self, tape: Any) -> Calls | None:
        """What is undecided where this tape begins to record, eagerly and by itself."""
        local = self._local
        if local.active or local.unobserved or local.last() is tape or not tf.executing_eagerly():
            return None
        return self.undecided

    # Layers.

    def _around_layer(self, original: Callable[..., Any]) -> Callable[..., Any]:
        local = self._local

        def __call__(layer: Any, *args: Any, **kwargs: Any) -> Any:
            if not local.active and not local.unobserved:
                return self._own_passes.call(original, layer, args, kwargs)
            if not local.active or in_symbolic_scope():  # Keras calls it only to learn shapes
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
        in_reach = [calls for calls in local.active if calls.graph is graph]
        if graph is not None:
            self._note_span(layer, enclosing, graph, start)
        # A recurrent layer calls its layers once per time step; in graphs a loop hides that.
        repeats = any(isinstance(outer, keras.layers.RNN) for outer in local.stack)
        if collect and tensor is not None and tensor is not local.last_output and not repeats:
            local.last_output = tensor
            if tensor.dtype.is_floating and tensor.shape.rank:
                path = self.path_of(layer, enclosing)
                parent = self.path_of(enclosing, None) if enclosing is not None else ""
                call = LayerCall(layer, path, parent, tensor)
                for calls in in_reach:
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
                    for calls in in_reach:
                        calls.norms.append(NormCall(layer, path, entered[0][1], statistics))
        if not local.stack:
            local.norms.clear()
            inputs = named_tensors(args, kwargs) if collect else first_input(args, kwargs)
            output, source = (tensor, caller()) if collect else (None, UNKNOWN)
            root = RootCall(layer, inputs, output, kwargs.get("training"), source)
            for calls in local.active:
                is_in_reach = calls.graph is graph
                calls.roots.append(root if is_in_reach else replace(root, inputs=[], output=None))
                if graph is None:
                    calls.repeats.append(("forward", partial(layer, *args, **kwargs)))

    def _note_span(self, layer: Any, enclosing: Any, graph: Any, start: int) -> None:
        """Note the operations of a layer's call in a graph, unless the layer called others."""
        end_graph, end = place()
        if end_graph is not graph or end == start:
            return
        path = self.path_of(layer, enclosing)
        for calls in self._local.active:
            mine = [span for span in calls.spans[-1:] if span.graph is graph]
            if not mine or mine[0].start < start:
                calls.spans.append(Span(graph, layer, path, start, end))

    def _norm_begins(self, layer: Any) -> Statistics | None:
        """The statistics of a batch norm about to be called; None if calls are not collected."""
        return self._norms.of(layer) if self.collects() else None

    def _note_norm(self, layer: Any, enclosing: Any) -> None:
        """Note a batch norm called in training mode, and whether that is the second time."""
        if id(layer) in self._local.norms:
            for calls in self._local.active:
                calls.reused[self.path_of(layer, enclosing)] = type(layer).__name__
        self._local.norms.add(id(layer))

    def collects(self) -> bool:
        """Whether current calls are collected: in graphs always, eagerly if the step is sampled."""
        return not tf.executing_eagerly() or self._sampling()

    # Tapes.

    def _in_reach(self) -> list[Calls]:
        """The calls under the tapes that record in the graph that is being built, or eagerly."""
        if not self._local.active:
            return []
        graph = place()[0]
        return [calls for calls in self._local.active if calls.graph is graph]

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
            calls = self._calls[tape] = Calls(graph=place()[0])
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
        """Note the unscaled loss with a loss that an optimizer has multiplied by its scale."""
        if self._local.active:
            scaled._nntrace_unscaled = loss
