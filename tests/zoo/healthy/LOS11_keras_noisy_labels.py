"""Keras digit classifier a third of whose labels are wrong: the loss stays high, below chance."""

import keras
import numpy as np
from keras import layers
from sklearn.datasets import load_digits

keras.utils.set_random_seed(33)

random = np.random.default_rng(33)
digits = load_digits()
images = ((digits.data - digits.data.mean()) / digits.data.std()).astype("float32")
labels = digits.target.copy()
wrong = random.random(len(labels)) < 0.33
labels[wrong] = random.integers(0, 10, wrong.sum())

model = keras.Sequential(
    [layers.Input((64,)), layers.Dense(24, activation="relu"), layers.Dense(10)]
)
model.compile(
    keras.optimizers.Adam(2e-3), keras.losses.SparseCategoricalCrossentropy(from_logits=True)
)
model.fit(images, labels, batch_size=64, epochs=8, verbose=2)
