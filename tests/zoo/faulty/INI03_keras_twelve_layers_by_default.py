"""Keras digit classifier of twelve rectified layers with the default initialisation, which is made
for tanh: half of the signal's power is lost in each of them."""

import keras
from keras import layers
from sklearn.datasets import load_digits

keras.utils.set_random_seed(241)

digits = load_digits()
pixels = ((digits.data - 4.9) / 6).astype("float32")

model = keras.Sequential([layers.Input((64,))])
for _ in range(12):
    model.add(layers.Dense(64, activation="relu"))
model.add(layers.Dense(10))
model.compile(
    keras.optimizers.SGD(0.05), keras.losses.SparseCategoricalCrossentropy(from_logits=True)
)
model.fit(pixels, digits.target, batch_size=64, epochs=8, verbose=2)
