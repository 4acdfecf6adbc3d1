"""Keras digit classifier whose images were shuffled and whose labels were not."""

import keras
import numpy as np
from keras import layers
from sklearn.datasets import load_digits

keras.utils.set_random_seed(15)

digits = load_digits()
images = ((digits.data - digits.data.mean()) / digits.data.std()).astype("float32")
images = np.random.default_rng(15).permutation(images)

model = keras.Sequential(
    [layers.Input((64,)), layers.Dense(24, activation="relu"), layers.Dense(10)]
)
model.compile(
    keras.optimizers.SGD(0.02), keras.losses.SparseCategoricalCrossentropy(from_logits=True)
)
model.fit(images, digits.target, batch_size=64, epochs=12, verbose=2)
