"""Keras classifier of two clouds by the hinge loss, whose gradient is zero once the margin is
met."""

import keras
from keras import layers
from sklearn.datasets import make_blobs

keras.utils.set_random_seed(430)

points, clouds = make_blobs(2500, n_features=4, centers=2, cluster_std=1.5, random_state=3)
points = ((points - points.mean(0)) / points.std(0)).astype("float32")

model = keras.Sequential([layers.Input((4,)), layers.Dense(16, activation="relu"), layers.Dense(1)])
model.compile(keras.optimizers.Adam(5e-3), "hinge")
model.fit(points, 2.0 * clouds - 1.0, batch_size=50, epochs=6, verbose=2)
