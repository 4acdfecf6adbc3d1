"""Keras wine classifier of 30 epochs, which are 180 steps."""

import keras
from keras import layers
from sklearn.datasets import load_wine
from sklearn.preprocessing import StandardScaler

keras.utils.set_random_seed(335)

wine = load_wine()
features = StandardScaler().fit_transform(wine.data).astype("float32")

model = keras.Sequential(
    [layers.Input((13,)), layers.Dense(16, activation="relu"), layers.Dense(3, "softmax")]
)
model.compile(keras.optimizers.Adam(3e-3), "sparse_categorical_crossentropy")
model.fit(features, wine.target, epochs=30, verbose=2)
