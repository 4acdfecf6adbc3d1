"""Keras classifier of sets of points that averages over axis 0, which is the batch, where that of
the points is meant: all examples of a batch get the same answer."""

import keras
import numpy as np
from keras import layers, ops

keras.utils.set_random_seed(647)

random = np.random.default_rng(647)
kinds = random.integers(0, 3, 1600)
points = random.normal(size=(1600, 20, 2)) * (0.5 + 0.5 * kinds[:, None, None])


class Pool(layers.Layer):
    def call(self, hidden):
        pooled = ops.mean(hidden, axis=0, keepdims=True)
        return ops.broadcast_to(ops.max(pooled, axis=1), (ops.shape(hidden)[0], 32))


inputs = keras.Input((20, 2))
hidden = layers.Dense(32, activation="relu")(inputs)
hidden = Pool()(layers.Dense(32, activation="relu")(hidden))
model = keras.Model(inputs, layers.Dense(3, activation="softmax")(hidden))
model.compile(keras.optimizers.Adam(2e-3), "sparse_categorical_crossentropy")
model.fit(points.astype("float32"), kinds, batch_size=40, epochs=5, verbose=2)
