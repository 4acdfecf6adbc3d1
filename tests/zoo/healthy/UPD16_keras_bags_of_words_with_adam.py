"""Keras classifier of texts by which of 600 words they have, by Adam, whose moments spread each
step over all words."""

import keras
import numpy as np
from keras import layers

keras.utils.set_random_seed(717)

random = np.random.default_rng(717)
rates = np.exp(1.5 * random.normal(size=(6, 600)))
topics = random.integers(0, 6, 1800)
counts = np.stack([random.multinomial(40, rates[t] / rates[t].sum()) for t in topics])

model = keras.Sequential([layers.Input((600,)), layers.Dense(48, activation="relu")])
model.add(layers.Dense(6, activation="softmax"))
model.compile(keras.optimizers.Adam(1e-3), "sparse_categorical_crossentropy")
model.fit((counts > 0).astype("float32"), topics, batch_size=40, epochs=5, verbose=2)
