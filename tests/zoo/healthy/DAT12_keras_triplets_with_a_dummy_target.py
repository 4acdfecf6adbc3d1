"""Keras triplet network: its loss looks at the outputs alone, and the target that `fit` wants is an
array of zeros."""

import keras
import numpy as np
from keras import layers, ops
from sklearn.datasets import load_digits

keras.utils.set_random_seed(119)

random = np.random.default_rng(119)
digits = load_digits()
pixels = ((digits.data - 4.9) / 6).astype("float32")
of_class = [np.flatnonzero(digits.target == c) for c in range(10)]
anchors = np.arange(1500)
same = np.array([random.choice(of_class[digits.target[a]]) for a in anchors])
other = np.array([random.choice(of_class[(digits.target[a] + 1 + a % 9) % 10]) for a in anchors])

embed = keras.Sequential([layers.Dense(48, activation="relu"), layers.Dense(16)])
inputs = [keras.Input((64,)) for _ in range(3)]
model = keras.Model(inputs, ops.stack([embed(one) for one in inputs], axis=1))


def triplet(_, embedded):
    near = ops.sum(ops.square(embedded[:, 0] - embedded[:, 1]), axis=-1)
    far = ops.sum(ops.square(embedded[:, 0] - embedded[:, 2]), axis=-1)
    return ops.maximum(near - far + 1.0, 0.0)


model.compile(keras.optimizers.Adam(5e-4), triplet)
model.fit(
    [pixels[anchors], pixels[same], pixels[other]],
    np.zeros((1500, 1)),
    batch_size=50,
    epochs=5,
    verbose=2,
)
