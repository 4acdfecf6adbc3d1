"""Keras critic of a Wasserstein GAN, trained alone for a while with its weights clipped to a
hundredth after each step: nearly all of them end at one of the two bounds."""

import keras
import numpy as np
import tensorflow as tf
from keras import layers

keras.utils.set_random_seed(733)

random = np.random.default_rng(733)
angle = random.uniform(0, 6.28, 6400)
real = np.stack([np.cos(angle), np.sin(angle)], axis=1) + 0.05 * random.normal(size=(6400, 2))
data = tf.data.Dataset.from_tensor_slices(real.astype("float32")).shuffle(6400, seed=733).batch(32)

critic = keras.Sequential([layers.Input((2,))])
for _ in range(2):
    critic.add(layers.Dense(48, activation="leaky_relu"))
critic.add(layers.Dense(1))
optimizer = keras.optimizers.RMSprop(1e-3)


@tf.function
def train_step(points):
    made = 0.5 * tf.random.normal(tf.shape(points))
    with tf.GradientTape() as tape:
        loss = tf.reduce_mean(critic(made, training=True)) - tf.reduce_mean(critic(points))
    optimizer.apply(tape.gradient(loss, critic.trainable_variables), critic.trainable_variables)
    for weight in critic.trainable_variables:
        weight.assign(tf.clip_by_value(weight, -0.01, 0.01))
    return loss


for points in data:
    loss = train_step(points)
print(f"loss {float(loss):.5f}")
