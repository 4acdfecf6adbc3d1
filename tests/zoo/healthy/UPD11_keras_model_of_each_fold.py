"""Keras cross-validation in six folds: each has a model of its own, which sees its data once."""

import keras
from keras import layers
from sklearn.datasets import load_digits
from sklearn.model_selection import KFold

keras.utils.set_random_seed(536)

digits = load_digits()
x = (digits.data / 16).astype("float32")


def build():
    model = keras.Sequential([layers.Input((64,)), layers.Dense(64, activation="relu")])
    model.add(layers.Dense(10, activation="softmax"))
    model.compile(
        keras.optimizers.Adam(3e-3), "sparse_categorical_crossentropy", metrics=["accuracy"]
    )
    return model


for trained, held_out in KFold(6, shuffle=True, random_state=536).split(x):
    model = build()
    model.fit(x[trained], digits.target[trained], batch_size=32, epochs=1, verbose=0)
    loss, accuracy = model.evaluate(x[held_out], digits.target[held_out], verbose=0)
    print(f"loss {loss:.4f}  accuracy {accuracy:.3f}")
