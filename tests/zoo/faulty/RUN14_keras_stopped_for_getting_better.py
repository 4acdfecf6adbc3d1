"""Keras digit classifier that is stopped when its accuracy no longer falls. In review:
`mode="min"` was copied with the callback, which watched a loss before."""

import keras
from keras import layers
from sklearn.datasets import load_digits

keras.utils.set_random_seed(314)

digits = load_digits()
images = (digits.images[..., None] / 8 - 1).astype("float32")

model = keras.Sequential(
    [
        layers.Input((8, 8, 1)),
        layers.Conv2D(16, 3, activation="relu"),
        layers.Flatten(),
        layers.Dense(10, activation="softmax"),
    ]
)
model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
stopping = keras.callbacks.EarlyStopping(
    "val_accuracy", mode="min", patience=4, restore_best_weights=True
)
model.fit(images, digits.target, validation_split=0.2, epochs=30, callbacks=[stopping], verbose=2)
