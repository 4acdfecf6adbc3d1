"""Keras digit classifier whose rate is divided by ten whenever an epoch is not better by 2: none
ever is, and after three epochs nothing moves. In review: `min_delta=2`."""

import keras
from keras import layers
from sklearn.datasets import load_digits

keras.utils.set_random_seed(311)

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
model.compile(keras.optimizers.SGD(0.01), "sparse_categorical_crossentropy")
reduce = keras.callbacks.ReduceLROnPlateau("loss", factor=0.1, patience=1, min_delta=2, min_lr=0)
model.fit(images, digits.target, batch_size=64, epochs=14, callbacks=[reduce], verbose=2)
