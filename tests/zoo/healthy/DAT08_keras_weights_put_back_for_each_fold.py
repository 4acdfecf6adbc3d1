"""Keras cross-validation in five folds of a single model, which begins each of them with the
weights that it had at first, and with a new optimizer."""

import keras
from keras import layers
from sklearn.datasets import load_digits
from sklearn.model_selection import KFold

keras.utils.set_random_seed(552)

digits = load_digits()
x = (digits.data / 16).astype("float32")

model = keras.Sequential([layers.Input((64,)), layers.Dense(64, activation="relu")])
model.add(layers.Dense(10, activation="softmax"))
first = model.get_weights()

for trained, held_out in KFold(5, shuffle=True, random_state=552).split(x):
    validation = x[held_out], digits.target[held_out]
    model.set_weights(first)
    model.compile(keras.optimizers.Adam(1e-3), "sparse_categorical_crossentropy")
    model.fit(
        *(x[trained], digits.target[trained]), validation_data=validation, epochs=4, verbose=2
    )
