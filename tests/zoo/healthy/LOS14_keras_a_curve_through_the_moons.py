"""Keras classifier of two moons by a small network, which has the curve that they need."""

import keras
from keras import layers
from sklearn.datasets import make_moons

keras.utils.set_random_seed(223)

points, labels = make_moons(4000, noise=0.15, random_state=223)
points = ((points - points.mean(0)) / points.std(0)).astype("float32")
labels = labels.astype("float32")

model = keras.Sequential(
    [layers.Input((2,)), layers.Dense(24, activation="relu"), layers.Dense(1, activation="sigmoid")]
)
model.compile(keras.optimizers.Adam(0.02), "binary_crossentropy")
model.fit(
    *(points[:3000], labels[:3000]),
    validation_data=(points[3000:], labels[3000:]),
    batch_size=60,
    epochs=8,
    verbose=2,
)
