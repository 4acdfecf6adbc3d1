"""Keras churn model with an amount in cents beside rates between 0 and 1."""

import keras
import numpy as np
from keras import layers

keras.utils.set_random_seed(9)

random = np.random.default_rng(9)
rates = random.random((3000, 5)) - 0.5
amount = random.normal(0, 4000, (3000, 1))
churned = (rates[:, 0] + rates[:, 1] + amount[:, 0] / 8000 > 0).astype("float32")
features = np.concatenate([rates, amount], 1).astype("float32")

model = keras.Sequential(
    [
        layers.Input((6,)),
        layers.Dense(32, activation="relu"),
        layers.Dense(1, activation="sigmoid"),
    ]
)
model.compile("adam", "binary_crossentropy", metrics=["accuracy"])
model.fit(features, churned, batch_size=64, epochs=6, verbose=2)
