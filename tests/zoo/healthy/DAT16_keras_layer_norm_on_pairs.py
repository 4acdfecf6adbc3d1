"""Keras digit classifier in batches of two through group and layer normalisation, which look at
one example at a time."""

import keras
from keras import layers
from sklearn.datasets import load_digits

keras.utils.set_random_seed(124)

digits = load_digits()
images = (digits.images[..., None] / 8 - 1).astype("float32")

model = keras.Sequential(
    [
        layers.Input((8, 8, 1)),
        layers.Conv2D(12, 3),
        layers.GroupNormalization(4),
        layers.Activation("relu"),
        layers.Flatten(),
        layers.LayerNormalization(),
        layers.Dense(10),
    ]
)
model.compile(
    keras.optimizers.Adam(5e-4), keras.losses.SparseCategoricalCrossentropy(from_logits=True)
)
model.fit(images[:800], digits.target[:800], batch_size=2, epochs=2, verbose=2)
