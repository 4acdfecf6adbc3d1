"""Keras digit classifier under "mixed_float16" whose loss scale doubles after every second step
instead of every 2000th: it overflows again and again, and these steps are lost."""

import keras
from keras import layers
from sklearn.datasets import load_digits

keras.utils.set_random_seed(511)
keras.config.set_dtype_policy("mixed_float16")

digits = load_digits()
images = (digits.images[..., None] / 8 - 1).astype("float32")

model = keras.Sequential(
    [
        layers.Input((8, 8, 1)),
        layers.Conv2D(16, 3, activation="relu"),
        layers.Flatten(),
        layers.Dense(10, dtype="float32"),
    ]
)
model.compile(
    keras.optimizers.LossScaleOptimizer(keras.optimizers.Adam(2e-3), dynamic_growth_steps=2),
    keras.losses.SparseCategoricalCrossentropy(from_logits=True),
)
model.fit(images, digits.target, batch_size=64, epochs=8, verbose=2)
