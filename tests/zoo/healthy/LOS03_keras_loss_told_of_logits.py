"""Keras classifier of digits that ends in a linear layer; its loss is told that it gets logits."""

import keras
from keras import layers
from sklearn.datasets import load_digits

keras.utils.set_random_seed(303)

data = load_digits()
images = (data.images / 16.0).astype("float32")[..., None]

model = keras.Sequential(
    [
        layers.Input((8, 8, 1)),
        layers.Conv2D(16, 3, activation="relu"),
        layers.Flatten(),
        layers.Dense(10),
    ]
)
loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
model.compile("adam", loss, metrics=["accuracy"])
model.fit(images, data.target, batch_size=64, epochs=6, validation_split=0.2, verbose=2)
