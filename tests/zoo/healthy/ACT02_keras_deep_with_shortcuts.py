"""Keras digit classifier of sixteen convolutions with norms and shortcuts."""

import keras
from keras import layers
from sklearn.datasets import load_digits

keras.utils.set_random_seed(404)

digits = load_digits()
images = (digits.images[..., None] / 8 - 1).astype("float32")

inputs = keras.Input((8, 8, 1))
hidden = layers.Conv2D(12, 3, padding="same", use_bias=False)(inputs)
for _ in range(5):
    branch = layers.ReLU()(layers.BatchNormalization()(hidden))
    branch = layers.Conv2D(12, 3, padding="same", use_bias=False)(branch)
    hidden = layers.Add()([hidden, branch])
hidden = layers.ReLU()(layers.BatchNormalization()(hidden))
model = keras.Model(inputs, layers.Dense(10)(layers.GlobalAveragePooling2D()(hidden)))
model.compile(
    keras.optimizers.Adam(3e-3), keras.losses.SparseCategoricalCrossentropy(from_logits=True)
)
model.fit(images, digits.target, batch_size=64, epochs=4, verbose=2)
