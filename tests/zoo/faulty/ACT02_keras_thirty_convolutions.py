"""Keras digit classifier of thirty convolutions without norms or shortcuts: with the default
initialisation each loses a part of the signal, and the head sees nothing of the image."""

import keras
from keras import layers
from sklearn.datasets import load_digits

keras.utils.set_random_seed(403)

digits = load_digits()
images = (digits.images[..., None] / 8 - 1).astype("float32")

hidden = inputs = keras.Input((8, 8, 1))
for _ in range(26):
    hidden = layers.Conv2D(8, 3, padding="same", activation="relu")(hidden)
model = keras.Model(inputs, layers.Dense(10)(layers.GlobalAveragePooling2D()(hidden)))
model.compile(
    keras.optimizers.SGD(0.02), keras.losses.SparseCategoricalCrossentropy(from_logits=True)
)
model.fit(images, digits.target, batch_size=64, epochs=4, verbose=2)
