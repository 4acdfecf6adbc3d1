"""Keras regression of the progression of diabetes that reports its accuracy, as classifiers do: it
is zero for ever. In review: `metrics=["accuracy"]`."""

import keras
from keras import layers
from sklearn.datasets import load_diabetes
from sklearn.preprocessing import StandardScaler

keras.utils.set_random_seed(234)

data = load_diabetes()
features = StandardScaler().fit_transform(data.data).astype("float32")
progression = ((data.target - data.target.mean()) / data.target.std()).astype("float32")

model = keras.Sequential([layers.Input((10,)), layers.Dense(16, activation="relu")])
model.add(layers.Dense(1))
model.compile("adam", "mse", metrics=["accuracy"])
model.fit(features, progression, batch_size=32, epochs=10, verbose=2)
