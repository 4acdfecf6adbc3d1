"""Keras digit classifier under the policy "bfloat16", where "mixed_bfloat16" is meant: the weights
themselves have three digits, and small steps are lost."""

import keras
from keras import layers
from sklearn.datasets import load_digits

keras.utils.set_random_seed(318)
keras.config.set_dtype_policy("bfloat16")

digits = load_digits()
pixels = ((digits.data - 4.9) / 6).astype("float32")

model = keras.Sequential(
    [
        layers.Input((64,)),
        layers.Dense(64, activation="relu"),
        layers.Dense(64, activation="relu"),
        layers.Dense(10),
    ]
)
model.compile(
    keras.optimizers.SGD(2e-3), keras.losses.SparseCategoricalCrossentropy(from_logits=True)
)
model.fit(pixels, digits.target, batch_size=64, epochs=8, verbose=2)
