"""Variables of TensorFlow that a layer keeps by itself: Keras 3 leaves them out of the weights."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers
from tracing import tracing

from nntrace.schema import EventKind
from nntrace.trace import Trace


class Scaled(layers.Layer):
    """Multiplies by a `tf.Variable`, which it may also change itself."""

    def __init__(self, *, trainable_scale=True, changes_it=False):
        super().__init__(name="scaled")
        self.scale = tf.Variable(tf.ones(4), trainable=trainable_scale)
        self._changes_it = changes_it

    def call(self, inputs):
        if self._changes_it:
            self.scale.assign(0.9 * self.scale + 0.1 * tf.reduce_mean(inputs, axis=0))
        return inputs * self.scale


class Fixed(Scaled):
    """Uses the variable without wanting a gradient."""

    def call(self, inputs):
        return inputs * tf.stop_gradient(self.scale)


class TrainsAll(keras.Sequential):
    """Asks for the gradient of the variable, too."""

    def train_step(self, data):
        inputs, targets = data
        variables = [*self.trainable_variables, self.layers[0].scale]
        with tf.GradientTape() as tape:
            loss = tf.reduce_mean(tf.square(self(inputs, training=True) - targets))
        gradients = tape.gradient(loss, variables)
        self.optimizer.apply(gradients[:-1], self.trainable_variables)
        self.layers[0].scale.assign_sub(0.01 * gradients[-1])
        return {"loss": loss}


def tensors(folder, layer, kind=keras.Sequential) -> list[list[str]]:
    """Train the layer below a dense one; return the paths that each `loose` event names."""
    values = np.random.default_rng(0).normal(size=(32, 4)).astype("float32")
    with tracing(folder, framework="keras") as recorder:
        model = kind([layers.Input((4,)), layer, layers.Dense(1)], name="net")
        model.compile("sgd", "mse")
        model.fit(values, values[:, :1], batch_size=8, verbose=0)
    assert recorder.failure is None
    return [e.payload["tensors"] for e in Trace.open(folder).events_of(EventKind.LOOSE)]


def test_a_layers_own_variable_that_gradients_would_reach_is_told(tmp_path):
    assert tensors(tmp_path / "run", Scaled()) == [["net/scaled/scale"]]


@pytest.mark.parametrize(
    ("layer", "kind"),
    [
        pytest.param(Scaled(trainable_scale=False), keras.Sequential, id="not to be trained"),
        pytest.param(Scaled(changes_it=True), keras.Sequential, id="changed by the layer"),
        pytest.param(Fixed(), keras.Sequential, id="no gradient reaches it"),
        pytest.param(Scaled(), TrainsAll, id="trained by hand"),
    ],
)
def test_a_variable_that_has_another_master_is_left_alone(tmp_path, layer, kind):
    assert tensors(tmp_path / "run", layer, kind) == []
