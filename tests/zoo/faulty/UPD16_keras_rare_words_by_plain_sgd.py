"""Keras classifier of short texts from counts of 3000 words, by plain SGD in batches of eight: a
step changes the rows of the words that it saw and leaves all others as they are."""

import keras
import numpy as np
from keras import layers

keras.utils.set_random_seed(611)
WORDS, TOPICS = 3000, 6

random = np.random.default_rng(611)
rates = np.exp(2 * random.normal(size=(TOPICS, WORDS)))
rates /= rates.sum(axis=1, keepdims=True)
topics = random.integers(0, TOPICS, 2000)
counts = np.stack([random.multinomial(12, rates[topic]) for topic in topics]).astype("float32")

model = keras.Sequential([layers.Input((WORDS,)), layers.Dense(24, activation="relu")])
model.add(layers.Dense(TOPICS, activation="softmax"))
model.compile(keras.optimizers.SGD(0.1), "sparse_categorical_crossentropy")
model.fit(counts, topics, batch_size=8, epochs=1, verbose=2)
