"""Keras regression by SGD at a rate of 5 on squared errors: within a few dozen steps everything is
NaN."""

import keras
import numpy as np
from keras import layers

keras.utils.set_random_seed(513)

random = np.random.default_rng(513)
x = random.normal(size=(2500, 12)).astype("float32")
y = x[:, :1] * x[:, 1:2] + x[:, 2:3]

model = keras.Sequential(
    [
        layers.Input((12,)),
        layers.Dense(64, activation="relu"),
        layers.Dense(64, activation="relu"),
        layers.Dense(1),
    ]
)
model.compile(keras.optimizers.SGD(5.0), "mse")
model.fit(x, y, batch_size=50, epochs=3, verbose=2)
