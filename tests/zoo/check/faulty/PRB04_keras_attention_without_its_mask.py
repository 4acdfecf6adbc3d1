"""A language model whose attention lost `use_causal_mask=True`."""

import keras
import numpy as np
from keras import layers

keras.utils.set_random_seed(0)
VOCABULARY, LENGTH = 16, 12
random = np.random.default_rng(0)
text = random.integers(0, VOCABULARY, 8000)
starts = random.integers(0, len(text) - LENGTH - 1, 2000)
x = np.stack([text[s : s + LENGTH] for s in starts])
y = np.stack([text[s + 1 : s + LENGTH + 1] for s in starts])
tokens = keras.Input((LENGTH,), dtype="int32")
hidden = layers.Embedding(VOCABULARY, 24)(tokens)
hidden = hidden + layers.MultiHeadAttention(2, 12)(hidden, hidden)
model = keras.Model(tokens, layers.Dense(VOCABULARY)(hidden))
model.compile(
    optimizer=keras.optimizers.Adam(3e-3),
    loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
)
model.fit(x, y, batch_size=32, epochs=4, verbose=0)
