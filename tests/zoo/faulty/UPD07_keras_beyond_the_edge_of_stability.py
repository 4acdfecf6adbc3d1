"""Keras regression of a smooth function by SGD at a rate far beyond what its curvature allows."""

import keras
import numpy as np
from keras import layers

keras.utils.set_random_seed(7)

random = np.random.default_rng(7)
x = random.normal(size=(2000, 5)).astype("float32")
y = (np.sin(2 * x[:, :1]) + x[:, 1:2] * x[:, 2:3]) / 1.2

model = keras.Sequential(
    [
        layers.Input((5,)),
        layers.Dense(64, activation="tanh"),
        layers.Dense(64, activation="tanh"),
        layers.Dense(1),
    ]
)
model.compile(keras.optimizers.SGD(1.5), "mse")
model.fit(x, y, batch_size=50, epochs=8, verbose=2)
