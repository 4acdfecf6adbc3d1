"""Keras digit classifier whose own accuracy compares a column of labels with a row of classes. In
review: labels of shape (N, 1) and an argmax of shape (N,) are compared N × N times."""

import keras
from keras import layers, ops
from sklearn.datasets import load_digits

keras.utils.set_random_seed(322)

digits = load_digits()
images = (digits.images.reshape(-1, 64) / 8 - 1).astype("float32")


def acc(labels, predictions):
    classes = ops.cast(ops.argmax(predictions, axis=-1), labels.dtype)
    return ops.mean(ops.cast(ops.equal(labels, classes), "float32"))


model = keras.Sequential(
    [
        layers.Input((64,)),
        layers.Dense(32, activation="relu"),
        layers.Dense(10, activation="softmax"),
    ]
)
model.compile("adam", "sparse_categorical_crossentropy", metrics=[acc])
model.fit(images, digits.target[:, None], batch_size=32, epochs=8, verbose=2)
