"""Layers frozen for a first stage of fine-tuning, and never thawed; only a bias still learns."""

import keras
import numpy as np
from keras import layers

keras.utils.set_random_seed(0)
random = np.random.default_rng(0)
labels = random.integers(0, 8, 1500)
points = (3 * random.normal(size=(8, 16))[labels] + random.normal(size=(1500, 16))).astype(
    "float32"
)
model = keras.Sequential(
    [layers.Dense(2, "tanh"), layers.Dense(8, trainable=False), layers.Rescaling(0.1)]
)
model.layers[0].trainable = False
model.add(layers.BatchNormalization(scale=False))
model.compile(
    optimizer=keras.optimizers.Adam(1e-2),
    loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
)
model.fit(points.astype("float32"), labels, batch_size=64, epochs=10, verbose=0)
