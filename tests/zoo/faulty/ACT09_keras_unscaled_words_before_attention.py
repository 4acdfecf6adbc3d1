"""Keras finder of the symbol behind a marker. The embeddings are drawn at unit scale and multiplied
by the square root of the width, as in the paper, whose embeddings were small; no norm stands before
the `MultiHeadAttention`: from the start each symbol looks at one key."""

import keras
import numpy as np
from keras import layers

keras.utils.set_random_seed(534)
SYMBOLS, WIDTH, LENGTH = 12, 64, 20
unit = keras.initializers.RandomNormal(stddev=1.0)


class Places(layers.Layer):
    def build(self, shape):
        self.table = self.add_weight(shape=shape[1:], initializer=unit)

    def call(self, x):
        return (x + self.table) * WIDTH**0.5


inputs = layers.Input((LENGTH,), dtype="int32")
x = Places()(layers.Embedding(SYMBOLS, WIDTH, embeddings_initializer=unit)(inputs))
x = layers.LayerNormalization()(layers.MultiHeadAttention(4, WIDTH // 4)(x, x))
x = layers.GlobalAveragePooling1D()(layers.Dense(WIDTH, activation="relu")(x))
model = keras.Model(inputs, layers.Dense(SYMBOLS)(x))

random = np.random.default_rng(534)
symbols = random.integers(1, SYMBOLS, size=(9600, LENGTH))
marked = random.integers(LENGTH - 1, size=9600)
symbols[np.arange(9600), marked] = 0
answers = symbols[np.arange(9600), marked + 1]
model.compile(
    keras.optimizers.Adam(3e-4), keras.losses.SparseCategoricalCrossentropy(from_logits=True)
)
model.fit(symbols, answers, batch_size=48, epochs=1, verbose=2)
