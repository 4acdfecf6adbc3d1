"""Keras churn model on two exports of a data base that overlap by a third. In review:
`np.concatenate([spring, summer])`, and both begin in May."""

import keras
import numpy as np
from keras import layers

keras.utils.set_random_seed(111)

random = np.random.default_rng(111)
customers = random.normal(size=(3000, 9)).astype("float32")
churned = (customers[:, 0] - customers[:, 1] + 0.7 * random.normal(size=3000) > 0).astype("float32")
rows = np.concatenate([np.arange(0, 2000), np.arange(1000, 3000)])

model = keras.Sequential(
    [
        layers.Input((9,)),
        layers.Dense(24, activation="relu"),
        layers.Dropout(0.1),
        layers.Dense(1, activation="sigmoid"),
    ]
)
model.compile(keras.optimizers.Adam(2e-3), "binary_crossentropy", metrics=["AUC"])
model.fit(customers[rows], churned[rows], batch_size=50, epochs=5, verbose=2)
