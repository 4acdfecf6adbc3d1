"""Keras regression in a script for cross-validation that sets the weights back for each fold. The
line ended up one level too deep: in the loop over epochs."""

import keras
import numpy as np
from keras import layers

keras.utils.set_random_seed(210)

random = np.random.default_rng(210)
x = random.normal(size=(2000, 10)).astype("float32")
y = np.sin(2 * x[:, :1]) + x[:, 1:2] * x[:, 2:3] + 0.3 * random.normal(size=(2000, 1))
y = (y / y.std()).astype("float32")

model = keras.Sequential([layers.Input((10,)), layers.Dense(48, activation="relu")])
model.add(layers.Dense(48, activation="relu"))
model.add(layers.Dense(1))
model.compile(keras.optimizers.SGD(2e-3), "mse")
start = model.get_weights()

for fold in range(2):
    held_out = np.arange(len(x)) % 2 == fold
    for epoch in range(6):
        model.set_weights(start)
        model.fit(x[~held_out], y[~held_out], batch_size=40, verbose=0)
        error = model.evaluate(x[held_out], y[held_out], verbose=0)
        print(f"fold {fold}  epoch {epoch}  error {error:.4f}")
