"""Keras digit classifier of twelve rectified layers with He's initialisation."""

import keras
from keras import layers
from sklearn.datasets import load_digits

keras.utils.set_random_seed(242)

digits = load_digits()
pixels = ((digits.data - 4.9) / 6).astype("float32")

model = keras.Sequential([layers.Input((64,))])
for _ in range(12):
    model.add(layers.Dense(64, activation="relu", kernel_initializer="he_normal"))
model.add(layers.Dense(10))
model.compile(
    keras.optimizers.SGD(0.02), keras.losses.SparseCategoricalCrossentropy(from_logits=True)
)
model.fit(pixels, digits.target, batch_size=64, epochs=8, verbose=2)
