"""Keras wine classifier trained by one call of `fit` with its defaults: one epoch of six steps."""

import keras
from keras import layers
from sklearn.datasets import load_wine
from sklearn.preprocessing import StandardScaler

keras.utils.set_random_seed(334)

wine = load_wine()
features = StandardScaler().fit_transform(wine.data).astype("float32")

model = keras.Sequential(
    [layers.Input((13,)), layers.Dense(16, activation="relu"), layers.Dense(3, "softmax")]
)
model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
model.fit(features, wine.target)
