"""Notes losses called under a `GradientTape`: Keras' classes and functions, TensorFlow's own.

A loss that is called inside another, or by Keras itself, does not count as the program's call.
"""

import inspect
import sys
import threading
from collections.abc import Callable
from functools import partial
from typing import Any

import keras
import tensorflow as tf
from keras.src.trainers.compile_utils import CompileLoss

from nntrace_keras.patching import Guard, Undo, after, wrap
from nntrace_keras.program.losses import (
    FUNCTIONS,
    ON_LOGITS,
    CalledFunction,
    OnLogits,
    head_of_layer,
)
from nntrace_keras.program.sources import Source
from nntrace_keras.tape.loss_paths import name_outputs
from nntrace_keras.tape.under_tape import Calls, LossCall

# `tf.keras` has the same functions under names of its own.
_MODULES = (
    "keras.losses",
    "keras._tf_keras.keras.losses",
    "keras.api.losses",  # in this and the next they are found up to Keras 3.9
    "keras.api._tf_keras.keras.losses",
)
_OPTIONS = ("from_logits", "label_smoothing")


class _Local(threading.local):
    def __init__(self) -> None:
        self.in_loss = False


class LossCalls:
    """Notes loss calls with the tapes that record.

    Args:
        guard: keeps errors away from the training.
        active: gives the calls under each of this thread's tapes that record.
        collects: whether current calls are collected.
        caller: gives the line that asked for the loss function being called.
    """

    def __init__(
        self,
        guard: Guard,
        active: Callable[[], list[Calls]],
        collects: Callable[[], bool],
        caller: Callable[[], Source],
    ) -> None:
        self._active = active
        self._collects = collects
        self._caller = caller
        self._local = _Local()
        self._observe_loss = guard(self._loss_called)
        self._name_terms = guard(self._compiled_losses_called)

    def install(self) -> list[Undo]:
        """Watch the loss functions."""
        return [
            wrap(keras.losses.Loss, "__call__", self._around_loss),
            *(wrap(tf.nn, name, self._around_function(ON_LOGITS[name])) for name in ON_LOGITS),
            *(wrap(module, name, self._around_own) for module, name in _own_functions()),
            after(CompileLoss, "__call__", self._name_terms),
        ]

    def _around_loss(self, original: Callable[..., Any]) -> Callable[..., Any]:
        local = self._local

        def __call__(loss: Any, y_true: Any, y_pred: Any, *args: Any, **kwargs: Any) -> Any:
            outside, local.in_loss = local.in_loss, True
            try:
                value = original(loss, y_true, y_pred, *args, **kwargs)
            finally:
                local.in_loss = outside
            if self._active():
                weights = args[0] if args else kwargs.get("sample_weight")
                self._observe_loss(loss, y_true, y_pred, value, weights)
                if not outside and tf.executing_eagerly():
                    again = partial(original, loss, y_true, y_pred, *args, **kwargs)
                    self._note_eager(again, value)
            return value

        return __call__

    def _around_function(self, name: str) -> Callable[..., Any]:
        """Wrap one of TensorFlow's own losses, to note it if the program and not Keras calls it."""
        local, loss = self._local, OnLogits(name)

        def make(original: Callable[..., Any]) -> Callable[..., Any]:
            def function(labels: Any = None, logits: Any = None, *args: Any, **kwargs: Any) -> Any:
                value = original(labels, logits, *args, **kwargs)
                if self._active() and not local.in_loss and not _calls_from_keras():
                    self._observe_loss(loss, labels, logits, value)
                return value

            return function

        return make

    def _around_own(self, original: Callable[..., Any]) -> Callable[..., Any]:
        """Wrap one of Keras' loss functions, to note it if the program calls it, not a `Loss`."""
        local = self._local

        def function(y_true: Any, y_pred: Any, *args: Any, **kwargs: Any) -> Any:
            outside, local.in_loss = local.in_loss, True
            try:
                value = original(y_true, y_pred, *args, **kwargs)
            finally:
                local.in_loss = outside
            if not outside and self._active():
                loss = CalledFunction(original, **_options(original, args, kwargs))
                self._observe_loss(loss, y_true, y_pred, value)
                if tf.executing_eagerly():
                    again = partial(original, y_true, y_pred, *args, **kwargs)
                    self._note_eager(again, value)
            return value

        return function

    def _note_eager(self, again: Callable[[], Any], value: Any) -> None:
        for calls in self._active():
            calls.repeats.append(("loss", again))
            calls.loss = value

    def _loss_called(
        self, loss: Any, y_true: Any, y_pred: Any, value: Any, weights: Any = None
    ) -> None:
        if not self._collects() or isinstance(loss, CompileLoss):
            return
        if isinstance(y_true, dict | list | tuple) or isinstance(y_pred, dict | list | tuple):
            return
        call = LossCall(loss, y_true, y_pred, value, self._caller())
        left_out = getattr(loss, "_fn_kwargs", {}).get("ignore_class")
        hidden = getattr(y_pred, "_keras_mask", None)
        call.is_weighted = weights is not None
        call.is_masked = any(one is not None for one in (weights, left_out, hidden))
        for calls in self._active():
            if call.head is None:
                made = ((one.layer, one.output) for one in reversed(calls.layers))
                call.head = head_of_layer(made, y_pred)
            calls.losses.append(call)

    def _compiled_losses_called(self, _: Any, compiled: Any, *args: Any, **kwargs: Any) -> None:
        for calls in self._active():
            name_outputs(compiled, calls.losses)


def _own_functions() -> list[tuple[Any, str]]:
    """The modules and names by which programs call Keras' loss functions."""
    modules = [sys.modules[name] for name in _MODULES if name in sys.modules]
    functions = [getattr(keras.losses, name) for name in FUNCTIONS]
    return [(m, name) for m in modules for name, value in vars(m).items() if value in functions]


def _options(function: Callable[..., Any], args: Any, kwargs: Any) -> dict[str, Any]:
    """What one of Keras' functions was asked for behind targets and predictions."""
    names = list(inspect.signature(function).parameters)[2:]
    given = {**dict(zip(names, args, strict=False)), **kwargs}
    return {name: given[name] for name in _OPTIONS if name in given}


def _calls_from_keras() -> bool:
    """Whether the caller of the wrapped function is a module of Keras."""
    return str(sys._getframe(2).f_globals.get("__name__")).startswith("keras.")
