"""Keras model of molecules with an output for the energy, in a unit in which it is hundreds, and
one for the forces, around one: the rate had to come down until the error of the energy could bear
it, and the forces are not learned."""

import keras
import numpy as np
from keras import layers

keras.utils.set_random_seed(850)

random = np.random.default_rng(850)
places = random.normal(size=(2500, 9)).astype("float32")
energy = 40 * (places**2).sum(axis=1, keepdims=True) - 360
forces = np.tanh(places[:, :3] - places[:, 3:6])

inputs = keras.Input((9,))
hidden = layers.Dense(48, activation="silu")(inputs)
hidden = layers.Dense(48, activation="silu")(hidden)
model = keras.Model(inputs, [layers.Dense(1)(hidden), layers.Dense(3)(hidden)])
model.compile(keras.optimizers.SGD(2e-6, momentum=0.9), ["mse", "mse"])
model.fit(places, [energy, forces], batch_size=50, epochs=5, verbose=2)
