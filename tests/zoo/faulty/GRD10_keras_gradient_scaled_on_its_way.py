"""Keras digit classifier with a layer that hands its input on and scales the gradient that comes
back, by a factor that was tuned for an adversary: the convolution gets a hundred-thousandth."""

import keras
import tensorflow as tf
from keras import layers
from sklearn.datasets import load_digits

keras.utils.set_random_seed(435)

digits = load_digits()
images = (digits.images[..., None] / 8 - 1).astype("float32")


@tf.custom_gradient
def scaled(x):
    return tf.identity(x), lambda upstream: 1e-5 * upstream


class Scaled(layers.Layer):
    def call(self, x):
        return scaled(x)


model = keras.Sequential(
    [
        layers.Input((8, 8, 1)),
        layers.Conv2D(16, 3, activation="relu"),
        Scaled(),
        layers.Flatten(),
        layers.Dense(32, activation="relu"),
        layers.Dense(10, activation="softmax"),
    ]
)
model.compile(keras.optimizers.SGD(0.05), "sparse_categorical_crossentropy")
model.fit(images, digits.target, batch_size=64, epochs=6, verbose=2)
