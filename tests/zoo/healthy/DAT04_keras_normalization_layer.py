"""Keras churn model with an amount in cents beside rates, standardised by a Normalization layer."""

import keras
import numpy as np
from keras import layers

keras.utils.set_random_seed(29)

random = np.random.default_rng(29)
rates = random.random((3000, 5)) - 0.5
amount = random.normal(0, 4000, (3000, 1))
churned = (rates[:, 0] + rates[:, 1] + amount[:, 0] / 8000 > 0).astype("float32")
features = np.concatenate([rates, amount], 1).astype("float32")

standardise = layers.Normalization()
standardise.adapt(features)
model = keras.Sequential(
    [
        layers.Input((6,)),
        standardise,
        layers.Dense(32, activation="relu"),
        layers.Dense(1, activation="sigmoid"),
    ]
)
model.compile("adam", "binary_crossentropy", metrics=["accuracy"])
model.fit(features, churned, batch_size=64, epochs=6, verbose=2)
