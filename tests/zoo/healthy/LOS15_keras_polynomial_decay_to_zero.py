"""Keras digit classifier whose rate decays to zero until the end: it stops where it is to stop."""

import keras
from keras import layers
from sklearn.datasets import load_digits

keras.utils.set_random_seed(225)

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
schedule = keras.optimizers.schedules.PolynomialDecay(5e-3, 57 * 5, 0.0)
model.compile(keras.optimizers.Adam(schedule), "sparse_categorical_crossentropy")
model.fit(images, digits.target, batch_size=32, epochs=5, verbose=2)
