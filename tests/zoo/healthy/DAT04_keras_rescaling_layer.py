"""Keras digit classifier fed with 8-bit pixels whose first layer scales them: the usual way of
putting preprocessing into the model. Softmax head with the matching loss on probabilities."""

import keras
from keras import layers
from sklearn.datasets import load_digits

keras.utils.set_random_seed(4)

digits = load_digits()
images = (digits.images * 255 // 16).astype("float32")

model = keras.Sequential(
    [
        layers.Input((8, 8, 1)),
        layers.Rescaling(1 / 127.5, offset=-1),
        layers.Conv2D(12, 3, padding="same"),
        layers.BatchNormalization(),
        layers.ReLU(),
        layers.Conv2D(24, 3, strides=2, activation="relu"),
        layers.Flatten(),
        layers.Dropout(0.2),
        layers.Dense(10, activation="softmax"),
    ]
)
model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
x, y = images[..., None], digits.target
model.fit(
    x[:1500], y[:1500], batch_size=64, epochs=6, validation_data=(x[1500:], y[1500:]), verbose=2
)
