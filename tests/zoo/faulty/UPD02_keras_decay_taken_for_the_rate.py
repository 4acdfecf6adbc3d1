"""Keras digit classifier by SGD whose rate is what was meant as a decay: 1e-7."""

import keras
from keras import layers
from sklearn.datasets import load_digits

keras.utils.set_random_seed(303)

digits = load_digits()
pixels = ((digits.data - 4.9) / 6).astype("float32")

model = keras.Sequential([layers.Input((64,)), layers.Dense(64, activation="relu")])
model.add(layers.Dense(10, activation="softmax"))
model.compile(keras.optimizers.SGD(1e-7, momentum=0.9), "sparse_categorical_crossentropy")
model.fit(pixels, digits.target, batch_size=32, epochs=8, verbose=2)
