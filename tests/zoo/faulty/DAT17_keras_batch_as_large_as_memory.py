"""Keras digit classifier with a batch of 768, the largest that fits into memory: two steps make an
epoch."""

import keras
from keras import layers
from sklearn.datasets import load_digits

keras.utils.set_random_seed(125)

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
model.compile(keras.optimizers.Adam(2e-3), "sparse_categorical_crossentropy")
model.fit(images, digits.target, batch_size=768, epochs=40, verbose=0)
