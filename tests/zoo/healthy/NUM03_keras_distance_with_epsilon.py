"""Keras Siamese network whose distance has an epsilon under the root."""

import keras
import numpy as np
from keras import layers, ops
from sklearn.datasets import load_digits

keras.utils.set_random_seed(506)

random = np.random.default_rng(506)
digits = load_digits()
pixels = ((digits.data - 4.9) / 6).astype("float32")
first = random.integers(0, 1797, 3000)
second = random.integers(0, 1797, 3000)
of_class = {c: np.flatnonzero(digits.target == c) for c in range(10)}
second[:1500] = [random.choice(of_class[c]) for c in digits.target[first[:1500]]]
same = (digits.target[first] == digits.target[second]).astype("float32")

encoder = keras.Sequential([layers.Dense(48, activation="relu"), layers.Dense(16)])
inputs = [keras.Input((64,)), keras.Input((64,))]
apart = encoder(inputs[0]) - encoder(inputs[1])
distance = ops.sqrt(ops.sum(ops.square(apart), axis=-1, keepdims=True) + 1e-6)
model = keras.Model(inputs, distance)


def contrastive(same, distance):
    return same * distance**2 + (1 - same) * ops.maximum(1.0 - distance, 0.0) ** 2


model.compile(keras.optimizers.Adam(1e-3), contrastive)
model.fit([pixels[first], pixels[second]], same[:, None], batch_size=50, epochs=4, verbose=2)
