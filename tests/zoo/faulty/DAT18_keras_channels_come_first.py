"""Keras classifier of coloured stripes whose images were exported by PyTorch, channels first. In
review: `Input((3, 24, 24))` and no transpose."""

import keras
import numpy as np
from keras import layers

keras.utils.set_random_seed(127)

random = np.random.default_rng(127)
kinds = random.integers(0, 4, 1200)
place = np.arange(24)[:, None] * (kinds < 2)[:, None, None]
place = place + np.arange(24)[None] * (kinds >= 2)[:, None, None]
wave = np.sin(place * (0.5 + 0.5 * (kinds % 2))[:, None, None] + random.random((1200, 1, 1)) * 6)
images = wave[:, None] * random.uniform(0.3, 1, (1200, 3, 1, 1))
images = (images + 0.1 * random.normal(size=images.shape)).astype("float32")

model = keras.Sequential(
    [
        layers.Input((3, 24, 24)),
        layers.Conv2D(16, 3, padding="same", activation="relu"),
        layers.Conv2D(16, 3, padding="same", activation="relu"),
        layers.GlobalAveragePooling2D(),
        layers.Dense(4, activation="softmax"),
    ]
)
model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
model.fit(images, kinds, batch_size=40, epochs=4, verbose=2)
