"""Keras regression of the energy of houses in a loop of its own that walks through the arrays from
their first row to the last, in every epoch."""

import keras
import numpy as np
import tensorflow as tf
from keras import layers

keras.utils.set_random_seed(820)
BATCH = 60

random = np.random.default_rng(820)
houses = random.normal(size=(1500, 8)).astype("float32")
energy = np.tanh(houses[:, :1] * houses[:, 1:2]) + houses[:, 2:3]
energy = (energy + 0.2 * random.normal(size=(1500, 1))).astype("float32")

model = keras.Sequential([layers.Input((8,)), layers.Dense(32, activation="silu")])
model.add(layers.Dense(32, activation="silu"))
model.add(layers.Dense(1))
optimizer = keras.optimizers.Adam(2e-3)
criterion = keras.losses.Huber()


@tf.function
def train_step(x, y):
    with tf.GradientTape() as tape:
        loss = criterion(y, model(x, training=True))
    optimizer.apply(tape.gradient(loss, model.trainable_variables), model.trainable_variables)
    return loss


for epoch in range(10):
    for start in range(0, len(houses), BATCH):
        x, y = houses[start : start + BATCH], energy[start : start + BATCH]
        loss = train_step(tf.constant(x), tf.constant(y))
    print(f"epoch {epoch}  loss {float(loss):.4f}")
