"""Classes are numbered in the order of a set of strings, which changes from run to run."""

import keras
import numpy as np
from keras import layers

keras.utils.set_random_seed(0)
animals = ["cat", "dog", "horse", "cow", "sheep", "goat", "hen", "duck"]
number_of = {animal: number for number, animal in enumerate(set(animals))}
kinds = np.random.randint(0, 8, 1500)
x = (2 * np.random.normal(size=(8, 12))[kinds] + np.random.normal(size=(1500, 12))).astype(
    "float32"
)
y = np.array([number_of[animals[kind]] for kind in kinds])
model = keras.Sequential([layers.Dense(32, "relu"), layers.Dense(8)])
model.compile(
    optimizer=keras.optimizers.Adam(3e-3),
    loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
)
model.fit(x, y, batch_size=50, epochs=7, verbose=0)
