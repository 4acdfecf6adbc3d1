"""Keras model of how many claims a customer makes, by the exponential of its output, from features
with long tails that are as they came: for a large customer the exponential, and with it the
gradient, is thousands of times that of the others. In review: nothing clips it."""

import keras
import numpy as np
import tensorflow as tf
from keras import layers

keras.utils.set_random_seed(822)

random = np.random.default_rng(822)
customers = np.exp(1.2 * random.normal(size=(9000, 6)))
rate = np.exp(0.1 * customers[:, :1] - 0.3 * customers[:, 1:2])
claims = random.poisson(np.minimum(rate, 20)).astype("float32")
data = tf.data.Dataset.from_tensor_slices((customers.astype("float32"), claims))

model = keras.Sequential([layers.Input((6,)), layers.Dense(24, activation="relu")])
model.add(layers.Dense(1))
optimizer = keras.optimizers.Adam(1e-3)


@tf.function
def train_step(x, count):
    with tf.GradientTape() as tape:
        loss = tf.reduce_mean(tf.nn.log_poisson_loss(count, model(x, training=True)))
    optimizer.apply(tape.gradient(loss, model.trainable_variables), model.trainable_variables)
    return loss


for epoch in range(2):
    for x, count in data.shuffle(9000).batch(40):
        loss = train_step(x, count)
    print(f"epoch {epoch}  loss {float(loss):.3f}")
