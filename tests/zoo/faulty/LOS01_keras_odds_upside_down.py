"""Keras detector of rare defects whose last bias starts at the log-odds of the classes, upside
down. In review: `log(neg / pos)`, copied with the names the other way round."""

import keras
import numpy as np
from keras import layers

keras.utils.set_random_seed(201)

random = np.random.default_rng(201)
x = random.normal(size=(3000, 10)).astype("float32")
defect = (x[:, 0] + x[:, 1] + 0.5 * random.normal(size=3000) > 1.9).astype("float32")
positive, negative = defect.sum(), (1 - defect).sum()

model = keras.Sequential(
    [
        layers.Input((10,)),
        layers.Dense(16, activation="relu"),
        layers.Dense(1, bias_initializer=keras.initializers.Constant(np.log(negative / positive))),
    ]
)
model.compile(keras.optimizers.Adam(1e-3), keras.losses.BinaryCrossentropy(from_logits=True))
model.fit(x, defect, batch_size=50, epochs=8, verbose=2)
