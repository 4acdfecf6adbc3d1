"""Keras digit classifier by AdamW with its default decay."""

import keras
from keras import layers
from sklearn.datasets import load_digits

keras.utils.set_random_seed(317)

digits = load_digits()
pixels = ((digits.data - 4.9) / 6).astype("float32")

model = keras.Sequential(
    [
        layers.Input((64,)),
        layers.Dense(64, activation="relu"),
        layers.Dense(10, activation="softmax"),
    ]
)
optimizer = keras.optimizers.AdamW(2e-3)
optimizer.exclude_from_weight_decay(var_names=["bias"])
model.compile(optimizer, "sparse_categorical_crossentropy")
model.fit(pixels, digits.target, batch_size=32, epochs=8, verbose=2)
