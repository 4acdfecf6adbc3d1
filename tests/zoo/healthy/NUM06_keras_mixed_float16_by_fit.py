"""Keras digit classifier under "mixed_float16" by `fit`, which scales the loss."""

import keras
from keras import layers
from sklearn.datasets import load_digits

keras.utils.set_random_seed(510)
keras.config.set_dtype_policy("mixed_float16")

digits = load_digits()
images = (digits.images[..., None] / 8 - 1).astype("float32")

model = keras.Sequential([layers.Input((8, 8, 1))])
for _ in range(2):
    model.add(layers.Conv2D(16, 3, padding="same", activation="relu"))
model.add(layers.Flatten())
model.add(layers.Dense(10, dtype="float32"))
model.compile(
    keras.optimizers.Adam(2e-3), keras.losses.SparseCategoricalCrossentropy(from_logits=True)
)
model.fit(images, digits.target, batch_size=64, epochs=4, verbose=2)
