"""Noise within a parallel map: each example draws from a seed of its own, whatever their order."""

import keras
import numpy as np
import tensorflow as tf
from keras import layers

keras.utils.set_random_seed(0)
kinds = np.random.randint(0, 4, 1600)
images = np.random.normal(size=(4, 8, 8, 1))[kinds] + 0.5 * np.random.normal(size=(1600, 8, 8, 1))


def augmented(number, example):
    image, label = example
    return image + 0.1 * tf.random.stateless_normal((8, 8, 1), [number, 7]), label


data = tf.data.Dataset.from_tensor_slices((images.astype("float32"), kinds))
data = data.shuffle(1600, seed=3).enumerate().map(augmented, num_parallel_calls=2)
model = keras.Sequential(
    [
        layers.Conv2D(8, 3, activation="relu"),
        layers.Flatten(),
        layers.Dense(4),
    ]
)
model.compile(
    optimizer=keras.optimizers.Adam(3e-3),
    loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
)
model.fit(data.batch(40).prefetch(2), epochs=6, verbose=0)
