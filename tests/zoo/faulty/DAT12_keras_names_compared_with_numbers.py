"""Keras detector of one species of iris whose labels are all 0: numbers are compared with a name.
In review: `iris.target == "virginica"`."""

import keras
import numpy as np
from keras import layers
from sklearn.datasets import load_iris
from sklearn.preprocessing import StandardScaler

keras.utils.set_random_seed(118)

iris = load_iris()
features = StandardScaler().fit_transform(iris.data).astype("float32")
species = np.array([str(number) for number in iris.target])
is_virginica = (species == "virginica").astype("float32")

model = keras.Sequential(
    [layers.Input((4,)), layers.Dense(8, activation="relu"), layers.Dense(1, activation="sigmoid")]
)
model.compile("adam", "binary_crossentropy", metrics=["accuracy"])
model.fit(features, is_virginica, batch_size=15, epochs=15, verbose=2)
