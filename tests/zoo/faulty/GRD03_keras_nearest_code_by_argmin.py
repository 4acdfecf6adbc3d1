"""Keras autoencoder with a code book: the number of the nearest code has no derivative, and without
a straight-through term nothing comes back to the encoder."""

import keras
import numpy as np
from keras import layers, ops

keras.utils.set_random_seed(640)

random = np.random.default_rng(640)
centres = random.normal(size=(8, 10))
x = (centres[random.integers(0, 8, 2500)] + 0.2 * random.normal(size=(2500, 10))).astype("float32")


class Codes(layers.Layer):
    def build(self, shape):
        self.book = self.add_weight((16, shape[-1]), "glorot_uniform", name="book")

    def call(self, z):
        apart = ops.sum(ops.square(z[:, None] - self.book), axis=-1)
        return ops.take(self.book, ops.argmin(apart, axis=-1), axis=0)


inputs = keras.Input((10,))
hidden = layers.Dense(32, activation="relu")(inputs)
codes = Codes()(layers.Dense(4)(hidden))
outputs = layers.Dense(10)(layers.Dense(32, activation="relu")(codes))
model = keras.Model(inputs, outputs)
model.compile(keras.optimizers.Adam(2e-3), "mse")
model.fit(x, x, batch_size=50, epochs=4, verbose=2)
