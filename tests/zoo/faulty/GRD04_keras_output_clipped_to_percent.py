"""Keras regression of a load whose output is clipped to 0 … 1 while its first values lie above:
beyond the limit the gradient is exactly zero, and they never come back."""

import keras
import numpy as np
from keras import layers, ops

keras.utils.set_random_seed(429)

random = np.random.default_rng(429)
x = random.normal(size=(2500, 8)).astype("float32")
y = 1 / (1 + np.exp(-x[:, :1] - x[:, 1:2]))

inputs = keras.Input((8,))
hidden = layers.Dense(32, activation="relu")(inputs)
load = layers.Dense(1, bias_initializer=keras.initializers.Constant(50.0))(hidden)
model = keras.Model(inputs, layers.Lambda(lambda v: ops.clip(v, 0.0, 1.0))(load))
model.compile("adam", "mse")
model.fit(x, y, batch_size=50, epochs=5, verbose=2)
