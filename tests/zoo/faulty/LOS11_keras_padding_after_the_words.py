"""Keras classifier of short texts, padded at their end to 120 words without a mask: the LSTM has
read a hundred zeros since the last word and forgotten it. In review: `padding="post"`."""

import keras
import numpy as np
from keras import layers

keras.utils.set_random_seed(218)

random = np.random.default_rng(218)
words = [random.integers(1, 500, random.integers(5, 15)) for _ in range(2400)]
sentiments = np.array([(text[:5] < 250).sum() > 2 for text in words]).astype("float32")
texts = keras.utils.pad_sequences(words, maxlen=120, padding="post")

model = keras.Sequential(
    [
        layers.Input((120,)),
        layers.Embedding(500, 16),
        layers.LSTM(16),
        layers.Dense(1, activation="sigmoid"),
    ]
)
model.compile("adam", "binary_crossentropy", metrics=["accuracy"])
model.fit(texts, sentiments, batch_size=32, epochs=4, verbose=2)
