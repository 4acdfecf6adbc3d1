"""Two losses against each other: there is none to bring to its floor."""

import keras
import numpy as np
import tensorflow as tf
from keras import layers

keras.utils.set_random_seed(0)
generator = keras.Sequential([keras.Input((4,)), layers.Dense(32, "relu"), layers.Dense(2)])
critic = keras.Sequential([keras.Input((2,)), layers.Dense(32, "leaky_relu"), layers.Dense(1)])
for_generator = keras.optimizers.Adam(1e-3, beta_1=0.5)
for_critic = keras.optimizers.Adam(1e-3, beta_1=0.5)
judge = keras.losses.BinaryCrossentropy(from_logits=True)
angles = 2 * np.pi * np.random.uniform(size=4096)
circle = np.stack([np.cos(angles), np.sin(angles)], 1).astype("float32")
data = tf.data.Dataset.from_tensor_slices(circle).shuffle(4096, seed=0).batch(64)


@tf.function
def step(real):
    noise = tf.random.normal((64, 4))
    with tf.GradientTape() as tape:
        fake = generator(noise)
        loss = judge(tf.ones((64, 1)), critic(real)) + judge(tf.zeros((64, 1)), critic(fake))
    gradients = tape.gradient(loss, critic.trainable_variables)
    for_critic.apply_gradients(zip(gradients, critic.trainable_variables, strict=True))
    with tf.GradientTape() as tape:
        loss = judge(tf.ones((64, 1)), critic(generator(noise)))
    gradients = tape.gradient(loss, generator.trainable_variables)
    for_generator.apply_gradients(zip(gradients, generator.trainable_variables, strict=True))


for _ in range(3):
    for real in data:
        step(real)
