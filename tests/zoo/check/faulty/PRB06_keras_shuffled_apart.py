"""Inputs and targets are two data sets, each shuffled by itself and zipped afterwards."""

import keras
import numpy as np
import tensorflow as tf
from keras import layers

keras.utils.set_random_seed(0)
random = np.random.default_rng(0)
x = random.normal(size=(3000, 6)).astype("float32")
y = (x[:, :2].sum(1, keepdims=True) > 0).astype("float32")
inputs = tf.data.Dataset.from_tensor_slices(x).shuffle(3000, seed=1)
targets = tf.data.Dataset.from_tensor_slices(y).shuffle(3000, seed=2)
model = keras.Sequential([layers.Dense(128, "relu"), layers.Dense(1)])
model.compile(
    optimizer=keras.optimizers.Adam(1e-2), loss=keras.losses.BinaryCrossentropy(from_logits=True)
)
model.fit(tf.data.Dataset.zip((inputs, targets)).batch(16), epochs=3, verbose=0)
