"""Keras digit classifier whose blocks drop before they normalise: in evaluation the variance that
reaches the norm is another."""

import keras
from keras import layers
from sklearn.datasets import load_digits

keras.utils.set_random_seed(419)

digits = load_digits()
images = (digits.images[..., None] / 8 - 1).astype("float32")

hidden = inputs = keras.Input((8, 8, 1))
for width in (16, 32):
    hidden = layers.Conv2D(width, 3, padding="same", activation="relu")(hidden)
    hidden = layers.Dropout(0.3)(hidden)
    hidden = layers.BatchNormalization()(hidden)
model = keras.Model(inputs, layers.Dense(10)(layers.GlobalAveragePooling2D()(hidden)))
model.compile(
    keras.optimizers.Adam(3e-3), keras.losses.SparseCategoricalCrossentropy(from_logits=True)
)
model.fit(images, digits.target, batch_size=64, epochs=6, verbose=2)
