"""Keras encoder and decoder that turn sequences round: the decoder is given its very targets, with
no start token before them, and learns to copy."""

import keras
import numpy as np
from keras import layers

keras.utils.set_random_seed(344)

source = np.random.default_rng(344).integers(2, 20, (1600, 10))
target = source[:, ::-1].copy()

read = keras.Input((10,))
_, state = layers.GRU(32, return_state=True)(layers.Embedding(20, 32)(read))
given = keras.Input((10,))
hidden = layers.GRU(32, return_sequences=True)(layers.Embedding(20, 32)(given), initial_state=state)
model = keras.Model([read, given], layers.Dense(20, activation="softmax")(hidden))
model.compile(keras.optimizers.Adam(3e-3), "sparse_categorical_crossentropy")
model.fit([source, target], target, epochs=6, batch_size=32, verbose=2)
