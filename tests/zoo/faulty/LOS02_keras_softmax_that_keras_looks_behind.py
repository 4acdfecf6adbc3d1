"""Keras wine classifier that ends in a softmax, with a loss that is told of logits. Keras on
TensorFlow uses the logits behind the softmax and only warns, so that the run is right. In review:
`from_logits=True` beside `activation="softmax"`."""

import keras
from keras import layers
from sklearn.datasets import load_wine
from sklearn.preprocessing import scale

keras.utils.set_random_seed(4)

features, cultivar = load_wine(return_X_y=True)
inputs = layers.Input((13,))
hidden = layers.Dense(32, activation="relu")(inputs)
model = keras.Model(inputs, layers.Dense(3, activation="softmax")(hidden))
model.compile(
    keras.optimizers.Adam(3e-3), keras.losses.SparseCategoricalCrossentropy(from_logits=True)
)
model.fit(scale(features), cultivar, batch_size=16, epochs=20, verbose=2)
