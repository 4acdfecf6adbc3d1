"""Keras digit classifier whose optimizer accumulates the gradients of four batches."""

import keras
from keras import layers
from sklearn.datasets import load_digits

keras.utils.set_random_seed(516)

digits = load_digits()
pixels = ((digits.data - 4.9) / 6).astype("float32")

model = keras.Sequential([layers.Input((64,)), layers.Dense(32, activation="relu")])
model.add(layers.Dense(10, activation="softmax"))
model.compile(
    keras.optimizers.Adam(5e-3, gradient_accumulation_steps=4), "sparse_categorical_crossentropy"
)
model.fit(pixels, digits.target, batch_size=16, epochs=6, verbose=2)
