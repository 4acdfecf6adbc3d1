"""Runs a Keras model in float64 for a while, so that small differences stand out from noise."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import keras
import tensorflow as tf


@contextmanager
def doubled(model: Any) -> Iterator[None]:
    """Replace a model's variables by float64 copies and make its layers compute in float64.

    Afterwards all is as before, seeds and counters included. A model with state outside of Keras'
    variables may raise when it is called.
    """
    layers = [(layer, layer._dtype_policy) for layer in model._flatten_layers()]
    variables = [(variable, variable._value) for variable in model.variables]
    # Seeds, counters.
    states = [(value, value.numpy()) for _, value in variables if not value.dtype.is_floating]
    policy = keras.DTypePolicy("float64")
    try:
        for layer, _ in layers:
            layer._dtype_policy = policy
        for variable, value in variables:
            if value.dtype.is_floating:
                variable._value = tf.Variable(
                    tf.cast(value, tf.float64), trainable=variable.trainable, name=variable.path
                )
        yield
    finally:
        for layer, before in layers:
            layer._dtype_policy = before
        for variable, value in variables:
            variable._value = value
        for value, before in states:
            value.assign(before)


def double(value: Any) -> Any:
    """An argument in float64, if it is floating-point; variables become tensors."""
    if isinstance(value, keras.Variable | tf.Variable):
        value = tf.convert_to_tensor(value)
    return tf.cast(value, tf.float64) if tf.is_tensor(value) and is_floating(value) else value


def is_floating(value: Any) -> bool:
    """Whether a value is a tensor of floating-point numbers."""
    return bool(tf.is_tensor(value) and value.dtype.is_floating)
