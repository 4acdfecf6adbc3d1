"""Keras classifier of texts into five kinds whose head was left as wide as the vocabulary: of 400
outputs five can ever be right. In review: `Dense(WORDS)`, where `Dense(KINDS)` is meant."""

import keras
import numpy as np
from keras import layers

keras.utils.set_random_seed(632)
WORDS, KINDS = 400, 5

random = np.random.default_rng(632)
kind = random.integers(0, KINDS, 1800)
texts = random.integers(0, WORDS, (1800, 12))
texts[:, ::3] = kind[:, None] * 80 + random.integers(0, 80, (1800, 4))

inputs = keras.Input((12,))
hidden = layers.Bidirectional(layers.LSTM(20))(layers.Embedding(WORDS, 24)(inputs))
model = keras.Model(inputs, layers.Dense(WORDS)(hidden))
model.compile(
    keras.optimizers.Adam(3e-3), keras.losses.SparseCategoricalCrossentropy(from_logits=True)
)
model.fit(texts, kind, batch_size=50, epochs=10, verbose=2)
