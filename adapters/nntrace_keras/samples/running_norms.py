"""What a batch norm would return in evaluation, for its training input.

It is normalised by the moving statistics, as they were before the step, instead of the batch's:
mean 0 and rms 1 where they agree.
"""

import weakref
from typing import Any

import tensorflow as tf

from nntrace_keras.samples.elements import ExamplesPlan
from nntrace_keras.tape.under_tape import NormCall, Statistics


class NormStatistics:
    """Reads the statistics of batch norms that are about to be called."""

    def __init__(self) -> None:
        self._trained: weakref.WeakKeyDictionary[Any, bool] = weakref.WeakKeyDictionary()

    def of(self, layer: Any) -> Statistics:
        """The statistics of a batch norm; without values before its first call, which builds it."""
        if layer not in self._trained:
            self._trained[layer] = has_learnt(layer)
        values = None
        if layer.built and tf.executing_eagerly():
            values = (layer.moving_mean.numpy(), layer.moving_variance.numpy())
        return Statistics(values, self._trained[layer])


def normalised(call: NormCall, plan: ExamplesPlan, values: Any) -> Any:
    """Normalise sampled elements of a norm's input by its moving statistics."""
    layer = call.layer
    known = call.statistics.values or (layer.moving_mean.value, layer.moving_variance.value)
    chosen = slice(None, plan.units * plan.unit_step, plan.unit_step)
    mean, variance = (tf.cast(one, tf.float32)[chosen] for one in known)
    rows = tf.reshape(values, [-1, plan.units])
    return tf.reshape((rows - mean) * tf.math.rsqrt(variance + layer.epsilon), [-1])


def has_learnt(layer: Any) -> bool:
    """Whether a norm's statistics differ from those with which Keras builds it."""
    if not layer.built:
        return False
    with tf.init_scope():
        mean, variance = layer.moving_mean.numpy(), layer.moving_variance.numpy()
    return bool((mean != 0).any() or (variance != 1).any())
