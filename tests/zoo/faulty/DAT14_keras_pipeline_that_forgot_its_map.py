"""Keras on pipelines: images of the training are scaled in `map`, those of the validation not."""

import keras
import numpy as np
import tensorflow as tf
from keras import layers
from sklearn.datasets import load_digits

keras.utils.set_random_seed(1414)

digits = load_digits()
order = np.random.default_rng(1414).permutation(len(digits.images))
images = (digits.images[order, :, :, None] * 15.9).astype("float32")
labels = digits.target[order]


def scaled(image, label):
    return image / 255.0, label


training = tf.data.Dataset.from_tensor_slices((images[:1400], labels[:1400]))
training = training.shuffle(1400, seed=0).map(scaled).batch(28)
held_out = tf.data.Dataset.from_tensor_slices((images[1400:], labels[1400:])).batch(28)

model = keras.Sequential(
    [
        layers.Input((8, 8, 1)),
        layers.Conv2D(16, 3, activation="relu"),
        layers.Flatten(),
        layers.Dense(10, activation="softmax"),
    ]
)
model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
model.fit(training, validation_data=held_out, epochs=5, verbose=2)
