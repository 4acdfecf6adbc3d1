"""Keras logistic regression on data that a plane separates: its weights grow as long as it is
trained."""

import keras
import numpy as np
from keras import layers

keras.utils.set_random_seed(439)

random = np.random.default_rng(439)
x = random.normal(size=(2000, 6)).astype("float32")
y = (x[:, 0] - x[:, 1] > 0).astype("float32")

model = keras.Sequential([layers.Input((6,)), layers.Dense(1, activation="sigmoid")])
model.compile(keras.optimizers.SGD(1.0), "binary_crossentropy")
model.fit(x, y, batch_size=50, epochs=8, verbose=2)
