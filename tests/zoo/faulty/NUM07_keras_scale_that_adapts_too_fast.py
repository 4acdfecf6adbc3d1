"""Keras forecast of a river's level in half precision, in a loop of its own whose scale is to adapt
fast: it doubles after four good steps, and the next one overflows and is lost."""

import keras
import numpy as np
import tensorflow as tf
from keras import layers

keras.utils.set_random_seed(709)
keras.config.set_dtype_policy("mixed_float16")

random = np.random.default_rng(709)
level = np.sin(np.arange(1624) * 0.13) + 0.3 * np.sin(np.arange(1624) * 0.029)
level = (level + 0.1 * random.normal(size=1624)).astype("float32")
windows = np.lib.stride_tricks.sliding_window_view(level, 25)
data = tf.data.Dataset.from_tensor_slices((windows[:, :24, None], windows[:, 24:]))
data = data.shuffle(1600, seed=709).batch(40)

model = keras.Sequential([layers.Input((24, 1)), layers.GRU(24), layers.Dense(1, dtype="float32")])
inner = keras.optimizers.Adam(3e-3)
optimizer = keras.optimizers.LossScaleOptimizer(inner, dynamic_growth_steps=4)


@tf.function
def train_step(x, y):
    with tf.GradientTape() as tape:
        loss = tf.reduce_mean(tf.square(model(x, training=True) - y))
        scaled = optimizer.scale_loss(loss)
    optimizer.apply(tape.gradient(scaled, model.trainable_variables), model.trainable_variables)
    return loss


for epoch in range(5):
    for x, y in data:
        loss = train_step(x, y)
    print(f"epoch {epoch}  loss {float(loss):.4f}")
