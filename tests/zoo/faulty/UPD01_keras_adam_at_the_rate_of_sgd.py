"""Keras digit classifier trained by Adam at 0.1, the rate that SGD had before it."""

import keras
from keras import layers
from sklearn.datasets import load_digits

keras.utils.set_random_seed(301)

digits = load_digits()
images = (digits.images[..., None] / 8 - 1).astype("float32")

model = keras.Sequential(
    [
        layers.Input((8, 8, 1)),
        layers.Conv2D(16, 3, activation="relu"),
        layers.Conv2D(32, 3, activation="relu"),
        layers.Flatten(),
        layers.Dense(64, activation="relu"),
        layers.Dense(10),
    ]
)
model.compile(
    keras.optimizers.Adam(0.1), keras.losses.SparseCategoricalCrossentropy(from_logits=True)
)
model.fit(images, digits.target, batch_size=64, epochs=8, verbose=2)
