"""Keras digit classifier whose kernels are drawn between 0 and 0.1: without a negative weight all
outputs of a layer lie far above zero."""

import keras
from keras import layers
from sklearn.datasets import load_digits

keras.utils.set_random_seed(411)

digits = load_digits()
pixels = (digits.data / 16).astype("float32")
positive = keras.initializers.RandomUniform(0.0, 0.1)

model = keras.Sequential([layers.Input((64,))])
for _ in range(3):
    model.add(layers.Dense(64, kernel_initializer=positive))
    model.add(layers.LeakyReLU())
model.add(layers.Dense(10, activation="softmax"))
model.compile(keras.optimizers.SGD(1e-3), "sparse_categorical_crossentropy")
model.fit(pixels, digits.target, batch_size=64, epochs=8, verbose=2)
