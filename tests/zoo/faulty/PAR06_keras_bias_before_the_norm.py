"""Keras digit classifier whose convolutions keep their bias, which is the default, before batch
normalisation, which takes it away."""

import keras
from keras import layers
from sklearn.datasets import load_digits

keras.utils.set_random_seed(444)

digits = load_digits()
images = (digits.images[..., None] / 8 - 1).astype("float32")

model = keras.Sequential([layers.Input((8, 8, 1))])
for width in (16, 32):
    model.add(layers.Conv2D(width, 3, padding="same"))
    model.add(layers.BatchNormalization(momentum=0.9))
    model.add(layers.Activation("relu"))
model.add(layers.GlobalAveragePooling2D())
model.add(layers.Dense(10))
model.compile(
    keras.optimizers.Adam(3e-3), keras.losses.SparseCategoricalCrossentropy(from_logits=True)
)
model.fit(images, digits.target, batch_size=64, epochs=4, verbose=2)
