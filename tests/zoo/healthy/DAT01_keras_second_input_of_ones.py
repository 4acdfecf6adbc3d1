"""Keras classifier of vibrations with a second input that says which samples are valid: all of
them are, hence it is constant."""

import keras
import numpy as np
from keras import layers

keras.utils.set_random_seed(102)

random = np.random.default_rng(102)
time = np.linspace(0, 1, 96)
kinds = random.integers(0, 3, 1200)
waves = np.sin(2 * np.pi * (4 + 3 * kinds[:, None]) * time + random.random((1200, 1)) * 6)
waves = (waves + 0.3 * random.normal(size=waves.shape))[..., None].astype("float32")
valid = np.ones((1200, 96, 1), "float32")

signal, mask = layers.Input((96, 1), name="signal"), layers.Input((96, 1), name="valid")
hidden = layers.Conv1D(16, 9, padding="same", activation="relu")(layers.Multiply()([signal, mask]))
hidden = layers.Dense(16, activation="relu")(layers.GlobalAveragePooling1D()(hidden))
model = keras.Model([signal, mask], layers.Dense(3)(hidden))
model.compile(
    keras.optimizers.Adam(3e-3), keras.losses.SparseCategoricalCrossentropy(from_logits=True)
)
model.fit([waves, valid], kinds, batch_size=40, epochs=8, verbose=2)
