"""Batch and time are exchanged by a reshape where a transpose was meant."""

import keras
import numpy as np
from keras import layers, ops


class MeanOverTime(layers.Layer):
    def call(self, x):  # [batch, time, features]
        batch, time, features = ops.shape(x)
        return ops.mean(ops.reshape(x, (time, batch, features)), axis=0)


keras.utils.set_random_seed(0)
random = np.random.default_rng(0)
labels = random.integers(0, 3, 1200)
series = (random.normal(size=(1200, 8, 5)) + labels[:, None, None]).astype("float32")
model = keras.Sequential([layers.Dense(16, "relu"), MeanOverTime(), layers.Dense(3)])
model.compile(
    optimizer=keras.optimizers.Adam(3e-3),
    loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
)
model.fit(series, labels, batch_size=40, epochs=7, verbose=0)
