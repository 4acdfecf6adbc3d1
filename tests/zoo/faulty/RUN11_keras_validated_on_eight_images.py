"""Keras network of convolutions that is validated after each epoch, on the eight images that were
taken for a first try: what it says is chance."""

import keras
from keras import layers
from sklearn.datasets import load_digits

keras.utils.set_random_seed(718)

digits = load_digits()
images = (digits.images[..., None] / 8 - 1).astype("float32")

model = keras.Sequential(
    [
        layers.Input((8, 8, 1)),
        layers.Conv2D(16, 3, activation="relu"),
        layers.Dropout(0.2),
        layers.GlobalMaxPooling2D(),
        layers.Dense(10, activation="softmax"),
    ]
)
model.compile(keras.optimizers.Adam(2e-3), "sparse_categorical_crossentropy", metrics=["accuracy"])
held_out = images[:8], digits.target[:8]
model.fit(
    images[8:], digits.target[8:], validation_data=held_out, batch_size=20, epochs=12, verbose=2
)
