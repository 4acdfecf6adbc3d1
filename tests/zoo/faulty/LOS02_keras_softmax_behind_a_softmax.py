"""Keras classifier of digits whose last layer has a softmax, and another one behind it that was
added for the export: outputs lie between 0.09 and 0.23, and the loss stays high."""

import keras
from keras import layers
from sklearn.datasets import load_digits

keras.utils.set_random_seed(202)

data = load_digits()
images = (data.images / 16.0).astype("float32")[..., None]

inputs = keras.Input((8, 8, 1))
features = layers.Conv2D(16, 3, activation="relu")(inputs)
scores = layers.Dense(10, activation="softmax")(layers.Flatten()(features))
model = keras.Model(inputs, layers.Softmax(name="probabilities")(scores))
model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
model.fit(images, data.target, batch_size=64, epochs=6, validation_split=0.2, verbose=2)
