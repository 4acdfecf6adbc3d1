"""Keras digit classifier fed with 8-bit pixels: the line that divides by 255 is commented out.
In review: `astype("float32")` and no scaling, no Rescaling layer."""

import keras
from keras import layers
from sklearn.datasets import load_digits

keras.utils.set_random_seed(4)

digits = load_digits()
images = (digits.images * 255 // 16).astype("float32")
# images = images / 255

model = keras.Sequential(
    [
        layers.Input((8, 8)),
        layers.Flatten(),
        layers.Dense(64, activation="relu"),
        layers.Dense(10),
    ]
)
model.compile("sgd", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
model.fit(images, digits.target, batch_size=64, epochs=6, verbose=2)
