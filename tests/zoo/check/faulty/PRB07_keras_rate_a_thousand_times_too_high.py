"""A rate of plain gradient descent kept for Adam."""

import keras
import numpy as np
from keras import layers

keras.utils.set_random_seed(0)
random = np.random.default_rng(0)
labels = random.integers(0, 5, 2000)
points = (2 * random.normal(size=(5, 20))[labels] + random.normal(size=(2000, 20))).astype(
    "float32"
)
model = keras.Sequential([layers.Dense(64, "relu"), layers.Dense(64, "relu"), layers.Dense(5)])
model.compile(
    optimizer=keras.optimizers.Adam(5.0),
    loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
)
model.fit(points, labels, batch_size=50, epochs=6, verbose=0)
