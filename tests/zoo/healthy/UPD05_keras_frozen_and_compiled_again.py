"""Keras digit classifier on a base that has learnt five digits: all of it is trained for an epoch,
then its head alone.
"""

import keras
from keras import layers
from sklearn.datasets import load_digits

keras.utils.set_random_seed(413)

digits = load_digits()
images = (digits.images[..., None] / 8 - 1).astype("float32")
low = digits.target < 5

base = keras.Sequential(
    [
        layers.Input((8, 8, 1)),
        layers.Conv2D(16, 3, activation="relu"),
        layers.Flatten(),
        layers.Dense(32, activation="relu"),
    ],
    name="base",
)
first = keras.Sequential([base, layers.Dense(5, activation="softmax")])
first.compile(keras.optimizers.Adam(1e-3), "sparse_categorical_crossentropy")
first.fit(images[low], digits.target[low], batch_size=32, epochs=6, verbose=2)

model = keras.Sequential([base, layers.Dense(10, activation="softmax")])
model.compile(keras.optimizers.Adam(1e-3), "sparse_categorical_crossentropy")
model.fit(images, digits.target, batch_size=32, epochs=2, verbose=2)
base.trainable = False
model.compile(keras.optimizers.Adam(1e-3), "sparse_categorical_crossentropy")
model.fit(images, digits.target, batch_size=32, epochs=8, verbose=2)
