"""Keras digit classifier whose rate warms up over twenty epochs, by whole numbers: in all of the
first ones it is 0. In review: `epoch // 20`."""

import keras
from keras import layers
from sklearn.datasets import load_digits

keras.utils.set_random_seed(309)

digits = load_digits()
pixels = ((digits.data - 4.9) / 6).astype("float32")

model = keras.Sequential(
    [
        layers.Input((64,)),
        layers.Dense(32, activation="relu"),
        layers.Dense(10, activation="softmax"),
    ]
)
model.compile(keras.optimizers.Adam(2e-3), "sparse_categorical_crossentropy")
warm_up = keras.callbacks.LearningRateScheduler(lambda epoch: 2e-3 * min(1, epoch // 20))
model.fit(pixels, digits.target, batch_size=64, epochs=8, callbacks=[warm_up], verbose=2)
