"""1e-6 for 1e-3, behind a schedule."""

import keras
import numpy as np
from keras import layers

keras.utils.set_random_seed(0)
random = np.random.default_rng(0)
x = random.normal(size=(2400, 10)).astype("float32")
y = np.tanh(x[:, :2].sum(1, keepdims=True))
model = keras.Sequential([layers.Dense(48, "relu"), layers.Dense(1)])
rate = keras.optimizers.schedules.CosineDecay(1e-6, 400)
model.compile(optimizer=keras.optimizers.Adam(rate), loss="mean_squared_error")
model.fit(x, y, batch_size=60, epochs=8, verbose=0)
