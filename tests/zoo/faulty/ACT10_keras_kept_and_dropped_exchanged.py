"""Keras digit classifier with `Dropout(0.9)`: in TensorFlow 1 the number was what is kept."""

import keras
from keras import layers
from sklearn.datasets import load_digits

keras.utils.set_random_seed(417)

digits = load_digits()
images = (digits.images[..., None] / 8 - 1).astype("float32")

model = keras.Sequential(
    [
        layers.Input((8, 8, 1)),
        layers.Conv2D(16, 3, activation="relu"),
        layers.Flatten(),
        layers.Dense(64, activation="relu"),
        layers.Dropout(0.9),
        layers.Dense(10, activation="softmax"),
    ]
)
model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
model.fit(images, digits.target, batch_size=64, epochs=6, verbose=2)
