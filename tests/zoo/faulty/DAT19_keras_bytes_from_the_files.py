"""Keras digit classifier on 8-bit pixels, which the model casts and never scales: a Rescaling layer
is missing."""

import keras
import numpy as np
import tensorflow as tf
from keras import layers
from sklearn.datasets import load_digits

keras.utils.set_random_seed(129)

digits = load_digits()
pixels = (digits.images * 255 // 16).astype(np.uint8)[..., None]
data = tf.data.Dataset.from_tensor_slices((pixels, digits.target)).shuffle(1800).batch(64)

model = keras.Sequential(
    [
        layers.Conv2D(16, 3, activation="relu"),
        layers.MaxPooling2D(),
        layers.Flatten(),
        layers.Dense(10),
    ]
)
model.compile("adam", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
model.fit(data, epochs=6, verbose=2)
