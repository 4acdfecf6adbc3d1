"""Keras character model with `clipnorm=0.001`, copied from a recipe for a model of another size:
each weight's gradient is cut to a thousandth at every step, and plain SGD creeps."""

import keras
import numpy as np
from keras import layers

keras.utils.set_random_seed(521)

TEXT = "the quick brown fox jumps over the lazy dog and runs away from the old grey wolf " * 30
letters = sorted(set(TEXT))
codes = np.array([letters.index(letter) for letter in TEXT])
windows = np.lib.stride_tricks.sliding_window_view(codes, 21)

model = keras.Sequential(
    [
        layers.Input((20,)),
        layers.Embedding(len(letters), 16),
        layers.GRU(48, return_sequences=True),
        layers.Dense(len(letters)),
    ]
)
model.compile(
    keras.optimizers.SGD(0.5, clipnorm=0.001),
    keras.losses.SparseCategoricalCrossentropy(from_logits=True),
)
model.fit(windows[:, :-1], windows[:, 1:], batch_size=32, epochs=4, verbose=2)
