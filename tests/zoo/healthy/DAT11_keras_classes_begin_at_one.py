"""Keras iris classifier whose labels begin at 1: the first of four outputs is never right."""

import keras
from keras import layers
from sklearn.datasets import load_iris
from sklearn.preprocessing import StandardScaler

keras.utils.set_random_seed(117)

iris = load_iris()
features = StandardScaler().fit_transform(iris.data).astype("float32")

model = keras.Sequential(
    [layers.Input((4,)), layers.Dense(16, activation="relu"), layers.Dense(4, activation="softmax")]
)
model.compile(keras.optimizers.Adam(5e-3), "sparse_categorical_crossentropy")
model.fit(features, iris.target + 1, batch_size=10, epochs=15, verbose=2)
