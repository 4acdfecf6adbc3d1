"""A layer norm of one's own; its backward takes mean and variance for constants."""

import keras
import numpy as np
from keras import layers, ops


class Norm(layers.Layer):
    def build(self, shape):
        self.scale = self.add_weight(shape=(shape[-1],), initializer="ones")

    def call(self, x):
        @ops.custom_gradient
        def normalised(x):
            deviation = ops.sqrt(ops.var(x, axis=-1, keepdims=True) + 1e-5)
            centred = (x - ops.mean(x, axis=-1, keepdims=True)) / deviation
            return centred, lambda upstream: upstream / deviation

        return normalised(x) * self.scale


keras.utils.set_random_seed(0)
random = np.random.default_rng(0)
x = random.normal(size=(1500, 8)).astype("float32")
y = (x[:, 0] > x[:, 1]).astype("int32")
model = keras.Sequential([layers.Dense(24), Norm(), layers.ReLU(), layers.Dense(2)])
model.compile(
    optimizer=keras.optimizers.AdamW(3e-3),
    loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
)
model.fit(x, y, batch_size=50, epochs=7, verbose=0)
