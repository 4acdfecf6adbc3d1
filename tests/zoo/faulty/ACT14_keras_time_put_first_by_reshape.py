"""Keras model that tells three movements by three channels of a sensor. A `reshape` was to put the
time before the channels: it cuts the same numbers anew, across the examples of the batch.
"""

import keras
import numpy as np
from keras import layers, ops

keras.utils.set_random_seed(66)
random = np.random.default_rng(66)

kind = random.integers(0, 3, 2000)
phase = random.uniform(0, 6, (2000, 3, 1))
waves = np.sin(np.arange(40) * (0.2 + 0.3 * kind[:, None, None]) + phase)
recorded = (waves + 0.1 * random.normal(size=waves.shape)).astype("float32")

given = keras.Input((3, 40))
hidden = layers.Lambda(lambda x: ops.reshape(x, (40, -1, 3)))(given)
hidden = layers.Lambda(lambda x: ops.transpose(x, (1, 0, 2)))(hidden)
hidden = layers.Conv1D(16, 5, activation="relu")(hidden)
hidden = layers.GlobalAveragePooling1D()(hidden)
model = keras.Model(given, layers.Dense(3, activation="softmax")(hidden))
model.compile(keras.optimizers.Adam(1e-3), "sparse_categorical_crossentropy")
model.fit(recorded, kind, batch_size=50, epochs=8, validation_split=0.2, verbose=2)
