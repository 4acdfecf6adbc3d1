"""The optimizers seen so far: their names, their learning rates, and which of their calls step.

Not every call does: with `gradient_accumulation_steps` only each n-th, with a loss scale only
those whose gradients are finite. The optimizer's own iteration count tells.
"""

import weakref
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import keras
import tensorflow as tf

from nntrace.adapter.sources import notebook_cell
from nntrace.recorder import Recorder
from nntrace.schema import EventKind
from nntrace_keras.program.schedules import ScheduleObserver
from nntrace_keras.program.settings import accumulation_steps, inner_optimizer, settings
from nntrace_keras.program.sources import Source, Sources


@dataclass(slots=True)
class _Built:
    """How often one line built an optimizer for the same variables; `name` is the first one's."""

    name: str
    of: Callable[[], Any]
    count: int = 0


class Optimizers:
    """Every optimizer that was called; each is recorded once."""

    def __init__(self, recorder: Recorder, sources: Sources) -> None:
        self._recorder = recorder
        self._sources = sources
        self._names: dict[int, tuple[weakref.ref[Any], str]] = {}
        self._count = 0
        self._built: dict[tuple[Source, int, int], _Built] = {}
        self.schedules = ScheduleObserver(recorder, sources)

    def name(self, optimizer: Any, variables: Sequence[Any]) -> str:
        """The name of an optimizer: its class, with a number from the second optimizer on."""
        known = self._names.get(id(optimizer))
        if known is not None and known[0]() is optimizer:
            return known[1]
        self._count += 1
        inner = inner_optimizer(optimizer)
        name = type(inner).__name__ + (f".{self._count}" if self._count > 1 else "")
        self._names[id(optimizer)] = (weakref.ref(optimizer), name)
        self._announce(inner, name, variables)
        self.schedules.announce(inner, name)
        return name

    @property
    def living(self) -> int:
        """How many of the optimizers still exist."""
        return sum(reference() is not None for reference, _ in self._names.values())

    def _built_again(self, source: Source, name: str, variables: Sequence[Any]) -> "_Built":
        """Count this optimizer among those that one line built for the same variables."""
        first = variables[0]
        key = (source, id(first), len(variables))
        known = self._built.get(key)
        if known is None or known.of() is not first:
            known = self._built[key] = _Built(name, weakref.ref(first))
        known.count += 1
        return known

    def _announce(self, inner: Any, name: str, variables: Sequence[Any]) -> None:
        source = self._sources.of(inner)
        built = self._built_again(source, name, variables)
        rate = inner._learning_rate
        with tf.init_scope():
            start = float(rate.numpy()) if isinstance(rate, keras.Variable) else None
        payload = {
            "name": name,
            "class": type(inner).__name__,
            "parameters": len(variables),
            "built": built.count,
            "replaces": built.name if built.count > 1 else None,
            "lr": start,
            **settings(inner),
            "cell": notebook_cell(),
            **source.place,
        }
        self._recorder.add_event(EventKind.OPTIMIZER, payload)


def learning_rate(optimizer: Any) -> Any:
    """The rate of the coming step, as a tensor; None if user code computes it."""
    rate = getattr(optimizer, "inner_optimizer", optimizer)._learning_rate
    if isinstance(rate, keras.Variable | keras.optimizers.schedules.LearningRateSchedule):
        return tf.convert_to_tensor(optimizer.learning_rate)
    return None


def always_steps(optimizer: Any) -> bool:
    """Whether each call is a step."""
    return accumulation_steps(optimizer) == 1 and not hasattr(optimizer, "inner_optimizer")


def ends_accumulation(optimizer: Any) -> Any:
    """Whether this call is the last one of an accumulation."""
    steps = accumulation_steps(optimizer)
    if steps == 1:
        return tf.constant(True)
    return tf.equal((tf.cast(inner_optimizer(optimizer)._iterations, tf.int64) + 1) % steps, 0)


def iterations(optimizer: Any) -> Any:
    """How many steps an optimizer has made, as a tensor."""
    # Up to Keras 3.8 a scaling optimizer had a count of its own, which stays 0.
    return tf.cast(tf.convert_to_tensor(inner_optimizer(optimizer).iterations), tf.int64)


def loss_scale(optimizer: Any) -> Any:
    """The factor on the losses of the coming step; None if the optimizer scales none."""
    if hasattr(optimizer, "inner_optimizer"):
        return optimizer.dynamic_scale if optimizer.built else optimizer.initial_scale
    return optimizer.loss_scale_factor


def as_received(optimizer: Any, variable: Any, gradient: Any) -> Any:
    """The gradient that takes effect: without the loss scale, averaged with those accumulated."""
    inner = inner_optimizer(optimizer)
    scale = loss_scale(optimizer)
    if scale is not None:
        factor = 1.0 / tf.cast(tf.convert_to_tensor(scale), tf.float32)
        if isinstance(gradient, tf.IndexedSlices):
            values = tf.cast(gradient.values, tf.float32) * factor
            gradient = tf.IndexedSlices(values, gradient.indices, gradient.dense_shape)
        else:
            gradient = tf.cast(gradient, tf.float32) * factor
    steps = accumulation_steps(optimizer)
    if steps > 1 and inner.built and not isinstance(gradient, tf.IndexedSlices):
        held = inner._accumulated_gradients[inner._get_variable_index(variable)]
        if held is not None:
            gradient = (gradient + tf.cast(held.value, gradient.dtype)) / steps
    return gradient
