"""Keras classifier of two moons by logistic regression, which has no curve to offer."""

import keras
from keras import layers
from sklearn.datasets import make_moons

keras.utils.set_random_seed(222)

points, labels = make_moons(6000, noise=0.15, random_state=222)
points = (points - points.mean(0)) / points.std(0)

model = keras.Sequential([layers.Input((2,)), layers.Dense(1, activation="sigmoid")])
model.compile(keras.optimizers.Adam(0.05), "binary_crossentropy")
model.fit(
    *(points[:4000].astype("float32"), labels[:4000].astype("float32")),
    validation_data=(points[4000:].astype("float32"), labels[4000:].astype("float32")),
    batch_size=60,
    epochs=12,
    verbose=2,
)
