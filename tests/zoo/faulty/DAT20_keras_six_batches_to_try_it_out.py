"""Keras autoencoder of digits on a pipeline that ends after six batches. In review: `.take(6)`,
with which the network was tried out, before a shuffle that makes the epochs look different."""

import keras
import tensorflow as tf
from keras import layers
from sklearn.datasets import load_digits

keras.utils.set_random_seed(821)

digits = load_digits()
images = (digits.images[..., None] / 16).astype("float32")
data = tf.data.Dataset.from_tensor_slices(images).map(lambda image: (image, image))
data = data.batch(48).take(6).cache().shuffle(6)

model = keras.Sequential(
    [
        layers.Input((8, 8, 1)),
        layers.Conv2D(12, 3, strides=2, padding="same", activation="relu"),
        layers.Flatten(),
        layers.Dense(12, activation="relu"),
        layers.Dense(64, activation="relu"),
        layers.Reshape((8, 8, 1)),
        layers.Conv2D(1, 3, padding="same", activation="sigmoid"),
    ]
)
model.compile(keras.optimizers.Adam(3e-3), "mse")
model.fit(data, epochs=25, verbose=2)
