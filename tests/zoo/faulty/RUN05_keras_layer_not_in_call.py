"""Keras text classifier as a class whose call skips the second layer: the name of the first stands
there twice."""

import keras
import numpy as np
from keras import layers

keras.utils.set_random_seed(330)

random = np.random.default_rng(330)
texts = random.integers(0, 200, (1500, 16))
positive = ((texts < 60).sum(1) > 4).astype("float32")


class Reader(keras.Model):
    def __init__(self):
        super().__init__()
        self.words = layers.Embedding(200, 24)
        self.first = layers.Dense(24, activation="relu")
        self.second = layers.Dense(24, activation="relu")
        self.head = layers.Dense(1, activation="sigmoid")
        self.second.build((None, 24))

    def call(self, x):
        hidden = self.first(self.words(x))
        hidden = self.first(hidden)
        return self.head(keras.ops.mean(hidden, axis=1))


model = Reader()
model.compile(keras.optimizers.Adam(2e-3), "binary_crossentropy")
model.fit(texts, positive, batch_size=50, epochs=5, verbose=2)
