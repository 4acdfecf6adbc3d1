"""Keras classifier of 120 digits, a fifth of them badly labelled, by a large network without any
regularisation."""

import keras
import numpy as np
from keras import layers
from sklearn.datasets import load_digits

keras.utils.set_random_seed(16)

random = np.random.default_rng(16)
digits = load_digits()
images = ((digits.data - digits.data.mean()) / digits.data.std()).astype("float32")
labels = digits.target.copy()
wrong = random.random(len(labels)) < 0.2
labels[wrong] = random.integers(0, 10, wrong.sum())

model = keras.Sequential(
    [
        layers.Input((64,)),
        layers.Dense(256, activation="relu"),
        layers.Dense(256, activation="relu"),
        layers.Dense(10),
    ]
)
model.compile(
    keras.optimizers.Adam(2e-3), keras.losses.SparseCategoricalCrossentropy(from_logits=True)
)
model.fit(
    *(images[:120], labels[:120]),
    batch_size=20,
    epochs=40,
    validation_data=(images[120:800], labels[120:800]),
    verbose=2,
)
