"""Keras classifier of sequences with a dropout behind its last layer: in training half of the
logits are zero, the right one among them."""

import keras
import numpy as np
from keras import layers

keras.utils.set_random_seed(624)

random = np.random.default_rng(624)
tokens = random.integers(0, 30, (2000, 15))
label = (tokens[:, -3:] < 12).sum(1)

model = keras.Sequential(
    [
        layers.Input((15,)),
        layers.Embedding(30, 16),
        layers.GRU(24),
        layers.Dense(4),
        layers.Dropout(0.5),
    ]
)
model.compile(
    keras.optimizers.Adam(1e-2), keras.losses.SparseCategoricalCrossentropy(from_logits=True)
)
model.fit(tokens, label, batch_size=50, epochs=8, verbose=2)
