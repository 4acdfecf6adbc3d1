"""Keras digit classifier by Adam whose rate grows from zero over the first hundred steps."""

import keras
from keras import layers
from sklearn.datasets import load_digits

keras.utils.set_random_seed(304)

digits = load_digits()
pixels = ((digits.data - 4.9) / 6).astype("float32")

model = keras.Sequential([layers.Input((64,)), layers.Dense(64, activation="relu")])
model.add(layers.Dense(10, activation="softmax"))
schedule = keras.optimizers.schedules.CosineDecay(
    0.0, 400, warmup_target=2e-3, warmup_steps=100, alpha=0.1
)
model.compile(keras.optimizers.Adam(schedule), "sparse_categorical_crossentropy")
model.fit(pixels, digits.target, batch_size=32, epochs=9, verbose=2)
