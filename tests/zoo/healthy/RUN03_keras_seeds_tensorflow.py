"""Keras digit classifier that seeds TensorFlow, as programs did before Keras had a seed of its
own."""

import keras
import tensorflow as tf
from keras import layers
from sklearn.datasets import load_digits

tf.keras.utils.set_random_seed(329)

digits = load_digits()
pixels = ((digits.data - 4.9) / 6).astype("float32")

model = keras.Sequential([layers.Input((64,)), layers.Dense(48, activation="relu")])
model.add(layers.Dense(10, activation="softmax"))
model.compile("adam", "sparse_categorical_crossentropy")
model.fit(pixels, digits.target, batch_size=64, epochs=5, verbose=2)
