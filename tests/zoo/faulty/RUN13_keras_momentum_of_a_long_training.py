"""Keras digit classifier with batch normalisation in six epochs: its running statistics, with a
momentum of 0.999, are still those of the start when it is validated."""

import keras
from keras import layers
from sklearn.datasets import load_digits

keras.utils.set_random_seed(336)

digits = load_digits()
images = (digits.images[..., None] * 255 // 16 / 4).astype("float32")

model = keras.Sequential([layers.Input((8, 8, 1)), layers.Rescaling(1 / 32, -1)])
for width in (16, 32, 32):
    model.add(layers.Conv2D(width, 3, padding="same", use_bias=False))
    model.add(layers.BatchNormalization(momentum=0.999))
    model.add(layers.ReLU())
model.add(layers.GlobalAveragePooling2D())
model.add(layers.Dense(10))
model.compile(
    keras.optimizers.Adam(1e-2), keras.losses.SparseCategoricalCrossentropy(from_logits=True)
)
model.fit(images, digits.target, batch_size=64, epochs=6, validation_split=0.2, verbose=2)
