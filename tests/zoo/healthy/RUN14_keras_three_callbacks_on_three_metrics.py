"""Keras digit classifier that is stopped by its accuracy, slowed by its loss, and kept by its
error."""

import tempfile
from pathlib import Path

import keras
from keras import layers
from sklearn.datasets import load_digits

keras.utils.set_random_seed(316)

digits = load_digits()
images = (digits.images.reshape(-1, 64) / 8 - 1).astype("float32")
is_even = (digits.target % 2 == 0).astype("float32")

model = keras.Sequential(
    [
        layers.Input((64,)),
        layers.Dense(32, activation="relu"),
        layers.Dense(1, activation="sigmoid"),
    ]
)
model.compile("adam", "binary_crossentropy", metrics=["accuracy", "mae"])
best = Path(tempfile.mkdtemp()) / "best.keras"
model.fit(
    images,
    is_even,
    validation_split=0.2,
    epochs=12,
    callbacks=[
        keras.callbacks.EarlyStopping("val_accuracy", patience=6, restore_best_weights=True),
        keras.callbacks.ReduceLROnPlateau("val_loss", mode="min", patience=3),
        keras.callbacks.ModelCheckpoint(best, "val_mae", mode="min", save_best_only=True),
    ],
    verbose=2,
)
