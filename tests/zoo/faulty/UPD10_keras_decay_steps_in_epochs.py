"""Keras digit classifier with a schedule whose steps were meant as epochs: the optimizer counts
batches, and the rate is gone within the first epoch. In review: `decay_steps=1`."""

import keras
from keras import layers
from sklearn.datasets import load_digits

keras.utils.set_random_seed(313)

digits = load_digits()
images = (digits.images[..., None] / 8 - 1).astype("float32")

model = keras.Sequential(
    [
        layers.Input((8, 8, 1)),
        layers.Conv2D(16, 3, activation="relu"),
        layers.Flatten(),
        layers.Dense(10, activation="softmax"),
    ]
)
schedule = keras.optimizers.schedules.ExponentialDecay(3e-3, decay_steps=1, decay_rate=0.9)
model.compile(keras.optimizers.Adam(schedule), "sparse_categorical_crossentropy")
model.fit(images, digits.target, batch_size=32, epochs=10, verbose=2)
