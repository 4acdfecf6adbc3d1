"""Everything is seeded but the generator that draws the examples."""

import keras
import numpy as np
from keras import layers

keras.utils.set_random_seed(0)
draw = np.random.default_rng()
x = np.random.normal(size=(1000, 10)).astype("float32")
y = (x[:, 0] > 0).astype("int32")
order = draw.permutation(1000)
model = keras.Sequential([layers.Dense(32, "relu"), layers.Dense(2)])
model.compile(
    optimizer=keras.optimizers.Adam(3e-3),
    loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
)
model.fit(x[order], y[order], batch_size=50, epochs=10, shuffle=False, verbose=0)
