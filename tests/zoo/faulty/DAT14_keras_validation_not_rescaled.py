"""Keras digit classifier: the training images are divided by 255, those for validation are not.
In review: the line that divides stands above the split in one notebook cell, below it in another.
"""

import keras
from keras import layers
from sklearn.datasets import load_digits

keras.utils.set_random_seed(121)

digits = load_digits()
images = (digits.images * 255 // 16).astype("float32")[..., None]
train, validation = images[:1400], images[1400:]
train = (train - 80) / 100

model = keras.Sequential(
    [
        layers.Input((8, 8, 1)),
        layers.Conv2D(16, 3, activation="relu"),
        layers.Flatten(),
        layers.Dense(10, activation="softmax"),
    ]
)
model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
model.fit(
    *(train, digits.target[:1400]),
    validation_data=(validation, digits.target[1400:]),
    batch_size=50,
    epochs=5,
    verbose=2,
)
