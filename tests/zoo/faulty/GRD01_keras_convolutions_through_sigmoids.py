"""Keras digit classifier of nine convolutions, each through a sigmoid, as in a book of 1998."""

import keras
from keras import layers
from sklearn.datasets import load_digits

keras.utils.set_random_seed(423)

digits = load_digits()
images = (digits.images[..., None] / 8 - 1).astype("float32")

model = keras.Sequential([layers.Input((8, 8, 1))])
for _ in range(10):
    model.add(layers.Conv2D(6, 3, padding="same", activation="sigmoid"))
model.add(layers.Flatten())
model.add(layers.Dense(10, activation="softmax"))
model.compile(keras.optimizers.SGD(0.05), "sparse_categorical_crossentropy")
model.fit(images, digits.target, batch_size=64, epochs=6, verbose=2)
