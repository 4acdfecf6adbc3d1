"""Keras classifier of three clouds that hardly touch: it is easy, and takes its time."""

import keras
from keras import layers
from sklearn.datasets import make_blobs

keras.utils.set_random_seed(231)

points, clouds = make_blobs(3000, n_features=4, centers=3, cluster_std=1.6, random_state=5)
points = ((points - points.mean(0)) / points.std(0)).astype("float32")

model = keras.Sequential(
    [layers.Input((4,)), layers.Dense(16, activation="relu"), layers.Dense(3, activation="softmax")]
)
model.compile(keras.optimizers.Adam(2e-3), "sparse_categorical_crossentropy")
model.fit(points, clouds, batch_size=50, epochs=6, verbose=2)
