"""Keras wine classifier whose table is sorted by cultivar, trained with `shuffle=False` because the
predictions were to be compared row by row."""

import keras
from keras import layers
from sklearn.datasets import load_wine
from sklearn.preprocessing import StandardScaler

keras.utils.set_random_seed(114)

wine = load_wine()
features = StandardScaler().fit_transform(wine.data).astype("float32")
cultivars = keras.utils.to_categorical(wine.target)

model = keras.Sequential(
    [layers.Input((13,)), layers.Dense(16, activation="tanh"), layers.Dense(3, "softmax")]
)
model.compile(keras.optimizers.SGD(0.05, momentum=0.9), "categorical_crossentropy")
model.fit(features, cultivars, batch_size=16, epochs=15, shuffle=False, verbose=2)
