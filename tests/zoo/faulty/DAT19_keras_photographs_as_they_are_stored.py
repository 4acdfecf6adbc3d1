"""Keras classifier of leaves on photographs in a pipeline that decodes them and does nothing else:
the first convolution takes bytes for numbers around zero."""

import keras
import numpy as np
import tensorflow as tf
from keras import layers

keras.utils.set_random_seed(638)

random = np.random.default_rng(638)
kinds = random.integers(0, 3, 900)
leaves = random.normal(110, 30, (900, 16, 16, 3))
leaves += 60 * np.eye(3)[kinds][:, None, None, :]
data = tf.data.Dataset.from_tensor_slices((leaves.clip(0, 255).astype("uint8"), kinds))

model = keras.Sequential(
    [
        layers.Input((16, 16, 3)),
        layers.Conv2D(12, 3, strides=2, activation="relu"),
        layers.Conv2D(24, 3, strides=2, activation="relu"),
        layers.GlobalAveragePooling2D(),
        layers.Dense(3, activation="softmax"),
    ]
)
model.compile(keras.optimizers.Adam(1e-3), "sparse_categorical_crossentropy")
model.fit(data.shuffle(900).batch(30), epochs=5, verbose=2)
