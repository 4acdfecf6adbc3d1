"""Keras model of the cost of running a store, fitted to its own estimate of the day after. What is
to come is divided by the discount instead of multiplied: estimates and weights run away."""

import keras
import numpy as np
from keras import layers

keras.utils.set_random_seed(438)
DISCOUNT = 0.7

random = np.random.default_rng(438)
today = random.normal(size=(1500, 6)).astype("float32")
tomorrow = (0.95 * today + 0.1 * random.normal(size=(1500, 6))).astype("float32")
cost = np.abs(today[:, :1])

value = keras.Sequential([layers.Input((6,)), layers.Dense(48, activation="relu")])
value.add(layers.Dense(1))
value.compile(keras.optimizers.Adam(3e-3), "mse")

for sweep in range(24):
    wanted = cost + value.predict(tomorrow, verbose=0) / DISCOUNT
    history = value.fit(today, wanted, batch_size=50, verbose=0)
    print(f"sweep {sweep}  loss {history.history['loss'][0]:.4g}")
