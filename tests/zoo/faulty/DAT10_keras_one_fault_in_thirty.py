"""Keras fault detector: one machine in thirty is faulty, and nothing weighs them."""

import keras
import numpy as np
from keras import layers

keras.utils.set_random_seed(11)

random = np.random.default_rng(11)
signals = random.normal(size=(4000, 12)).astype("float32")
faulty = (random.random(4000) < 1 / 30).astype("float32")
signals[:, :4] += faulty[:, None]

model = keras.Sequential(
    [
        layers.Input((12,)),
        layers.Dense(24, activation="relu"),
        layers.Dense(1, activation="sigmoid"),
    ]
)
model.compile("adam", "binary_crossentropy", metrics=["accuracy"])
model.fit(signals, faulty, batch_size=64, epochs=5, verbose=2)
