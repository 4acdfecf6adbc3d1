"""Keras model that tells whether a sequence holds enough low numbers. A few slots compete for each
place, as in slot attention, and what each slot takes in is divided by the sum of its weights.
"""

import keras
import numpy as np
from keras import layers, ops

keras.utils.set_random_seed(29)
random = np.random.default_rng(29)
numbers = random.integers(1, 60, (1600, 24))
enough = (np.sum(numbers < 8, axis=1) > 2).astype("int32")


class Slots(layers.Layer):
    def __init__(self, slots, width):
        super().__init__()
        self.slots, self.width = slots, width
        self.key, self.value = (layers.Dense(width, use_bias=False) for _ in range(2))
        self.query = layers.Dense(slots * width)

    def call(self, x):
        queries = ops.reshape(self.query(ops.mean(x, axis=1)), (-1, self.slots, self.width))
        scores = ops.matmul(queries, ops.transpose(self.key(x), (0, 2, 1))) * self.width**-0.5
        weights = ops.softmax(scores, axis=1) + 1e-6
        weights = weights / ops.sum(weights, axis=2, keepdims=True)
        return ops.matmul(weights, self.value(x))


given = keras.Input((24,), dtype="int32")
hidden = layers.Embedding(60, 32)(given)
hidden = layers.Flatten()(Slots(4, 32)(hidden))
hidden = layers.Dense(32, activation="relu")(hidden)
model = keras.Model(given, layers.Dense(2, activation="softmax")(hidden))
model.compile(keras.optimizers.Adam(1e-3), "sparse_categorical_crossentropy", metrics=["accuracy"])
model.fit(numbers, enough, batch_size=32, epochs=5, validation_split=0.2, verbose=2)
