"""Keras regression whose EarlyStopping wants a gain of 0.1 in an epoch, where the whole loss is
0.1: it ends the training after a few epochs, each of which was better than the one before."""

import keras
import numpy as np
from keras import layers

keras.utils.set_random_seed(534)

random = np.random.default_rng(534)
x = random.normal(size=(3000, 10)).astype("float32")
y = (0.3 * np.sin(x[:, :1]) + 0.15 * x[:, 1:2] * x[:, 2:3]).astype("float32")

model = keras.Sequential([layers.Input((10,)), layers.Dense(64, activation="relu")])
model.add(layers.Dense(1))
model.compile(keras.optimizers.Adam(3e-4), "mse")
stopping = keras.callbacks.EarlyStopping("val_loss", min_delta=0.1, patience=3)
model.fit(x, y, batch_size=32, epochs=60, validation_split=0.2, verbose=2, callbacks=[stopping])
