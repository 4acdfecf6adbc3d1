"""Keras digit classifier on a pipeline that repeats for ever: an epoch is what `fit` is told, and
goes on where the last one ended."""

import keras
import tensorflow as tf
from keras import layers
from sklearn.datasets import load_digits

keras.utils.set_random_seed(132)

digits = load_digits()
images = (digits.images[..., None] / 8 - 1).astype("float32")
data = tf.data.Dataset.from_tensor_slices((images, digits.target)).shuffle(1800).repeat().batch(64)

model = keras.Sequential(
    [layers.Input((8, 8, 1)), layers.Conv2D(16, 3, activation="relu"), layers.Flatten()]
)
model.add(layers.Dense(10, activation="softmax"))
model.compile(keras.optimizers.Adam(3e-3), "sparse_categorical_crossentropy")
model.fit(data, epochs=16, steps_per_epoch=10, verbose=2)
