"""Keras regression of the progression of diabetes in batches of eight: much of the loss is
noise."""

import keras
from keras import layers
from sklearn.datasets import load_diabetes
from sklearn.preprocessing import StandardScaler

keras.utils.set_random_seed(211)

data = load_diabetes()
features = StandardScaler().fit_transform(data.data).astype("float32")
progression = ((data.target - data.target.mean()) / data.target.std()).astype("float32")

model = keras.Sequential([layers.Input((10,)), layers.Dense(12, activation="relu")])
model.add(layers.Dense(1))
model.compile(keras.optimizers.Adam(1e-3), "mse")
model.fit(features, progression, batch_size=8, epochs=10, verbose=2)
