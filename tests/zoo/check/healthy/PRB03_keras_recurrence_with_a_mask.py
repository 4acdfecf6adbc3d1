"""An LSTM over padded sequences, its mask made by the embedding."""

import keras
import numpy as np
from keras import layers

keras.utils.set_random_seed(0)
tokens = np.random.randint(1, 30, (1500, 12))
lengths = np.random.randint(4, 13, 1500)
tokens[np.arange(12)[None] >= lengths[:, None]] = 0
labels = (tokens == 7).any(1).astype("int32")
tokens[labels == 1, 0] = 7
model = keras.Sequential(
    [layers.Embedding(30, 16, mask_zero=True), layers.LSTM(24), layers.Dense(2)]
)
model.compile(
    optimizer=keras.optimizers.Adam(5e-3),
    loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
)
model.fit(tokens, labels, batch_size=50, epochs=8, verbose=0)
