"""Keras regression of meter readings with a glitch of fifty times the usual in one of a thousand,
by squared error: the batch that holds one decides where training goes."""

import keras
import numpy as np
from keras import layers

keras.utils.set_random_seed(431)

random = np.random.default_rng(431)
x = random.normal(size=(10000, 6)).astype("float32")
y = np.tanh(x[:, :1]) + 0.3 * x[:, 1:2] + 0.1 * random.normal(size=(10000, 1))
y[random.choice(10000, 12, replace=False)] *= 50

model = keras.Sequential([layers.Input((6,)), layers.Dense(32, activation="relu"), layers.Dense(1)])
model.compile(keras.optimizers.SGD(0.03), "mse")
model.fit(x, y.astype("float32"), batch_size=32, epochs=2, verbose=2)
