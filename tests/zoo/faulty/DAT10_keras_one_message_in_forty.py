"""Keras filter of messages of which one in forty is to be kept out, and nothing weighs them: to let
all of them through is nearly always right."""

import keras
import numpy as np
from keras import layers

keras.utils.set_random_seed(631)

random = np.random.default_rng(631)
bad = random.random(4000) < 0.025
words = random.integers(0, 200, (4000, 20))
words[bad, :4] = random.integers(0, 20, (int(bad.sum()), 4))

model = keras.Sequential([layers.Input((20,)), layers.Embedding(200, 16)])
model.add(layers.GlobalAveragePooling1D())
model.add(layers.Dense(16, activation="relu"))
model.add(layers.Dense(1, activation="sigmoid"))
model.compile(keras.optimizers.Adam(2e-3), "binary_crossentropy")
model.fit(words, bad.astype("float32"), batch_size=64, epochs=4, verbose=2)
