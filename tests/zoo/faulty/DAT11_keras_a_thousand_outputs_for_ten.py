"""Keras digit classifier whose head was copied from an ImageNet model. In review:
`Dense(1000)`, of which ten can ever be right."""

import keras
from keras import layers
from sklearn.datasets import load_digits

keras.utils.set_random_seed(116)

digits = load_digits()
images = (digits.images[..., None] / 8 - 1).astype("float32")

inputs = keras.Input((8, 8, 1))
hidden = layers.Conv2D(32, 3, activation="relu")(inputs)
hidden = layers.GlobalAveragePooling2D()(layers.Conv2D(64, 3, activation="relu")(hidden))
model = keras.Model(inputs, layers.Dense(1000, activation="softmax")(hidden))
model.compile(keras.optimizers.Adam(3e-3), "sparse_categorical_crossentropy", metrics=["accuracy"])
model.fit(images, digits.target, batch_size=64, epochs=6, verbose=2)
