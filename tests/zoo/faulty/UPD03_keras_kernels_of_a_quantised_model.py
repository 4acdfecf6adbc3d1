"""Keras digit classifier whose first convolution starts with the kernels of an 8-bit model, in its
integers: a step of SGD is nothing to them."""

import keras
import numpy as np
from keras import layers
from sklearn.datasets import load_digits

keras.utils.set_random_seed(305)

digits = load_digits()
images = (digits.images[..., None] / 8 - 1).astype("float32")
integers = np.random.default_rng(305).integers(-127, 128, (3, 3, 1, 16)).astype("float32")

first = layers.Conv2D(16, 3, use_bias=False)
model = keras.Sequential(
    [
        layers.Input((8, 8, 1)),
        first,
        layers.Rescaling(1 / 256),
        layers.ReLU(),
        layers.Flatten(),
        layers.Dense(32, activation="relu"),
        layers.Dense(10),
    ]
)
first.set_weights([integers])
model.compile(
    keras.optimizers.SGD(0.02), keras.losses.SparseCategoricalCrossentropy(from_logits=True)
)
model.fit(images, digits.target, batch_size=64, epochs=8, verbose=2)
