"""Keras language model that uses the matrix of its embedding as its head, without a call."""

import keras
import numpy as np
from keras import layers, ops

keras.utils.set_random_seed(331)

text = ("the quick brown fox jumps over the lazy dog and runs into the wood " * 80).encode()
windows = np.lib.stride_tricks.sliding_window_view(np.frombuffer(text, np.uint8) % 32, 17)
windows = windows[np.random.default_rng(331).permutation(len(windows))[:2500]].astype("int32")


class Model(keras.Model):
    def __init__(self):
        super().__init__()
        self.letters = layers.Embedding(32, 32)
        self.memory = layers.GRU(32, return_sequences=True)

    def call(self, x):
        hidden = self.memory(self.letters(x))
        return ops.matmul(hidden, ops.transpose(self.letters.embeddings)) * 3.0


model = Model()
model.compile(
    keras.optimizers.Adam(3e-3), keras.losses.SparseCategoricalCrossentropy(from_logits=True)
)
model.fit(windows[:, :16], windows[:, 1:], batch_size=50, epochs=4, verbose=2)
