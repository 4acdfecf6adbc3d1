"""Keras recurrent forecast of the next hours in a loop of its own: the squared errors are summed
over batch and hours, the rate is one for a mean, and momentum does the rest: no number is left
after a few steps."""

import keras
import numpy as np
import tensorflow as tf
from keras import layers

keras.utils.set_random_seed(710)

random = np.random.default_rng(710)
load = np.sin(np.arange(1500) * 0.26) + 0.2 * random.normal(size=1500)
days = np.lib.stride_tricks.sliding_window_view(load.astype("float32"), 36)
data = tf.data.Dataset.from_tensor_slices((days[:, :24, None], days[:, 24:]))
data = data.shuffle(1500, seed=710).batch(32)

model = keras.Sequential([layers.Input((24, 1))])
model.add(layers.SimpleRNN(32, activation="relu"))
model.add(layers.Dense(12))
optimizer = keras.optimizers.SGD(0.1, momentum=0.9)


@tf.function
def train_step(x, y):
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(tf.square(model(x, training=True) - y))
    optimizer.apply(tape.gradient(loss, model.trainable_variables), model.trainable_variables)
    return loss


for epoch in range(2):
    for x, y in data:
        loss = train_step(x, y)
    print(f"epoch {epoch}  loss {float(loss):.4f}")
