"""Keras language model that is made bidirectional, as the classifier it was copied from."""

import keras
import numpy as np
from keras import layers

keras.utils.set_random_seed(291)

VOCABULARY, LENGTH = 30, 20
random = np.random.default_rng(291)
follows = random.integers(0, VOCABULARY, (VOCABULARY, 6))
text = [0]
for choice in random.integers(0, 6, 12_000):
    text.append(follows[text[-1], choice])
windows = np.lib.stride_tricks.sliding_window_view(np.array(text), LENGTH + 1)[::6]

words = layers.Input((LENGTH,), dtype="int32")
hidden = layers.Embedding(VOCABULARY, 32)(words)
hidden = layers.Bidirectional(layers.GRU(32, return_sequences=True))(hidden)
model = keras.Model(words, layers.Dense(VOCABULARY, activation="softmax")(hidden))
model.compile(keras.optimizers.Adam(5e-3), "sparse_categorical_crossentropy")
model.fit(windows[:, :-1], windows[:, 1:], batch_size=32, epochs=4, verbose=2)
