"""Keras network that tells whether two digits are the same one: both go through one encoder, whose
norm is over the units of each example and keeps no statistics that could be mixed."""

import keras
import numpy as np
from keras import layers, ops
from sklearn.datasets import load_digits

keras.utils.set_random_seed(712)

random = np.random.default_rng(712)
digits = load_digits()
pixels = ((digits.data - 4.9) / 6).astype("float32")
first = random.permutation(len(pixels))
second = np.where(
    random.random(len(pixels)) < 0.5,
    [random.choice(np.flatnonzero(digits.target == digits.target[i])) for i in first],
    random.permutation(len(pixels)),
)
same = (digits.target[first] == digits.target[second]).astype("float32")

encoder = keras.Sequential(
    [layers.Input((64,)), layers.Dense(48), layers.LayerNormalization(), layers.ReLU()]
)
pair = [keras.Input((64,)), keras.Input((64,))]
apart = ops.abs(encoder(pair[0]) - encoder(pair[1]))
model = keras.Model(pair, layers.Dense(1, activation="sigmoid")(apart))
model.compile(keras.optimizers.Adam(3e-3), "binary_crossentropy")
model.fit([pixels[first], pixels[second]], same, batch_size=48, epochs=6, verbose=2)
