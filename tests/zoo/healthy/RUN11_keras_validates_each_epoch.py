"""Keras regression of 1200 steps, validated after each epoch."""

import keras
import numpy as np
from keras import layers

keras.utils.set_random_seed(333)

random = np.random.default_rng(333)
x = random.normal(size=(3000, 6)).astype("float32")
y = np.sin(x[:, :1] + x[:, 1:2]) + 0.2 * random.normal(size=(3000, 1))

model = keras.Sequential([layers.Input((6,)), layers.Dense(32, activation="relu"), layers.Dense(1)])
model.compile("adam", "mse")
model.fit(x, y.astype("float32"), batch_size=20, epochs=10, validation_split=0.2, verbose=2)
