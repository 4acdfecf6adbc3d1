"""Keras linear regression in small batches that has arrived: its loss goes up and down with
them."""

import keras
import numpy as np
from keras import layers

keras.utils.set_random_seed(217)

random = np.random.default_rng(217)
x = random.normal(size=(2000, 12)).astype("float32")
y = x @ random.normal(size=(12, 1)) / 3 + 0.3 * random.normal(size=(2000, 1))

model = keras.Sequential([layers.Input((12,)), layers.Dense(1)])
model.compile(keras.optimizers.SGD(0.02), "mse")
model.fit(x, y.astype("float32"), batch_size=20, epochs=5, verbose=2)
