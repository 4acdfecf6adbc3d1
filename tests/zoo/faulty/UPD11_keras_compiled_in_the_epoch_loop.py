"""Keras digit classifier compiled again before each epoch, to print another learning rate: Adam's
moments are lost each time."""

import keras
from keras import layers
from sklearn.datasets import load_digits

keras.utils.set_random_seed(314)

digits = load_digits()
pixels = ((digits.data - 4.9) / 6).astype("float32")

model = keras.Sequential([layers.Input((64,)), layers.Dense(48, activation="relu")])
model.add(layers.Dense(10, activation="softmax"))
for epoch in range(8):
    model.compile(keras.optimizers.Adam(1e-3 * 0.9**epoch), "sparse_categorical_crossentropy")
    model.fit(pixels, digits.target, batch_size=64, epochs=1, verbose=2)
