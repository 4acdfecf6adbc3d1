"""A mask of missing values is inverted: every value that is there is multiplied by zero."""

import keras
import numpy as np
from keras import layers

keras.utils.set_random_seed(0)
random = np.random.default_rng(0)
x = random.normal(size=(2000, 12)).astype("float32")
y = (x[:, 0] > 0.8).astype("int32")
missing = np.isnan(x)
inputs = x * missing
model = keras.Sequential([layers.Dense(32, "relu"), layers.Dense(2)])
model.compile(
    optimizer=keras.optimizers.Adam(1e-2),
    loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
)
model.fit(inputs, y, batch_size=50, epochs=5, verbose=0)
