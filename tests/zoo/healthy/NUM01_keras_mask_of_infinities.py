"""Keras attention written by hand with a causal mask of minus infinities, which its softmax turns
into zeros."""

import keras
import numpy as np
from keras import layers, ops

keras.utils.set_random_seed(502)

random = np.random.default_rng(502)
texts = random.integers(0, 20, (1500, 12))
texts[:, 1::2] = (texts[:, ::2] + 3) % 20


class Attention(layers.Layer):
    def __init__(self):
        super().__init__()
        self.of_input = layers.Dense(3 * 32)
        self.mask = np.triu(np.full((11, 11), -np.inf, "float32"), 1)

    def call(self, x):
        query, key, value = ops.split(self.of_input(x), 3, axis=-1)
        scores = ops.matmul(query, ops.transpose(key, (0, 2, 1))) / 32**0.5
        return x + ops.matmul(ops.softmax(scores + self.mask), value)


inputs = keras.Input((11,))
hidden = Attention()(layers.Embedding(20, 32)(inputs))
hidden = layers.Dense(32, activation="relu")(hidden)
model = keras.Model(inputs, layers.Dense(20)(hidden))
model.compile(
    keras.optimizers.Adam(3e-3), keras.losses.SparseCategoricalCrossentropy(from_logits=True)
)
model.fit(texts[:, :11], texts[:, 1:], batch_size=50, epochs=5, verbose=2)
