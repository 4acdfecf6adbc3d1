"""Keras classifier of recordings with a layer that divides each channel by its spread: a sensor
that was not connected has none."""

import keras
import numpy as np
from keras import layers, ops

keras.utils.set_random_seed(656)

random = np.random.default_rng(656)
kinds = random.integers(0, 2, 1500)
signal = random.normal(size=(1500, 32, 3)).astype("float32")
signal[:, :, 0] += np.sin(np.arange(32) * 0.7) * kinds[:, None]
signal[random.random(1500) < 0.01, :, 2] = 0


class Scaled(layers.Layer):
    def call(self, x):
        return (x - ops.mean(x, axis=1, keepdims=True)) / ops.std(x, axis=1, keepdims=True)


inputs = keras.Input((32, 3))
hidden = layers.Conv1D(16, 5, activation="relu")(Scaled()(inputs))
hidden = layers.GlobalMaxPooling1D()(hidden)
model = keras.Model(inputs, layers.Dense(1, activation="sigmoid")(hidden))
model.compile(keras.optimizers.Adam(1e-3), "binary_crossentropy")
model.fit(signal, kinds, batch_size=50, epochs=3, verbose=2)
