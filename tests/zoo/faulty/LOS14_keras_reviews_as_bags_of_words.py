"""Keras classifier of reviews that takes the mean of their words. "Not" turns the word behind it
around, and in a mean nothing stands behind anything: reviews with a "not" are guessed."""

import keras
import numpy as np
from keras import layers

keras.utils.set_random_seed(848)
NOT, GOOD, BAD = 0, 1, 2

random = np.random.default_rng(848)
words = random.integers(3, 60, (5000, 10))
at, is_good = random.integers(1, 9, 5000), random.random(5000) < 0.5
words[np.arange(5000), at] = np.where(is_good, GOOD, BAD)
has_not, before = random.random(5000) < 0.6, random.random(5000) < 0.5
rows = np.flatnonzero(has_not)
words[rows, np.where(before, at - 1, at + 1)[rows]] = NOT
likes = (is_good ^ (has_not & before)).astype("float32")

model = keras.Sequential(
    [
        layers.Input((10,), dtype="int32"),
        layers.Embedding(60, 8),
        layers.GlobalAveragePooling1D(),
        layers.Dense(1),
    ]
)
model.compile(keras.optimizers.Adam(0.02), keras.losses.BinaryCrossentropy(from_logits=True))
model.fit(words, likes, batch_size=50, epochs=10, validation_split=0.2, verbose=2)
