"""Keras regression of counts by the Poisson loss, which is negative by right."""

import keras
import numpy as np
from keras import layers

keras.utils.set_random_seed(233)

random = np.random.default_rng(233)
x = random.normal(size=(2500, 6)).astype("float32")
visits = random.poisson(np.exp(1.2 + 0.4 * x[:, :1] - 0.3 * x[:, 1:2])).astype("float32")

model = keras.Sequential(
    [
        layers.Input((6,)),
        layers.Dense(24, activation="relu"),
        layers.Dense(1, activation="exponential"),
    ]
)
model.compile(keras.optimizers.Adam(2e-3), "poisson")
model.fit(x, visits, batch_size=50, epochs=6, verbose=2)
