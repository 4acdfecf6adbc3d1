"""Keras: a backbone trained on five digits gets a new head for the other five, and all layers of
the new model are frozen, the head with them. In review: the loop over `model.layers`."""

import keras
from keras import layers
from sklearn.datasets import load_digits

keras.utils.set_random_seed(0)

digits = load_digits()
images, is_low = (digits.images[..., None] / 16).astype("float32"), digits.target < 5
backbone = keras.Sequential(
    [
        layers.Input((8, 8, 1)),
        layers.Conv2D(16, 3, activation="relu"),
        layers.Conv2D(32, 3, activation="relu"),
        layers.GlobalAveragePooling2D(),
    ]
)
first = keras.Sequential([backbone, layers.Dense(5, activation="softmax")])
first.compile("adam", "sparse_categorical_crossentropy")
first.fit(images[is_low], digits.target[is_low], epochs=6, verbose=0)

model = keras.Sequential([backbone, layers.Dense(5, activation="softmax")])
for layer in model.layers:
    layer.trainable = False
model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
model.fit(images[~is_low], digits.target[~is_low] - 5, epochs=6, validation_split=0.2, verbose=2)
