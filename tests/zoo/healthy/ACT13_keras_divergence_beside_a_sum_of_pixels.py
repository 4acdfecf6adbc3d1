"""Keras variational autoencoder that adds up both of its terms over an example."""

import keras
import numpy as np
import tensorflow as tf
from keras import layers, ops

keras.utils.set_random_seed(2011)

random = np.random.default_rng(2011)
centres = random.uniform(3, 9, (1200, 2))
places = np.stack(np.meshgrid(np.arange(12), np.arange(12)), -1)
distance = ((places - centres[:, None, None]) ** 2).sum(-1)
images = np.exp(-distance / 6)[..., None].astype("float32")


class Sampling(layers.Layer):
    def __init__(self):
        super().__init__()
        self.seed_generator = keras.random.SeedGenerator(7)

    def call(self, inputs):
        mean, log_variance = inputs
        noise = keras.random.normal(ops.shape(mean), seed=self.seed_generator)
        return mean + ops.exp(0.5 * log_variance) * noise


class Autoencoder(keras.Model):
    def __init__(self):
        super().__init__()
        self.trunk = keras.Sequential([layers.Flatten(), layers.Dense(64, activation="relu")])
        self.mean, self.log_variance = layers.Dense(4), layers.Dense(4)
        self.sampling = Sampling()
        self.decoder = keras.Sequential(
            [layers.Dense(64, activation="relu"), layers.Dense(144, activation="sigmoid")]
        )

    def train_step(self, data):
        with tf.GradientTape() as tape:
            hidden = self.trunk(data)
            mean, log_variance = self.mean(hidden), self.log_variance(hidden)
            again = self.decoder(self.sampling([mean, log_variance]))
            of_pixels = keras.losses.binary_crossentropy(self.flat(data), again)
            reconstruction = 144 * ops.mean(of_pixels)
            terms = 1 + log_variance - ops.square(mean) - ops.exp(log_variance)
            divergence = -0.5 * ops.mean(ops.sum(terms, axis=1))
            loss = reconstruction + divergence
        gradients = tape.gradient(loss, self.trainable_variables)
        self.optimizer.apply(gradients, self.trainable_variables)
        return {"loss": loss}

    def flat(self, data):
        return ops.reshape(data, (-1, 144))


model = Autoencoder()
model.compile(keras.optimizers.Adam(2e-3))
model.fit(images, batch_size=40, epochs=12, verbose=2)
