"""Keras digit classifier that normalises in its blocks and drops once, before its head."""

import keras
from keras import layers
from sklearn.datasets import load_digits

keras.utils.set_random_seed(420)

digits = load_digits()
images = (digits.images[..., None] / 8 - 1).astype("float32")

hidden = inputs = keras.Input((8, 8, 1))
for width in (16, 32):
    hidden = layers.Conv2D(width, 3, padding="same", use_bias=False)(hidden)
    hidden = layers.ReLU()(layers.BatchNormalization(momentum=0.9)(hidden))
hidden = layers.Dropout(0.2)(layers.GlobalAveragePooling2D()(hidden))
model = keras.Model(inputs, layers.Dense(10)(hidden))
model.compile(
    keras.optimizers.Adam(3e-3), keras.losses.SparseCategoricalCrossentropy(from_logits=True)
)
model.fit(images, digits.target, batch_size=64, epochs=6, verbose=2)
