"""The model ends in a softmax, and the loss takes its output for logits: it is applied twice."""

import keras
import numpy as np
from keras import layers

keras.utils.set_random_seed(0)
random = np.random.default_rng(0)
labels = random.integers(0, 8, 2000)
points = (3 * random.normal(size=(8, 16))[labels] + random.normal(size=(2000, 16))).astype(
    "float32"
)
model = keras.Sequential([layers.Dense(64, "relu"), layers.Dense(8, "softmax")])
model.compile(
    optimizer=keras.optimizers.Adam(1e-2),
    loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
)
model.fit(points, labels, batch_size=64, epochs=12, verbose=0)
