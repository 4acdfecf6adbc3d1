"""Keras forecast of a series in a loop of its own after `set_floatx("bfloat16")`, to save memory:
weights are kept in it, and most of a small step is rounded away."""

import keras
import numpy as np
import tensorflow as tf
from keras import layers

keras.utils.set_random_seed(731)
keras.config.set_floatx("bfloat16")

random = np.random.default_rng(731)
series = np.sin(np.arange(2024) * 0.17) + 0.1 * random.normal(size=2024)
windows = np.lib.stride_tricks.sliding_window_view(series.astype("float32"), 25)
data = tf.data.Dataset.from_tensor_slices((windows[:, :24, None], windows[:, 24:]))
data = data.shuffle(2000, seed=731).batch(40)

model = keras.Sequential(
    [
        layers.Input((24, 1)),
        layers.Conv1D(24, 5, activation="gelu"),
        layers.Flatten(),
        layers.Dense(32, activation="gelu"),
        layers.Dense(1),
    ]
)
optimizer = keras.optimizers.AdamW(1e-5)


@tf.function
def train_step(x, y):
    with tf.GradientTape() as tape:
        told = tf.cast(model(x, training=True), tf.float32)
        loss = tf.reduce_mean(tf.square(told - y))
    optimizer.apply(tape.gradient(loss, model.trainable_variables), model.trainable_variables)
    return loss


for epoch in range(5):
    for x, y in data:
        loss = train_step(x, y)
    print(f"epoch {epoch}  loss {float(loss):.4f}")
