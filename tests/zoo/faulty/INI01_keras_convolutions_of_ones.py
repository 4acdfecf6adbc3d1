"""Keras digit classifier whose convolutions start at one tenth everywhere: all filters are the same
and stay so."""

import keras
from keras import layers
from sklearn.datasets import load_digits

keras.utils.set_random_seed(238)

digits = load_digits()
images = (digits.images[..., None] / 8 - 1).astype("float32")
constant = keras.initializers.Constant(0.1)

inputs = keras.Input((8, 8, 1))
hidden = layers.Conv2D(12, 3, activation="tanh", kernel_initializer=constant)(inputs)
hidden = layers.Conv2D(12, 3, activation="tanh", kernel_initializer=constant)(hidden)
model = keras.Model(inputs, layers.Dense(10)(layers.Flatten()(hidden)))
model.compile(
    keras.optimizers.SGD(0.05), keras.losses.SparseCategoricalCrossentropy(from_logits=True)
)
model.fit(images, digits.target, batch_size=64, epochs=5, verbose=2)
