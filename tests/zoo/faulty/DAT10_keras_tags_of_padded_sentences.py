"""Keras tagger of sentences that are filled up to the longest one, without `mask_zero`."""

import keras
import numpy as np
from keras import layers

keras.utils.set_random_seed(1010)

random = np.random.default_rng(1010)
tag_of_word = random.integers(1, 6, 150)
sentences, tags = np.zeros((900, 40), "int32"), np.zeros((900, 40), "int32")
for row in range(900):
    words = random.integers(1, 150, random.integers(3, 14))
    sentences[row, : len(words)] = words
    tags[row, : len(words)] = tag_of_word[words]

model = keras.Sequential(
    [
        layers.Embedding(150, 24),
        layers.GRU(24, return_sequences=True),
        layers.Dense(6, activation="softmax"),
    ]
)
model.compile(keras.optimizers.Adam(5e-3), "sparse_categorical_crossentropy", metrics=["accuracy"])
model.fit(sentences, tags, batch_size=30, epochs=4, verbose=2)
