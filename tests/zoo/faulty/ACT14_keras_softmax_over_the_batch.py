"""Keras model that tells whether a sequence holds enough low numbers, with attention written by
hand. Its softmax runs over axis 0, so that the sequences of a batch share each weight.
"""

import keras
import numpy as np
from keras import layers, ops

keras.utils.set_random_seed(29)
random = np.random.default_rng(29)
numbers = random.integers(1, 60, (1600, 24))
enough = (np.sum(numbers < 8, axis=1) > 2).astype("int32")


class SelfAttention(layers.Layer):
    def __init__(self, width):
        super().__init__()
        self.query, self.key, self.value = (layers.Dense(width, use_bias=False) for _ in range(3))
        self.scale = width**-0.5

    def call(self, x):
        scores = ops.matmul(self.query(x), ops.transpose(self.key(x), (0, 2, 1))) * self.scale
        return ops.matmul(ops.softmax(scores, axis=0), self.value(x))


given = keras.Input((24,), dtype="int32")
hidden = layers.Embedding(60, 32)(given)
hidden = layers.LayerNormalization()(hidden + SelfAttention(32)(hidden))
hidden = layers.Dense(32, activation="relu")(layers.GlobalAveragePooling1D()(hidden))
model = keras.Model(given, layers.Dense(2, activation="softmax")(hidden))
model.compile(keras.optimizers.Adam(1e-3), "sparse_categorical_crossentropy", metrics=["accuracy"])
model.fit(numbers, enough, batch_size=32, epochs=8, validation_split=0.2, verbose=2)
