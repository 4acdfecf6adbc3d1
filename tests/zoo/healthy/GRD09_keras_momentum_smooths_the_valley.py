"""Keras regression on columns that have much in common, by momentum with a rate well below the
edge: single gradients turn back now and then, what is stepped along does not."""

import keras
import numpy as np
from keras import layers

keras.utils.set_random_seed(702)

random = np.random.default_rng(702)
common = random.normal(size=(1600, 1))
x = (common + 0.5 * random.normal(size=(1600, 16))).astype("float32")
y = (x @ random.normal(size=(16, 1)) / 4 + 0.2 * random.normal(size=(1600, 1))).astype("float32")

model = keras.Sequential([layers.Input((16,)), layers.Dense(1)])
model.compile(keras.optimizers.SGD(0.01, momentum=0.8), "mse")
model.fit(x, y, batch_size=32, epochs=6, verbose=2)
