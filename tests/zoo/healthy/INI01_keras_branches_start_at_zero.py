"""Keras digit classifier with residual branches that end in a layer of zeros, so that it starts as
a shallow one."""

import keras
from keras import layers
from sklearn.datasets import load_digits

keras.utils.set_random_seed(239)

digits = load_digits()
pixels = ((digits.data - 4.9) / 6).astype("float32")

inputs = keras.Input((64,))
hidden = layers.Dense(48, activation="relu")(inputs)
for _ in range(3):
    branch = layers.Dense(48, activation="relu")(hidden)
    branch = layers.Dense(48, kernel_initializer="zeros")(branch)
    hidden = layers.Add()([hidden, branch])
model = keras.Model(inputs, layers.Dense(10)(hidden))
model.compile(
    keras.optimizers.Adam(1e-3), keras.losses.SparseCategoricalCrossentropy(from_logits=True)
)
model.fit(pixels, digits.target, batch_size=64, epochs=6, verbose=2)
