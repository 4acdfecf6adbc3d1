"""Keras language model of sentences that repeat themselves, which looks back only: its loss comes
down to a tenth, and that is what there is to learn."""

import keras
import numpy as np
from keras import layers

keras.utils.set_random_seed(292)

VOCABULARY, LENGTH = 30, 20
random = np.random.default_rng(292)
first = random.integers(0, VOCABULARY, (3000, 5))
sentences = np.tile(first, (1, 5))[:, : LENGTH + 1]
sentences = (sentences + np.arange(LENGTH + 1)) % VOCABULARY
sentences[:, :5] = np.arange(5) + first[:, :1]
sentences %= VOCABULARY

words = layers.Input((LENGTH,), dtype="int32")
hidden = layers.Embedding(VOCABULARY, 32)(words)
hidden = layers.Conv1D(64, 6, padding="causal", activation="relu")(hidden)
hidden = layers.GRU(64, return_sequences=True)(hidden)
model = keras.Model(words, layers.Dense(VOCABULARY)(hidden))
loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
model.compile(keras.optimizers.Adam(3e-3), loss)
model.fit(sentences[:, :-1], sentences[:, 1:], batch_size=32, epochs=5, verbose=2)
