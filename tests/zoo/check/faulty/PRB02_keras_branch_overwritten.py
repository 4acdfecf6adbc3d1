"""The embedded tokens are overwritten by the positions that were to be added to them."""

import keras
import numpy as np
from keras import layers, ops

VOCABULARY, LENGTH = 20, 10


class Model(keras.Model):
    def __init__(self):
        super().__init__()
        self.tokens = layers.Embedding(VOCABULARY, 24)
        self.places = layers.Embedding(LENGTH, 24)
        self.body, self.head = layers.Dense(48, "gelu"), layers.Dense(VOCABULARY)

    def call(self, tokens):
        x = self.tokens(tokens)
        x = 0.0 * x + self.places(ops.arange(LENGTH))
        return self.head(self.body(x))


keras.utils.set_random_seed(0)
random = np.random.default_rng(0)
text = np.cumsum(random.integers(1, 3, 5000)) % VOCABULARY
starts = random.integers(0, len(text) - LENGTH - 1, 2000)
x = np.stack([text[s : s + LENGTH] for s in starts])
y = np.stack([text[s + 1 : s + LENGTH + 1] for s in starts])
model = Model()
model.compile(
    optimizer=keras.optimizers.Adam(3e-3),
    loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
)
model.fit(x, y, batch_size=32, epochs=5, verbose=0)
