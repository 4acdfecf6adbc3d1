"""Keras forecaster with a `train_step` of its own, from which the line that applies the gradients
was lost when the metrics were added."""

import keras
import numpy as np
import tensorflow as tf
from keras import layers

keras.utils.set_random_seed(538)

random = np.random.default_rng(538)
series = np.cumsum(random.normal(size=(3000, 3)), axis=0).astype("float32")
steps = np.diff(series, axis=0)
past = np.lib.stride_tricks.sliding_window_view(steps, 16, axis=0)[:-1].transpose(0, 2, 1)


class Forecaster(keras.Model):
    def __init__(self):
        super().__init__()
        self.state, self.out = layers.GRU(24), layers.Dense(3)
        self.error = keras.metrics.Mean(name="error")

    def call(self, past):
        return self.out(self.state(past))

    def train_step(self, data):
        past, following = data
        with tf.GradientTape() as tape:
            loss = tf.reduce_mean((self(past, training=True) - following) ** 2)
        tape.gradient(loss, self.trainable_variables)
        self.error.update_state(loss)
        return {"error": self.error.result()}


model = Forecaster()
model.compile(optimizer="adam")
model.fit(past, steps[16:], batch_size=64, epochs=3, verbose=2)
