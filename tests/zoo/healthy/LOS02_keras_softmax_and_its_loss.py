"""Keras digit classifier with a softmax head and the loss on probabilities, which is its own."""

import keras
from keras import layers
from sklearn.datasets import load_digits

keras.utils.set_random_seed(22)

digits = load_digits()
images = ((digits.data - digits.data.mean()) / digits.data.std()).astype("float32")

model = keras.Sequential(
    [
        layers.Input((64,)),
        layers.Dense(64, activation="relu"),
        layers.Dense(10, activation="softmax"),
    ]
)
model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
model.fit(images, digits.target, batch_size=64, epochs=8, verbose=2)
