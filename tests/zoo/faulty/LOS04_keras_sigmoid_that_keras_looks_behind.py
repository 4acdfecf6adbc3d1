"""Keras classifier of breast tumours that ends in a sigmoid, with a loss that is told of logits.
Keras on TensorFlow uses the logits behind the sigmoid, so that the run is right. In review:
`BinaryCrossentropy(from_logits=True)` beside `activation="sigmoid"`."""

import keras
from keras import layers
from sklearn.datasets import load_breast_cancer
from sklearn.preprocessing import scale

keras.utils.set_random_seed(4)

features, benign = load_breast_cancer(return_X_y=True)
model = keras.Sequential(
    [layers.Input((30,)), layers.Dense(16, activation="relu"), layers.Dense(1, "sigmoid")]
)
model.compile(keras.optimizers.Adam(1e-3), keras.losses.BinaryCrossentropy(from_logits=True))
model.fit(scale(features), benign, batch_size=16, epochs=8, validation_split=0.2, verbose=2)
