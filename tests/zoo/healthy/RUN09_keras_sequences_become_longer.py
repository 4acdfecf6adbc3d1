"""Keras GRU that sums up sequences, first short ones and then longer and longer ones: a step takes
longer because there is more to do."""

import keras
import numpy as np
from keras import layers

keras.utils.set_random_seed(714)

random = np.random.default_rng(714)
model = keras.Sequential([layers.Input((None, 1)), layers.GRU(24), layers.Dense(1)])
model.compile(keras.optimizers.Adam(3e-3), "mse")

for length in (4, 8, 16, 32, 64):
    numbers = random.normal(size=(1000, length, 1)).astype("float32")
    sums = numbers.sum(axis=1) / length**0.5
    model.fit(numbers, sums, batch_size=25, verbose=2)
