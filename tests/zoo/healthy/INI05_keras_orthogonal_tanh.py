"""Keras digit classifier of tanh layers whose kernels start orthogonal: their outputs are large,
and not at the ends."""

import keras
from keras import layers
from sklearn.datasets import load_digits

keras.utils.set_random_seed(244)

digits = load_digits()
pixels = ((digits.data - 4.9) / 6).astype("float32")

model = keras.Sequential([layers.Input((64,))])
for _ in range(4):
    model.add(layers.Dense(64, activation="tanh", kernel_initializer="orthogonal"))
model.add(layers.Dense(10, activation="softmax"))
model.compile(keras.optimizers.Adam(1e-3), "sparse_categorical_crossentropy")
model.fit(pixels, digits.target, batch_size=64, epochs=6, verbose=2)
