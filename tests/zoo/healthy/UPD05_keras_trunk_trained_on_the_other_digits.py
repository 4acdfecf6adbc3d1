"""Keras digit classifier whose trunk learns five of the digits first; then it is frozen, and a head
for all ten is trained on it."""

import keras
from keras import layers
from sklearn.datasets import load_digits

keras.utils.set_random_seed(715)

digits = load_digits()
images = (digits.images[..., None] / 8 - 1).astype("float32")
low = digits.target < 5

trunk = keras.Sequential(
    [
        layers.Input((8, 8, 1)),
        layers.Conv2D(24, 3, padding="same", activation="relu"),
        layers.MaxPooling2D(),
        layers.Conv2D(32, 3, padding="same", activation="relu"),
        layers.Flatten(),
        layers.Dense(64, activation="relu"),
    ]
)
first = keras.Sequential([trunk, layers.Dense(5, activation="softmax")])
first.compile(keras.optimizers.Adam(2e-3), "sparse_categorical_crossentropy")
first.fit(images[low], digits.target[low], batch_size=48, epochs=5, verbose=2)

trunk.trainable = False
model = keras.Sequential([trunk, layers.Dense(10, activation="softmax")])
model.compile(keras.optimizers.Adam(5e-3), "sparse_categorical_crossentropy")
model.fit(images, digits.target, batch_size=48, epochs=5, validation_split=0.2, verbose=2)
