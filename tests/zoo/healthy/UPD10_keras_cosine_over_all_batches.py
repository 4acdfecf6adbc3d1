"""Keras regression with a cosine whose length is counted in batches, as its optimizer counts them:
the rate ends where the training does."""

import keras
import numpy as np
from keras import layers

keras.utils.set_random_seed(716)
EPOCHS, BATCH = 6, 40

random = np.random.default_rng(716)
x = random.normal(size=(2000, 12)).astype("float32")
y = (np.sin(2 * x[:, :1]) + x[:, 1:2] * x[:, 2:3]).astype("float32")
rate = keras.optimizers.schedules.CosineDecay(4e-3, EPOCHS * len(x) // BATCH)

model = keras.Sequential([layers.Input((12,)), layers.Dense(64, activation="relu")])
model.add(layers.Dense(64, activation="relu"))
model.add(layers.Dense(1))
model.compile(keras.optimizers.Adam(rate), "mse")
model.fit(x, y, batch_size=BATCH, epochs=EPOCHS, validation_split=0.1, verbose=2)
