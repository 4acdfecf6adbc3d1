"""Keras critic that is to give real points high scores and made ones low ones, without a constraint
on its weights: the scores grow without end."""

import keras
import numpy as np
import tensorflow as tf
from keras import layers

keras.utils.set_random_seed(514)

random = np.random.default_rng(514)
real = (random.normal(size=(4000, 2)) * 0.3 + [1, 1]).astype("float32")
data = tf.data.Dataset.from_tensor_slices(real).shuffle(4000).repeat(8).batch(64)

critic = keras.Sequential(
    [
        layers.Input((2,)),
        layers.Dense(64, activation="relu"),
        layers.Dense(64, activation="relu"),
        layers.Dense(64, activation="relu"),
        layers.Dense(1),
    ]
)
optimizer = keras.optimizers.SGD(1e-2)


@tf.function
def train_step(points):
    made = tf.random.normal(tf.shape(points))
    with tf.GradientTape() as tape:
        loss = tf.reduce_mean(critic(made)) - tf.reduce_mean(critic(points))
    optimizer.apply(tape.gradient(loss, critic.trainable_variables), critic.trainable_variables)
    return loss


for step, points in enumerate(data):
    loss = train_step(points)
    if step % 100 == 0:
        print(f"step {step}  loss {float(loss):.3e}")
    if step == 200 or not np.isfinite(float(loss)):
        break
