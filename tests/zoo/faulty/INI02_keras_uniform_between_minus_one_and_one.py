"""Keras classifier of waves whose weights are drawn between -1 and 1, as in a lecture on
perceptrons."""

import keras
import numpy as np
from keras import layers

keras.utils.set_random_seed(240)

random = np.random.default_rng(240)
kinds = random.integers(0, 3, 1500)
waves = np.sin(np.arange(24) * (0.3 + 0.3 * kinds[:, None]) + random.random((1500, 1)) * 6)
uniform = keras.initializers.RandomUniform(-1.0, 1.0)

model = keras.Sequential(
    [
        layers.Input((24, 1)),
        layers.Conv1D(32, 5, activation="relu", kernel_initializer=uniform),
        layers.Conv1D(32, 5, activation="relu", kernel_initializer=uniform),
        layers.GlobalMaxPooling1D(),
        layers.Dense(3, activation="softmax"),
    ]
)
model.compile("adam", "sparse_categorical_crossentropy")
model.fit(waves[..., None].astype("float32"), kinds, batch_size=50, epochs=5, verbose=2)
