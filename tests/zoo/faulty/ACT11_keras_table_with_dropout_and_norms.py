"""Keras churn model whose blocks end in a dropout, so that each norm but the first receives dropped
values: their variance is another one in evaluation."""

import keras
import numpy as np
from keras import layers

keras.utils.set_random_seed(625)

random = np.random.default_rng(625)
x = random.normal(size=(3000, 14)).astype("float32")
left = (x[:, 0] * x[:, 1] + x[:, 2] + 0.3 * random.normal(size=3000) > 0).astype("float32")

inputs = keras.Input((14,))
hidden = inputs
for width in (64, 48, 32):
    hidden = layers.BatchNormalization()(layers.Dense(width, use_bias=False)(hidden))
    hidden = layers.Dropout(0.3)(layers.Activation("swish")(hidden))
    hidden = layers.BatchNormalization()(hidden)
model = keras.Model(inputs, layers.Dense(1, activation="sigmoid")(hidden))
model.compile(keras.optimizers.Adam(2e-3), "binary_crossentropy")
model.fit(x, left, batch_size=64, epochs=4, verbose=2)
