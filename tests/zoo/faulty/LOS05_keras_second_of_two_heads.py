"""Keras model of wines with two heads: the class is learnt, but the alcohol, standardised, comes
out of a sigmoid, and half of it is below zero."""

import keras
from keras import layers
from sklearn.datasets import load_wine
from sklearn.preprocessing import StandardScaler

keras.utils.set_random_seed(77)

data = load_wine()
table = StandardScaler().fit_transform(data.data).astype("float32")
features, alcohol = table[:, 1:], table[:, :1]

inputs = layers.Input((12,))
hidden = layers.Dense(32, activation="relu")(inputs)
model = keras.Model(
    inputs,
    {
        "cultivar": layers.Dense(3, activation="softmax", name="cultivar")(hidden),
        "alcohol": layers.Dense(1, activation="sigmoid", name="alcohol")(hidden),
    },
)
model.compile(
    keras.optimizers.Adam(0.003),
    loss={"cultivar": "sparse_categorical_crossentropy", "alcohol": "mse"},
    loss_weights={"cultivar": 1.0, "alcohol": 0.5},
)
targets = {"cultivar": data.target, "alcohol": alcohol}
model.fit(features, targets, batch_size=32, epochs=40, verbose=2)
