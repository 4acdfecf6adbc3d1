"""Keras classifier of clouds, under "mixed_float16": it becomes ever surer, and its
numbers grow without coming near 65504."""

import keras
from keras import layers
from sklearn.datasets import make_blobs

keras.utils.set_random_seed(705)
keras.config.set_dtype_policy("mixed_float16")

points, clouds = make_blobs(2000, n_features=12, centers=5, cluster_std=1.5, random_state=705)
points = ((points - points.mean(0)) / points.std(0)).astype("float32")

model = keras.Sequential([layers.Input((12,)), layers.Dense(64, activation="relu")])
model.add(layers.Dense(64, activation="relu"))
model.add(layers.Dense(5, dtype="float32"))
model.compile(
    keras.optimizers.Adam(3e-3), keras.losses.SparseCategoricalCrossentropy(from_logits=True)
)
model.fit(points, clouds, batch_size=40, epochs=6, verbose=2)
