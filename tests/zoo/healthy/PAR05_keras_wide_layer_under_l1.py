"""Keras digit classifier, wider than it need be, under an L1 penalty: many weights go to zero, but
no whole filter does."""

import keras
from keras import layers
from sklearn.datasets import load_digits

keras.utils.set_random_seed(526)

digits = load_digits()
pixels = ((digits.data - 4.9) / 6).astype("float32")

model = keras.Sequential(
    [
        layers.Input((64,)),
        layers.Dense(128, activation="relu", kernel_regularizer=keras.regularizers.L1(1e-4)),
        layers.Dense(64, activation="relu", kernel_regularizer=keras.regularizers.L1(1e-4)),
        layers.Dense(10),
    ]
)
model.compile(
    keras.optimizers.Adam(2e-3), keras.losses.SparseCategoricalCrossentropy(from_logits=True)
)
model.fit(pixels, digits.target, batch_size=64, epochs=8, verbose=2)
