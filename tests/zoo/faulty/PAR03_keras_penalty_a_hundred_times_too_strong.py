"""Keras digit classifier with an L2 penalty of 1 on each kernel: the weights fade within an epoch.
In review: `L2(1.0)`, where 1e-2 was copied as a percentage."""

import keras
from keras import layers
from sklearn.datasets import load_digits

keras.utils.set_random_seed(440)

digits = load_digits()
pixels = ((digits.data - 4.9) / 6).astype("float32")
penalty = keras.regularizers.L2(1.0)

model = keras.Sequential(
    [
        layers.Input((64,)),
        layers.Dense(64, activation="relu", kernel_regularizer=penalty),
        layers.Dense(64, activation="relu", kernel_regularizer=penalty),
        layers.Dense(10, activation="softmax", kernel_regularizer=penalty),
    ]
)
model.compile(keras.optimizers.SGD(0.05), "sparse_categorical_crossentropy")
model.fit(pixels, digits.target, batch_size=64, epochs=8, verbose=2)
