"""Keras forecast of a series in a loop of its own, whose order of batches has a seed and whose
weights have none: two runs begin differently."""

import keras
import numpy as np
import tensorflow as tf
from keras import layers

random = np.random.default_rng(714)
hours = np.arange(1540)
sales = np.sin(hours * 0.26) + 0.5 * np.sin(hours * 0.037) + 0.1 * random.normal(size=1540)
windows = np.lib.stride_tricks.sliding_window_view(sales.astype("float32"), 41)
data = tf.data.Dataset.from_tensor_slices((windows[:, :40, None], windows[:, 40:]))
data = data.shuffle(1500, seed=714).batch(50)

model = keras.Sequential([layers.Input((40, 1)), layers.LSTM(16), layers.Dense(1)])
optimizer = keras.optimizers.Adam(3e-3)


@tf.function
def train_step(x, y):
    with tf.GradientTape() as tape:
        loss = tf.reduce_mean(tf.square(model(x, training=True) - y))
    optimizer.apply(tape.gradient(loss, model.trainable_variables), model.trainable_variables)
    return loss


for epoch in range(6):
    for x, y in data:
        loss = train_step(x, y)
    print(f"epoch {epoch}  loss {float(loss):.4f}")
