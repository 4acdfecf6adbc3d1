"""Keras digit classifier on a frozen trunk for whose weights nobody asked: they are random. In
review: `weights=None`, because the download failed."""

import keras
from keras import layers
from sklearn.datasets import load_digits

keras.utils.set_random_seed(446)

digits = load_digits()
images = (digits.images[..., None] / 8 - 1).astype("float32")


def pretrained(weights=None):
    trunk = keras.Sequential([layers.Input((8, 8, 1))], name="backbone")
    for width in (16, 32, 32):
        trunk.add(layers.Conv2D(width, 3, padding="same", activation="relu"))
    trunk.add(layers.GlobalAveragePooling2D())
    if weights is not None:
        trunk.load_weights(weights)
    return trunk


trunk = pretrained(weights=None)
trunk.trainable = False
model = keras.Sequential([trunk, layers.Dense(10, activation="softmax")])
model.compile(keras.optimizers.Adam(3e-3), "sparse_categorical_crossentropy")
model.fit(images, digits.target, batch_size=64, epochs=6, verbose=2)
