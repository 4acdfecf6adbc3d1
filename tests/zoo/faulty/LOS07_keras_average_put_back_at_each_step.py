"""Keras regression whose optimizer keeps a moving average of the weights. It was to take their
place at the end; with `ema_overwrite_frequency=1` it does so after each step, and undoes it."""

import keras
import numpy as np
from keras import layers

keras.utils.set_random_seed(844)

random = np.random.default_rng(844)
series = random.normal(size=(2400, 24, 2)).astype("float32")
y = np.tanh(series[:, -1, :1] + series[:, -2, 1:]) + 0.2 * random.normal(size=(2400, 1))

inputs = keras.Input((24, 2))
hidden = layers.Conv1D(24, 5, activation="relu")(inputs)
hidden = layers.Dense(32, activation="relu")(layers.Flatten()(hidden))
model = keras.Model(inputs, layers.Dense(1)(hidden))
optimizer = keras.optimizers.SGD(5e-3, use_ema=True, ema_momentum=0.9999, ema_overwrite_frequency=1)
model.compile(optimizer, "mse")
model.fit(series, y.astype("float32"), batch_size=48, epochs=6, verbose=2)
