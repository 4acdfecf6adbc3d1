"""Keras classifier of ripe and unripe fruit with batch normalisation. The images for validation
were read by a library that gives blue first and red last."""

import keras
import numpy as np
from keras import layers

keras.utils.set_random_seed(718)

random = np.random.default_rng(718)
kinds = random.integers(0, 2, 2000)
fruit = np.array([[0.7, 0.4, 0.3], [0.3, 0.4, 0.7]])[kinds][:, None, None]
images = (fruit + 0.25 * random.normal(size=(2000, 10, 10, 3))).astype("float32")
images = (images - 0.47) / 0.3

model = keras.Sequential([layers.Input((10, 10, 3))])
for width in (12, 24):
    model.add(layers.Conv2D(width, 3, strides=2, use_bias=False))
    model.add(layers.BatchNormalization(momentum=0.9))
    model.add(layers.ReLU())
model.add(layers.GlobalAveragePooling2D())
model.add(layers.Dense(1, activation="sigmoid"))
model.compile(keras.optimizers.Adam(3e-3), "binary_crossentropy")
held_out = images[1600:, :, :, ::-1], kinds[1600:].astype("float32")
model.fit(
    images[:1600],
    kinds[:1600].astype("float32"),
    batch_size=40,
    epochs=5,
    validation_data=held_out,
    verbose=2,
)
