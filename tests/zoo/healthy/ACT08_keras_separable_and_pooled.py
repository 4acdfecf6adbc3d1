"""Keras digit classifier of separable convolutions, which are two linear steps by right, with an
activation function after each."""

import keras
from keras import layers
from sklearn.datasets import load_digits

keras.utils.set_random_seed(416)

digits = load_digits()
images = (digits.images[..., None] / 8 - 1).astype("float32")

model = keras.Sequential(
    [
        layers.Input((8, 8, 1)),
        layers.Conv2D(16, 3, padding="same", activation="relu"),
        layers.DepthwiseConv2D(3, padding="same"),
        layers.Conv2D(24, 1),
        layers.ReLU(),
        layers.AveragePooling2D(2),
        layers.Flatten(),
        layers.Dense(10, activation="softmax"),
    ]
)
model.compile(keras.optimizers.Adam(3e-3), "sparse_categorical_crossentropy")
model.fit(images, digits.target, batch_size=64, epochs=6, verbose=2)
