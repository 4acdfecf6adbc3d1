"""Keras digit classifier under the policy "mixed_bfloat16": it computes in bfloat16 and keeps its
weights in float32."""

import keras
from keras import layers
from sklearn.datasets import load_digits

keras.utils.set_random_seed(319)
keras.config.set_dtype_policy("mixed_bfloat16")

digits = load_digits()
pixels = ((digits.data - 4.9) / 6).astype("float32")

model = keras.Sequential(
    [
        layers.Input((64,)),
        layers.Dense(64, activation="relu"),
        layers.Dense(10, dtype="float32"),
    ]
)
model.compile(
    keras.optimizers.SGD(0.05), keras.losses.SparseCategoricalCrossentropy(from_logits=True)
)
model.fit(pixels, digits.target, batch_size=64, epochs=8, verbose=2)
