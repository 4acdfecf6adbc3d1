"""Keras digit classifier whose training images are moved and get noise, inside the model and in
training alone."""

import keras
from keras import layers
from sklearn.datasets import load_digits

keras.utils.set_random_seed(122)

digits = load_digits()
images = (digits.images[..., None] / 8 - 1).astype("float32")

model = keras.Sequential(
    [
        layers.Input((8, 8, 1)),
        layers.RandomTranslation(0.1, 0.1, fill_mode="constant", fill_value=-1.0),
        layers.GaussianNoise(0.2),
        layers.Conv2D(24, 3, activation="relu"),
        layers.Flatten(),
        layers.Dense(10, activation="softmax"),
    ]
)
model.compile(keras.optimizers.Adam(2e-3), "sparse_categorical_crossentropy", metrics=["accuracy"])
model.fit(
    *(images[:1400], digits.target[:1400]),
    validation_data=(images[1400:], digits.target[1400:]),
    batch_size=50,
    epochs=6,
    verbose=2,
)
