"""Convolutions, batch norm, dropout, L2, AdamW, validation and a schedule."""

import keras
import numpy as np
from keras import layers

keras.utils.set_random_seed(0)
random = np.random.default_rng(0)
labels = random.integers(0, 5, 2000)
images = random.normal(size=(5, 8, 8, 1))[labels] + 0.7 * random.normal(size=(2000, 8, 8, 1))
model = keras.Sequential(
    [
        layers.Conv2D(8, 3, kernel_regularizer=keras.regularizers.L2(1e-4)),
        layers.BatchNormalization(),
        layers.ReLU(),
        layers.Flatten(),
        layers.Dropout(0.3),
        layers.Dense(5, "softmax"),
    ]
)
rate = keras.optimizers.schedules.CosineDecay(3e-3, 400, warmup_target=None)
model.compile(
    optimizer=keras.optimizers.AdamW(rate, weight_decay=1e-3),
    loss="sparse_categorical_crossentropy",
    metrics=["accuracy"],
)
model.fit(
    images.astype("float32"), labels, batch_size=40, epochs=6, validation_split=0.2, verbose=0
)
