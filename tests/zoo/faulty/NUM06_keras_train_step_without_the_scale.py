"""Keras detector of heart beats under "mixed_float16" with a train_step of its own. `compile` wraps
the optimizer in one that expects a scaled loss and divides the gradients again, but nobody scaled
it: the share of a quiet moment in a mean over all moments is too small for float16."""

import keras
import numpy as np
import tensorflow as tf
from keras import layers

keras.utils.set_random_seed(708)
keras.config.set_dtype_policy("mixed_float16")

random = np.random.default_rng(708)
beats = np.zeros((320, 2048), "float32")
for row in beats:
    row[random.integers(20, 60) :: random.integers(90, 140)] = 1
shape = np.exp(-(np.linspace(-2, 2, 31) ** 2))
signals = np.stack([np.convolve(row, shape, "same") for row in beats])
near = (signals > 0.3).astype("float32")[..., None]
signals = (signals + 0.1 * random.normal(size=signals.shape)).astype("float32")[..., None]


class Detector(keras.Model):
    def train_step(self, data):
        x, y = data
        with tf.GradientTape() as tape:
            loss = self.compute_loss(x, y, self(x, training=True))
        variables = self.trainable_variables
        self.optimizer.apply(tape.gradient(loss, variables), variables)
        return {"loss": loss}


inputs = keras.Input((2048, 1))
fine = layers.Conv1D(8, 9, padding="same", activation="relu")(inputs)
coarse = layers.Conv1D(8, 9, strides=4, padding="same", activation="relu")(fine)
joined = layers.Concatenate()([fine, layers.UpSampling1D(4)(coarse)])
model = Detector(inputs, layers.Conv1D(1, 1, activation="sigmoid", dtype="float32")(joined))
model.compile(keras.optimizers.Adam(0.01), "binary_crossentropy")
model.fit(signals, near, batch_size=16, epochs=12, verbose=2)
