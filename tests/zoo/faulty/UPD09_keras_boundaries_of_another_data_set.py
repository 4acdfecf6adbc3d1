"""Keras forecast by an LSTM in a loop of its own, with a rate that falls at the boundaries of a
much smaller data set: a fifth of the way through nothing is left of it."""

import keras
import numpy as np
import tensorflow as tf
from keras import layers

keras.utils.set_random_seed(727)

random = np.random.default_rng(727)
wave = np.sin(np.arange(2020) * 0.3) * np.sin(np.arange(2020) * 0.017)
wave = (wave + 0.05 * random.normal(size=2020)).astype("float32")
windows = np.lib.stride_tricks.sliding_window_view(wave, 21)
data = tf.data.Dataset.from_tensor_slices((windows[:, :20, None], windows[:, 20:]))
data = data.shuffle(2000, seed=727).batch(32)

model = keras.Sequential([layers.Input((20, 1)), layers.LSTM(24), layers.Dense(1)])
rate = keras.optimizers.schedules.PiecewiseConstantDecay([30, 60], [2e-3, 1e-4, 1e-6])
optimizer = keras.optimizers.Adam(rate)


@tf.function
def train_step(x, y):
    with tf.GradientTape() as tape:
        loss = tf.reduce_mean(tf.square(model(x, training=True) - y))
    optimizer.apply(tape.gradient(loss, model.trainable_variables), model.trainable_variables)
    return loss


for epoch in range(5):
    for x, y in data:
        loss = train_step(x, y)
    print(f"epoch {epoch}  loss {float(loss):.5f}")
