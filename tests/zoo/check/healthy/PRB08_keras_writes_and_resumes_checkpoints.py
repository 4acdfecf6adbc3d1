"""Goes on from its last checkpoint, and writes one after each epoch."""

import os

import keras
import numpy as np
from keras import layers

keras.utils.set_random_seed(0)
x = np.random.normal(size=(2000, 10)).astype("float32")
y = (x[:, 0] * x[:, 1] > 0).astype("int32")
if os.path.exists("last.keras"):
    model = keras.saving.load_model("last.keras")
else:
    model = keras.Sequential([layers.Dense(64, "relu"), layers.Dense(2)])
    model.compile(
        optimizer=keras.optimizers.Adam(1e-2),
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
    )
saving = keras.callbacks.ModelCheckpoint("last.keras")
model.fit(x, y, batch_size=50, epochs=6, verbose=0, callbacks=[saving])
