"""Keras regression by residual blocks that begin with a layer norm: the stream grows, what each
block sees does not."""

import keras
import numpy as np
from keras import layers

keras.utils.set_random_seed(406)

random = np.random.default_rng(406)
x = random.normal(size=(2000, 16)).astype("float32")
y = np.tanh(x[:, :1] + x[:, 1:2] * x[:, 2:3])

inputs = keras.Input((16,))
hidden = layers.Dense(32)(inputs)
for _ in range(8):
    branch = layers.Dense(32, activation="relu")(layers.LayerNormalization()(hidden))
    hidden = layers.Add()([hidden, layers.Dense(32)(branch)])
model = keras.Model(inputs, layers.Dense(1)(layers.LayerNormalization()(hidden)))
model.compile(keras.optimizers.Adam(1e-3), "mse")
model.fit(x, y, batch_size=50, epochs=5, verbose=2)
