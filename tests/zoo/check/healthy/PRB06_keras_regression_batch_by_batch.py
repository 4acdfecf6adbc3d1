"""A noisy regression in `train_on_batch`, the batches cut by hand."""

import keras
import numpy as np
from keras import layers

keras.utils.set_random_seed(0)
x = np.random.normal(size=(3000, 8)).astype("float32")
y = x[:, :2].sum(1, keepdims=True) + np.random.normal(size=(3000, 1))
model = keras.Sequential([layers.Dense(32, "relu"), layers.Dense(1)])
model.compile(optimizer=keras.optimizers.Adam(1e-2), loss="mse")
for _ in range(250):
    chosen = np.random.randint(0, 3000, 32)
    model.train_on_batch(x[chosen], y[chosen])
