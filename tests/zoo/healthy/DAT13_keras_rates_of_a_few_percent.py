"""Keras model of how often an advertisement is clicked: its targets are rates of a few percent."""

import keras
import numpy as np
from keras import layers

keras.utils.set_random_seed(331)
rng = np.random.default_rng(331)

rows = rng.normal(size=(3000, 8)).astype("float32")
rate = 0.06 / (1 + np.exp(-rows[:, 0] - rows[:, 1]))
clicked = (rng.binomial(400, rate) / 400).astype("float32")

start = keras.initializers.Constant(float(np.log(clicked.mean() / (1 - clicked.mean()))))
model = keras.Sequential(
    [
        layers.Input((8,)),
        layers.Dense(32, activation="relu"),
        layers.Dense(1, activation="sigmoid", bias_initializer=start),
    ]
)
model.compile("adam", "binary_crossentropy")
model.fit(rows, clicked, batch_size=32, epochs=8, validation_split=0.2, verbose=2)
