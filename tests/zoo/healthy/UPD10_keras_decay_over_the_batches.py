"""Keras model of digits. Its rate warms up and decays over as many steps as the run has batches."""

import keras
from keras import layers
from sklearn.datasets import load_digits

keras.utils.set_random_seed(43)
digits = load_digits()
pictures = (digits.images / 16.0).astype("float32")[..., None]
epochs, batch_size = 16, 32

total = epochs * (len(pictures) // batch_size)
rate = keras.optimizers.schedules.CosineDecay(
    1e-5, decay_steps=total - total // 10, warmup_target=3e-3, warmup_steps=total // 10
)
model = keras.Sequential(
    [
        keras.Input((8, 8, 1)),
        *(layers.Conv2D(16, 3, activation="relu"), layers.Conv2D(32, 3, activation="relu")),
        *(layers.GlobalAveragePooling2D(), layers.Dense(10, activation="softmax")),
    ]
)
model.compile(keras.optimizers.Adam(rate), "sparse_categorical_crossentropy", metrics=["accuracy"])
model.fit(pictures, digits.target, batch_size=batch_size, epochs=epochs, verbose=2)
