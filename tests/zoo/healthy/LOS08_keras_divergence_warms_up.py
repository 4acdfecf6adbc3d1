"""Keras VAE with its own train_step whose divergence is warmed up: the sum rises for a while."""

import keras
import tensorflow as tf
from keras import layers, ops
from sklearn.datasets import load_digits

keras.utils.set_random_seed(213)

digits = load_digits()
pixels = (digits.data / 16).astype("float32")


class Vae(keras.Model):
    def __init__(self):
        super().__init__()
        self.encoder = keras.Sequential([layers.Dense(48, activation="relu"), layers.Dense(16)])
        self.decoder = keras.Sequential([layers.Dense(48, activation="relu"), layers.Dense(64)])
        self.noise = keras.random.SeedGenerator(1)
        self.weight = keras.Variable(0.0, trainable=False)

    def call(self, x):
        mean, log_variance = ops.split(self.encoder(x), 2, axis=-1)
        noise = keras.random.normal(ops.shape(mean), seed=self.noise)
        return mean, log_variance, self.decoder(mean + ops.exp(log_variance / 2) * noise)

    def train_step(self, x):
        with tf.GradientTape() as tape:
            mean, log_variance, logits = self(x, training=True)
            errors = tf.nn.sigmoid_cross_entropy_with_logits(x, logits)
            divergence = ops.sum(ops.exp(log_variance) + mean**2 - 1 - log_variance, -1) / 2
            loss = ops.mean(ops.sum(errors, -1)) + self.weight * ops.mean(divergence)
        self.weight.assign(ops.minimum(self.weight + 0.005, 1.0))
        variables = self.trainable_variables
        self.optimizer.apply(tape.gradient(loss, variables), variables)
        return {"loss": loss}


model = Vae()
model.compile(keras.optimizers.Adam(2e-3))
model.fit(pixels, batch_size=64, epochs=12, verbose=2)
