"""Regression in two phases, the second of which is meant to run at a tenth of the rate."""

import keras
from sklearn.datasets import load_diabetes

keras.utils.set_random_seed(44)

data = load_diabetes(scaled=False)
x = ((data.data - data.data.mean(0)) / data.data.std(0)).astype("float32")
y = ((data.target - data.target.mean()) / data.target.std()).astype("float32")

model = keras.Sequential(
    [keras.Input((10,)), keras.layers.Dense(32, activation="tanh"), keras.layers.Dense(1)]
)
model.compile(keras.optimizers.SGD(0.02, momentum=0.9), "mse")
model.fit(x, y, batch_size=32, epochs=8, validation_split=0.2, verbose=2)

model.optimizer.lr = 0.002
model.fit(x, y, batch_size=32, epochs=8, validation_split=0.2, verbose=2)
