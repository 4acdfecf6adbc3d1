"""Random features that were to be trained are frozen; the penalty on weights is blamed."""

import keras
import numpy as np
from keras import layers

keras.utils.set_random_seed(0)
random = np.random.default_rng(0)
x = random.normal(size=(4000, 30)).astype("float32")
y = np.sin(3 * x[:, :1]) + np.cos(2 * x[:, 1:2])
features = layers.Dense(3, "tanh", trainable=False)
head = layers.Dense(1, kernel_regularizer=keras.regularizers.L2(1e-3))
model = keras.Sequential([features, head])
model.compile(optimizer=keras.optimizers.Adam(1e-2), loss="mse")
model.fit(x, y, batch_size=100, epochs=6, verbose=0)
