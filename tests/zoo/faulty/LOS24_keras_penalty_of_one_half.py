"""Keras digit classifier with an L2 penalty of 0.5 on its kernels, where the paper had 5e-4: the
loss that is printed is next to nothing but penalty."""

import keras
from keras import layers
from sklearn.datasets import load_digits

keras.utils.set_random_seed(441)

digits = load_digits()
pixels = ((digits.data - 4.9) / 6).astype("float32")
penalty = keras.regularizers.L2(0.5)

model = keras.Sequential(
    [
        layers.Input((64,)),
        layers.Dense(256, activation="relu", kernel_regularizer=penalty),
        layers.Dense(10, activation="softmax", kernel_regularizer=penalty),
    ]
)
model.compile(keras.optimizers.SGD(1e-4), "sparse_categorical_crossentropy")
model.fit(pixels, digits.target, batch_size=64, epochs=10, verbose=2)
