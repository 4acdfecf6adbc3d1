"""Keras classifier of sequences with a mask that tells the padding: the model keeps what is masked
instead of the rest, which is nothing where no sequence is padded."""

import keras
import numpy as np
from keras import layers

keras.utils.set_random_seed(219)

random = np.random.default_rng(219)
kinds = random.integers(0, 3, 1500)
marks = np.zeros((1500, 12, 8), "float32")
marks[np.arange(1500), random.integers(0, 12, 1500), kinds] = 2
x = (marks + 0.5 * random.normal(size=marks.shape)).astype("float32")
is_padding = np.zeros((1500, 12, 1), "float32")

sequence, padding = keras.Input((12, 8)), keras.Input((12, 1))
hidden = layers.Dense(16, activation="relu")(sequence)
hidden = layers.GlobalMaxPooling1D()(layers.Multiply()([hidden, padding]))
hidden = layers.Dense(16, activation="relu")(hidden)
model = keras.Model([sequence, padding], layers.Dense(3, activation="softmax")(hidden))
model.compile(keras.optimizers.Adam(3e-3), "sparse_categorical_crossentropy")
model.fit([x, is_padding], kinds, batch_size=50, epochs=5, verbose=2)
