"""Keras GAN of points on a plane: the discriminator's gradients are computed and given to no
optimizer, so that the generator learns to please a random net."""

import keras
import numpy as np
import tensorflow as tf
from keras import layers

keras.utils.set_random_seed(331)

points = np.random.default_rng(331).normal([2.0, -1.0], 0.3, (1024, 2)).astype("float32")
data = tf.data.Dataset.from_tensor_slices(points).shuffle(1024).batch(64)

generator = keras.Sequential(
    [keras.Input((8,)), layers.Dense(32, activation="relu"), layers.Dense(2)]
)
discriminator = keras.Sequential(
    [keras.Input((2,)), layers.Dense(32), layers.LeakyReLU(0.2), layers.Dense(1)]
)
generator_optimizer = keras.optimizers.Adam(1e-3)
discriminator_optimizer = keras.optimizers.Adam(1e-3)
criterion = keras.losses.BinaryCrossentropy(from_logits=True)


@tf.function
def train_step(real):
    noise = tf.random.normal((tf.shape(real)[0], 8))
    with tf.GradientTape() as g_tape, tf.GradientTape() as d_tape:
        fake = generator(noise, training=True)
        on_fake = discriminator(fake, training=True)
        on_real = discriminator(real, training=True)
        g_loss = criterion(tf.ones_like(on_fake), on_fake)
        d_loss = criterion(tf.ones_like(on_real), on_real)
        d_loss += criterion(tf.zeros_like(on_fake), on_fake)
    g_gradients = g_tape.gradient(g_loss, generator.trainable_variables)
    d_gradients = d_tape.gradient(d_loss, discriminator.trainable_variables)
    generator_optimizer.apply(g_gradients, generator.trainable_variables)
    return g_loss, d_loss, tf.linalg.global_norm(d_gradients)


for epoch in range(10):
    for real in data:
        g_loss, d_loss, norm = train_step(real)
    print(f"epoch {epoch}  g {float(g_loss):.3f}  d {float(d_loss):.3f}  |d'| {float(norm):.3f}")
