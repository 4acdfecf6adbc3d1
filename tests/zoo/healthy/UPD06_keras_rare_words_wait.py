"""Keras classifier of short texts with an embedding of 4000 words: most rows wait for their
word."""

import keras
import numpy as np
from keras import layers

keras.utils.set_random_seed(310)

random = np.random.default_rng(310)
texts = np.minimum(random.zipf(1.3, (2000, 12)), 4000) - 1
positive = ((texts[:, :6] % 3 == 1).sum(1) > 1).astype("float32")

model = keras.Sequential(
    [
        layers.Input((12,)),
        layers.Embedding(4000, 16),
        layers.Flatten(),
        layers.Dense(24, activation="relu"),
        layers.Dense(1, activation="sigmoid"),
    ]
)
model.compile(keras.optimizers.Adam(2e-3), "binary_crossentropy", metrics=["accuracy"])
model.fit(texts, positive, batch_size=50, epochs=4, verbose=2)
