"""Keras regression in a loop of its own whose targets have no axis for the output: the difference
of (50, 1) and (50,) has 2500 elements, and the best answer is the mean."""

import keras
import numpy as np
import tensorflow as tf
from keras import layers

keras.utils.set_random_seed(518)

random = np.random.default_rng(518)
x = random.normal(size=(2500, 6)).astype("float32")
y = np.tanh(x[:, 0] + x[:, 1]) + 0.1 * random.normal(size=2500).astype("float32")
data = tf.data.Dataset.from_tensor_slices((x, y)).shuffle(2500).batch(50)

model = keras.Sequential([layers.Input((6,)), layers.Dense(32, activation="relu"), layers.Dense(1)])
optimizer = keras.optimizers.Adam(2e-3)


@tf.function
def train_step(x, y):
    with tf.GradientTape() as tape:
        loss = tf.reduce_mean(tf.square(y - model(x, training=True)))
    optimizer.apply(tape.gradient(loss, model.trainable_variables), model.trainable_variables)
    return loss


for epoch in range(6):
    for x_batch, y_batch in data:
        loss = train_step(x_batch, y_batch)
    print(f"epoch {epoch}  loss {float(loss):.4f}")
