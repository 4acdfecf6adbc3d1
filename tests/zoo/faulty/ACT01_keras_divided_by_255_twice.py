"""Keras digit classifier whose norms were taken out for a small device; its convolutions are still
without biases. Pixels are divided by 255 in the pipeline and once more by a layer: what flows
through is a thousandth, and SGD hardly gets anywhere."""

import keras
from keras import layers
from sklearn.datasets import load_digits

keras.utils.set_random_seed(401)

digits = load_digits()
images = (digits.images[..., None] / 16).astype("float32")

model = keras.Sequential([layers.Input((8, 8, 1)), layers.Rescaling(1 / 255)])
for width in (16, 24, 32):
    model.add(layers.Conv2D(width, 3, padding="same", activation="relu", use_bias=False))
model.add(layers.GlobalAveragePooling2D())
model.add(layers.Dense(10, activation="softmax"))
model.compile(keras.optimizers.SGD(0.05), "sparse_categorical_crossentropy")
model.fit(images, digits.target, batch_size=64, epochs=7, verbose=2)
