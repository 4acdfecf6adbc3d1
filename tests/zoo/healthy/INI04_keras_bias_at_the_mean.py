"""Keras regression of the logarithm of a price whose last bias starts at its mean."""

import keras
import numpy as np
from keras import layers

keras.utils.set_random_seed(34)

random = np.random.default_rng(34)
x = random.normal(size=(2000, 6)).astype("float32")
price = 5.5 + 0.9 * np.tanh(x[:, :1] + x[:, 1:2] * x[:, 2:3]) + 0.2 * random.normal(size=(2000, 1))

model = keras.Sequential(
    [
        layers.Input((6,)),
        layers.Dense(32, activation="relu"),
        layers.Dense(1, bias_initializer=keras.initializers.Constant(price.mean())),
    ]
)
model.compile(keras.optimizers.Adam(3e-3), "mse")
model.fit(x, price.astype("float32"), batch_size=64, epochs=8, verbose=2)
