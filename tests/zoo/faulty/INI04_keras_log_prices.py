"""Keras regression of the logarithm of a price, around 5.5, whose last bias starts at zero."""

import keras
import numpy as np
import tensorflow as tf
from keras import layers

keras.utils.set_random_seed(14)

random = np.random.default_rng(14)
x = random.normal(size=(2000, 6)).astype("float32")
price = 5.5 + 0.9 * np.tanh(x[:, :1] + x[:, 1:2] * x[:, 2:3]) + 0.2 * random.normal(size=(2000, 1))

model = keras.Sequential([layers.Input((6,)), layers.Dense(32, activation="relu"), layers.Dense(1)])
model.compile(keras.optimizers.Adam(3e-3), "mse")
data = tf.data.Dataset.from_tensor_slices((x, price.astype("float32")))
model.fit(data.shuffle(2000).batch(64), epochs=8, verbose=2)
