"""Keras classifier of waves in pictures, across or along, whose first filters are learnt with the
rest and decayed a little: they become waves themselves."""

import keras
import numpy as np
from keras import layers

keras.utils.set_random_seed(711)

random = np.random.default_rng(711)
kinds = random.integers(0, 2, 2400)
shift = 6 * random.random((2400, 1, 1))
across = np.sin(0.7 * np.arange(18)[None, None, :] + shift) * np.ones((1, 18, 1))
images = np.where(kinds[:, None, None], across, across.transpose(0, 2, 1))
images = (images + 0.3 * random.normal(size=images.shape))[..., None].astype("float32")

model = keras.Sequential([layers.Input((18, 18, 1)), layers.Conv2D(8, 7, activation="relu")])
model.add(layers.MaxPooling2D(3))
model.add(layers.Flatten())
model.add(layers.Dense(1, activation="sigmoid"))
model.compile(keras.optimizers.SGD(0.02, momentum=0.9, weight_decay=0.02), "binary_crossentropy")
model.fit(images, kinds.astype("float32"), batch_size=32, epochs=5, verbose=2)
