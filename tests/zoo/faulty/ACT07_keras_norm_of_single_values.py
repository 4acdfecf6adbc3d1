"""Keras regression whose bottleneck of one unit is followed by a layer norm: the norm of a single
value is zero, for every example."""

import keras
import numpy as np
from keras import layers

keras.utils.set_random_seed(413)

random = np.random.default_rng(413)
x = random.normal(size=(2500, 8)).astype("float32")
y = np.tanh(x[:, :1] + x[:, 1:2]) + 0.1 * random.normal(size=(2500, 1))

inputs = keras.Input((8,))
hidden = layers.Dense(32, activation="gelu")(inputs)
code = layers.LayerNormalization()(layers.Dense(1)(hidden))
hidden = layers.Dense(32, activation="gelu")(code)
model = keras.Model(inputs, layers.Dense(1)(hidden))
model.compile(keras.optimizers.Adam(2e-3), "mse")
model.fit(x, y.astype("float32"), batch_size=50, epochs=5, verbose=2)
