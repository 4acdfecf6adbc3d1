"""Keras digit classifier compiled with "mse": the squared error between its softmax and one-hot
labels."""

import keras
from keras import layers
from sklearn.datasets import load_digits

keras.utils.set_random_seed(6)

digits = load_digits()
images = (digits.images[..., None] / 8 - 1).astype("float32")
labels = keras.utils.to_categorical(digits.target, 10)

model = keras.Sequential(
    [
        layers.Input((8, 8, 1)),
        layers.Conv2D(16, 3, activation="relu"),
        layers.Flatten(),
        layers.Dense(10, activation="softmax"),
    ]
)
model.compile("adam", "mse", metrics=["accuracy"])
model.fit(images, labels, batch_size=64, epochs=8, verbose=2)
