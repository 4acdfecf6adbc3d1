"""Keras model of digits. Where its convolutions should be flattened, the pictures are: Keras leaves
the convolutions out of the model without a word.
"""

import keras
from keras import layers
from sklearn.datasets import load_digits

keras.utils.set_random_seed(61)
digits = load_digits()
pictures = (digits.images / 16.0).astype("float32")[..., None]

given = keras.Input((8, 8, 1))
hidden = layers.Conv2D(16, 3, activation="relu")(given)
hidden = layers.Conv2D(32, 3, activation="relu")(layers.BatchNormalization()(hidden))
hidden = layers.Dropout(0.1)(layers.Flatten()(given))
model = keras.Model(given, layers.Dense(10, activation="softmax")(hidden))
model.compile(keras.optimizers.Adam(1e-3), "sparse_categorical_crossentropy", metrics=["accuracy"])
model.fit(pictures, digits.target, batch_size=32, epochs=6, validation_split=0.2, verbose=2)
