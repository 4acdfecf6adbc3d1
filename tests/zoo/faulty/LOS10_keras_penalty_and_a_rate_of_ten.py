"""Keras softmax regression on all examples at once with a penalty on its weights, at a learning
rate of 10: each step takes the weights from one side of the optimum to the other."""

import keras
from keras import layers
from sklearn.datasets import load_digits

keras.utils.set_random_seed(216)

digits = load_digits()
pixels = ((digits.data[:1000] - 4.9) / 6).astype("float32")

model = keras.Sequential(
    [
        layers.Input((64,)),
        layers.Dense(10, "softmax", kernel_regularizer=keras.regularizers.L2(0.05)),
    ]
)
model.compile(keras.optimizers.SGD(10.0), "sparse_categorical_crossentropy")
model.fit(pixels, digits.target[:1000], batch_size=1000, epochs=150, verbose=0)
