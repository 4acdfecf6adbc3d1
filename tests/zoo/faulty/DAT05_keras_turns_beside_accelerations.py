"""Keras GRU that tells three gestures apart from accelerations in m/s² and rotations in turns per
millisecond, as the driver delivers them: the rotations are too small to be seen."""

import keras
import numpy as np
from keras import layers

keras.utils.set_random_seed(602)

random = np.random.default_rng(602)
gesture = random.integers(0, 3, 1800)
time = np.arange(30) / 30
swing = np.sin(6.28 * (1 + gesture[:, None]) * time + 6.28 * random.random((1800, 1)))
acceleration = 3 * swing[..., None] + random.normal(0, 2, (1800, 30, 2))
rotation = (swing[..., None] + random.normal(0, 1, (1800, 30, 2))) * 1e-3
signal = np.concatenate([acceleration, rotation], axis=2).astype("float32")

model = keras.Sequential([layers.Input((30, 4)), layers.GRU(24)])
model.add(layers.Dense(3, activation="softmax"))
model.compile(keras.optimizers.Adam(3e-3), "sparse_categorical_crossentropy")
model.fit(signal, gesture, batch_size=50, epochs=4, verbose=2)
