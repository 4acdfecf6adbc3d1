"""Keras digit classifier with a callback that divides the rate when the loss stays where it is."""

import keras
from keras import layers
from sklearn.datasets import load_digits

keras.utils.set_random_seed(312)

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
model.compile(keras.optimizers.SGD(0.05, momentum=0.9), "sparse_categorical_crossentropy")
reduce = keras.callbacks.ReduceLROnPlateau("loss", factor=0.3, patience=2, min_lr=1e-4)
model.fit(images, digits.target, batch_size=64, epochs=14, callbacks=[reduce], verbose=2)
