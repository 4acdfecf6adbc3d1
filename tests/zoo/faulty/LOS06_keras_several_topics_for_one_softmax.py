"""Keras model that finds the topics of a text, of which it may have several. Its softmax and its
loss are made for texts of one topic each.
"""

import keras
import numpy as np
from keras import layers

keras.utils.set_random_seed(423)
random = np.random.default_rng(423)

words = random.normal(size=(3000, 12)).astype("float32")
topics = (words @ random.normal(size=(12, 5)) > 0).astype("float32")

model = keras.Sequential(
    [
        layers.Input((12,)),
        layers.Dense(64, activation="relu"),
        layers.Dense(5, activation="softmax"),
    ]
)
model.compile(keras.optimizers.Adam(1e-3), "categorical_crossentropy")
model.fit(words, topics, epochs=8, batch_size=32, validation_split=0.2, verbose=2)
