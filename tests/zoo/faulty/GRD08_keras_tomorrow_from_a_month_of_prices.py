"""Keras LSTM that is to say whether a share will rise tomorrow, from a month of a random walk, in
batches of four days: nearly all of each gradient is the luck of those days."""

import keras
import numpy as np
from keras import layers

keras.utils.set_random_seed(824)

random = np.random.default_rng(824)
moves = random.normal(size=1700)
moves[1:] += 0.05 * moves[:-1]
months = np.lib.stride_tricks.sliding_window_view(moves, 21)
rises = (months[:, -1] > 0).astype("float32")

inputs = keras.Input((20, 1))
model = keras.Model(inputs, layers.Dense(1)(layers.LSTM(12)(inputs)))
model.compile(keras.optimizers.SGD(0.1), keras.losses.BinaryCrossentropy(from_logits=True))
model.fit(months[:, :-1, None], rises, batch_size=4, epochs=1, verbose=2)
