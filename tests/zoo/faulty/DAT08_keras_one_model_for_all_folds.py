"""Keras cross-validation in five folds of a single model: from the second fold on it is validated
with what it was trained on in those before."""

import keras
from keras import layers
from sklearn.datasets import load_digits
from sklearn.model_selection import KFold

keras.utils.set_random_seed(551)

digits = load_digits()
x = (digits.data / 16).astype("float32")

model = keras.Sequential([layers.Input((64,)), layers.Dense(64, activation="relu")])
model.add(layers.Dense(10, activation="softmax"))
model.compile(keras.optimizers.Adam(1e-3), "sparse_categorical_crossentropy", metrics=["accuracy"])

for trained, held_out in KFold(5, shuffle=True, random_state=551).split(x):
    validation = x[held_out], digits.target[held_out]
    model.fit(
        *(x[trained], digits.target[trained]), validation_data=validation, epochs=4, verbose=2
    )
