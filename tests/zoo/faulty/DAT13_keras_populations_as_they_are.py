"""Keras regression with two inputs of a number of inhabitants, in heads."""

import keras
import numpy as np
from keras import layers

keras.utils.set_random_seed(120)

random = np.random.default_rng(120)
site, climate = random.normal(size=(2, 1800, 4)).astype("float32")
heads = np.exp(8 + 0.8 * site[:, 0] + 0.5 * climate[:, 1] + 0.2 * random.normal(size=1800))

first, second = keras.Input((4,)), keras.Input((4,))
joined = layers.Concatenate()([layers.Dense(16, "relu")(first), layers.Dense(16, "relu")(second)])
model = keras.Model([first, second], layers.Dense(1)(layers.Dense(16, "relu")(joined)))
model.compile(keras.optimizers.Adam(1e-2), "mse", metrics=["mae"])
model.fit([site, climate], heads.astype("float32"), batch_size=60, epochs=6, verbose=2)
