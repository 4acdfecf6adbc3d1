"""Keras student that learns the softmax of a teacher by squared error: soft targets."""

import keras
from keras import layers
from sklearn.datasets import load_digits

keras.utils.set_random_seed(26)

digits = load_digits()
images = ((digits.data - digits.data.mean()) / digits.data.std()).astype("float32")


def network(width):
    return keras.Sequential(
        [
            layers.Input((64,)),
            layers.Dense(width, activation="relu"),
            layers.Dense(10, activation="softmax"),
        ]
    )


teacher = network(96)
teacher.compile("adam", "sparse_categorical_crossentropy")
teacher.fit(images, digits.target, batch_size=64, epochs=4, verbose=2)
student = network(24)
student.compile("adam", "mse")
student.fit(images, teacher.predict(images, verbose=0), batch_size=64, epochs=8, verbose=2)
