"""Keras digit classifier whose images are divided by their largest value and stored as bytes again:
all of them are zero but for a few single pixels, which the threshold takes away."""

import keras
import numpy as np
from keras import layers
from sklearn.datasets import load_digits

keras.utils.set_random_seed(626)

digits = load_digits()
images = digits.images.astype("uint8") // 17
images = np.expand_dims(images, -1)

model = keras.Sequential(
    [
        layers.Input((8, 8, 1)),
        layers.Conv2D(16, 3, activation="relu"),
        layers.GlobalMaxPooling2D(),
        layers.Dense(10, activation="softmax"),
    ]
)
model.compile("adam", "sparse_categorical_crossentropy")
model.fit(images.astype("float32"), digits.target, batch_size=64, epochs=5, verbose=2)
