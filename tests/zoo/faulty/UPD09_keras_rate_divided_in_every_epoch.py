"""Keras digit classifier whose schedule divides the last rate, not the first, by ten in every
epoch. In review: `lr` of a `LearningRateScheduler` is the rate as it is by now."""

import keras
from keras import layers
from sklearn.datasets import load_digits

keras.utils.set_random_seed(324)

digits = load_digits()
images = (digits.images[..., None] / 8 - 1).astype("float32")

model = keras.Sequential(
    [
        layers.Input((8, 8, 1)),
        layers.Conv2D(16, 3, activation="relu"),
        layers.Flatten(),
        layers.Dense(10, activation="softmax"),
    ]
)
model.compile(keras.optimizers.SGD(0.02), "sparse_categorical_crossentropy", metrics=["accuracy"])
decay = keras.callbacks.LearningRateScheduler(lambda epoch, lr: lr * 0.1)
model.fit(images, digits.target, batch_size=32, epochs=12, callbacks=[decay], verbose=2)
