"""Keras classifier in batches of two that learns nevertheless."""

import keras
import numpy as np
from keras import layers

keras.utils.set_random_seed(434)

random = np.random.default_rng(434)
x = random.normal(size=(1600, 10)).astype("float32")
y = (x[:, 0] + x[:, 1] > 0).astype("float32")

model = keras.Sequential([layers.Input((10,)), layers.Dense(16, activation="relu")])
model.add(layers.Dense(1, activation="sigmoid"))
model.compile(keras.optimizers.SGD(0.05), "binary_crossentropy")
model.fit(x, y, batch_size=2, epochs=1, verbose=2)
