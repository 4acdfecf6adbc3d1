"""Keras digit classifier stopped after five epochs because the notebook was to be finished: the
loss was falling as fast as ever."""

import keras
from keras import layers
from sklearn.datasets import load_digits

keras.utils.set_random_seed(224)

digits = load_digits()
images = (digits.images[..., None] / 8 - 1).astype("float32")

model = keras.Sequential(
    [
        layers.Input((8, 8, 1)),
        layers.Conv2D(16, 3, activation="relu"),
        layers.Conv2D(16, 3, activation="relu"),
        layers.GlobalAveragePooling2D(),
        layers.Dense(10, activation="softmax"),
    ]
)
model.compile(keras.optimizers.Adam(1e-3), "sparse_categorical_crossentropy")
model.fit(images, digits.target, batch_size=32, epochs=5, verbose=2)
