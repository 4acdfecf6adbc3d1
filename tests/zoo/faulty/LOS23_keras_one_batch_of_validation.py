"""Keras digit classifier validated on one batch of the 400 images that were set aside. In review:
`validation_steps=1`."""

import keras
from keras import layers
from sklearn.datasets import load_digits

keras.utils.set_random_seed(236)

digits = load_digits()
images = (digits.images[..., None] / 8 - 1).astype("float32")

model = keras.Sequential(
    [layers.Input((8, 8, 1)), layers.Conv2D(16, 3, activation="relu"), layers.Flatten()]
)
model.add(layers.Dense(10, activation="softmax"))
model.compile(keras.optimizers.Adam(2e-3), "sparse_categorical_crossentropy", metrics=["accuracy"])
model.fit(
    *(images[:1397], digits.target[:1397]),
    validation_data=(images[1397:], digits.target[1397:]),
    validation_batch_size=32,
    validation_steps=1,
    epochs=5,
    verbose=2,
)
