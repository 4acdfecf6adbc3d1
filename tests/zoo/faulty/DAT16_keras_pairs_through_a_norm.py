"""Keras digit classifier in batches of two through batch normalisation, because the images of the
project it was written for were large."""

import keras
from keras import layers
from sklearn.datasets import load_digits

keras.utils.set_random_seed(123)

digits = load_digits()
images = (digits.images[..., None] / 8 - 1).astype("float32")

model = keras.Sequential(
    [
        layers.Input((8, 8, 1)),
        layers.Conv2D(12, 3, use_bias=False),
        layers.BatchNormalization(),
        layers.Activation("relu"),
        layers.Flatten(),
        layers.Dense(10),
    ]
)
model.compile(
    keras.optimizers.Adam(1e-3), keras.losses.SparseCategoricalCrossentropy(from_logits=True)
)
model.fit(images[:600], digits.target[:600], batch_size=2, epochs=2, verbose=2)
