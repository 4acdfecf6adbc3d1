"""Keras classifier of waves with a strong decoupled decay: the weights shrink to a part of what
they were and stay there, where gradient and decay are in balance."""

import keras
import numpy as np
from keras import layers

keras.utils.set_random_seed(709)

random = np.random.default_rng(709)
kinds = random.integers(0, 4, 1600)
waves = np.sin(np.arange(24) * (0.3 + 0.2 * kinds[:, None]) + 6 * random.random((1600, 1)))

model = keras.Sequential([layers.Input((24, 1)), layers.Conv1D(24, 5, activation="relu")])
model.add(layers.GlobalMaxPooling1D())
model.add(layers.Dense(4, activation="softmax"))
model.compile(keras.optimizers.AdamW(5e-3, weight_decay=0.5), "sparse_categorical_crossentropy")
model.fit(waves[..., None].astype("float32"), kinds, batch_size=40, epochs=8, verbose=2)
