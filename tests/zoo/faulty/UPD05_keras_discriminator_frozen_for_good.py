"""Keras GAN of two compiled models, written as for Keras 2: the discriminator is frozen once it is
compiled, but Keras 3 reads that at its first step, so that it is never trained."""

import keras
import numpy as np
from keras import layers

keras.utils.set_random_seed(332)

rng = np.random.default_rng(332)
points = rng.normal([2.0, -1.0], 0.3, (1024, 2)).astype("float32")

generator = keras.Sequential(
    [keras.Input((8,)), layers.Dense(64, activation="relu"), layers.Dense(2)]
)
discriminator = keras.Sequential(
    [
        keras.Input((2,)),
        layers.Dense(32),
        layers.LeakyReLU(0.2),
        layers.Dense(1, activation="sigmoid"),
    ]
)
discriminator.compile("adam", "binary_crossentropy")
discriminator.trainable = False

noise = keras.Input((8,))
gan = keras.Model(noise, discriminator(generator(noise)))
gan.compile("adam", "binary_crossentropy")

ones, zeros = np.ones((32, 1)), np.zeros((32, 1))
for step in range(160):
    drawn = rng.normal(size=(32, 8)).astype("float32")
    d_loss = discriminator.train_on_batch(points[rng.integers(0, 1024, 32)], ones)
    d_loss += discriminator.train_on_batch(generator(drawn), zeros)
    g_loss = gan.train_on_batch(drawn, ones)
    if step % 40 == 0:
        print(f"step {step}  g {float(g_loss):.3f}  d {float(d_loss):.3f}")
