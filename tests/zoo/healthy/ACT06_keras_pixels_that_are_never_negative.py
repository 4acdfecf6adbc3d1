"""Keras digit classifier whose pixels lie between 0 and 1, as Keras' own examples have them."""

import keras
from keras import layers
from sklearn.datasets import load_digits

keras.utils.set_random_seed(412)

digits = load_digits()
pixels = (digits.data / 16).astype("float32")

model = keras.Sequential([layers.Input((64,))])
for _ in range(2):
    model.add(layers.Dense(64))
    model.add(layers.LeakyReLU())
model.add(layers.Dense(10, activation="softmax"))
model.compile(keras.optimizers.Adam(2e-3), "sparse_categorical_crossentropy")
model.fit(pixels, digits.target, batch_size=64, epochs=8, verbose=2)
