"""Keras detector of uncommon defects whose last bias starts at the log-odds of the classes."""

import keras
import numpy as np
from keras import layers

keras.utils.set_random_seed(202)

random = np.random.default_rng(202)
x = random.normal(size=(3000, 10)).astype("float32")
defect = (x[:, 0] + x[:, 1] + 0.5 * random.normal(size=3000) > 1.3).astype("float32")
odds = keras.initializers.Constant(np.log(defect.sum() / (1 - defect).sum()))

model = keras.Sequential(
    [
        layers.Input((10,)),
        layers.Dense(16, activation="relu"),
        layers.Dense(1, bias_initializer=odds),
    ]
)
model.compile(keras.optimizers.Adam(3e-3), keras.losses.BinaryCrossentropy(from_logits=True))
model.fit(x, defect, batch_size=50, epochs=6, verbose=2)
