"""Keras digit classifier with the batch size that `fit` takes when it is told none: 32."""

import keras
from keras import layers
from sklearn.datasets import load_digits

keras.utils.set_random_seed(126)

digits = load_digits()
images = (digits.images / 8 - 1).astype("float32")

model = keras.Sequential(
    [
        layers.Input((8, 8)),
        layers.Flatten(),
        layers.Dense(48, activation="elu"),
        layers.Dense(10, activation="softmax"),
    ]
)
model.compile("nadam", "sparse_categorical_crossentropy")
model.fit(images, digits.target, epochs=5, verbose=2)
