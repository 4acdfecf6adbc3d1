"""Keras regression whose loss is summed over the batch, so that the rate fits one batch size.
In review: `reduction="sum"`."""

import keras
import numpy as np
from keras import layers

keras.utils.set_random_seed(228)

random = np.random.default_rng(228)
x = random.normal(size=(2500, 6)).astype("float32")
y = np.sin(x[:, :1]) + 0.5 * x[:, 1:2] + 0.1 * random.normal(size=(2500, 1))

model = keras.Sequential([layers.Input((6,)), layers.Dense(24, activation="tanh"), layers.Dense(1)])
model.compile(keras.optimizers.SGD(3e-4), keras.losses.MeanSquaredError(reduction="sum"))
model.fit(x, y.astype("float32"), batch_size=64, epochs=6, verbose=2)
