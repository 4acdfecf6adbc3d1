"""Keras model that applies one block with batch normalisation three times in a row: its running
statistics are those of no place."""

import keras
from keras import layers
from sklearn.datasets import load_digits

keras.utils.set_random_seed(447)

digits = load_digits()
images = (digits.images[..., None] / 8 - 1).astype("float32")

inputs = keras.Input((8, 8, 1))
hidden = layers.Conv2D(16, 3, padding="same", activation="relu")(inputs)
mix, norm = layers.Conv2D(16, 3, padding="same", use_bias=False), layers.BatchNormalization()
for _ in range(3):
    hidden = layers.ReLU()(norm(mix(hidden)))
model = keras.Model(inputs, layers.Dense(10)(layers.GlobalAveragePooling2D()(hidden)))
model.compile(
    keras.optimizers.Adam(3e-3), keras.losses.SparseCategoricalCrossentropy(from_logits=True)
)
model.fit(images, digits.target, batch_size=64, epochs=4, verbose=2)
