"""Keras fault detector with one faulty machine in twenty, weighted by class."""

import keras
import numpy as np
from keras import layers

keras.utils.set_random_seed(35)

random = np.random.default_rng(35)
signals = random.normal(size=(4000, 12)).astype("float32")
faulty = (random.random(4000) < 1 / 20).astype("float32")
signals[:, :4] += faulty[:, None]

model = keras.Sequential(
    [
        layers.Input((12,)),
        layers.Dense(24, activation="relu"),
        layers.Dense(1, activation="sigmoid"),
    ]
)
model.compile("adam", "binary_crossentropy", metrics=["accuracy"])
model.fit(signals, faulty, batch_size=64, epochs=6, class_weight={0: 1.0, 1: 19.0}, verbose=2)
