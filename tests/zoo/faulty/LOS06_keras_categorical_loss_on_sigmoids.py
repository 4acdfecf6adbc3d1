"""Keras wine classifier: three exclusive classes, a sigmoid for each, and the categorical
cross-entropy."""

import keras
from keras import layers
from sklearn.datasets import load_wine
from sklearn.preprocessing import StandardScaler

keras.utils.set_random_seed(209)

wine = load_wine()
features = StandardScaler().fit_transform(wine.data).astype("float32")
cultivars = keras.utils.to_categorical(wine.target)

inputs = keras.Input((13,))
hidden = layers.Dense(16, activation="tanh")(inputs)
model = keras.Model(inputs, layers.Dense(3, activation="sigmoid")(hidden))
model.compile(keras.optimizers.Adam(5e-3), "categorical_crossentropy", metrics=["accuracy"])
model.fit(features, cultivars, batch_size=16, epochs=12, verbose=2)
