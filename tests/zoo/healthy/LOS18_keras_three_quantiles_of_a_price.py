"""Keras quantile regression: three predictions (N, 3) for one price (N, 1), which is meant to
broadcast, in a `train_step` of its own that measures the mean over all of them."""

import keras
import numpy as np
import tensorflow as tf
from keras import layers

keras.utils.set_random_seed(520)

random = np.random.default_rng(520)
x = random.uniform(-1, 1, size=(2400, 2)).astype("float32")
y = np.sin(3 * x[:, :1]) + (0.3 + 0.2 * x[:, 1:]) * random.normal(size=(2400, 1))
LEVELS = tf.constant([[0.1, 0.5, 0.9]])


class Quantiles(keras.Model):
    def __init__(self):
        super().__init__()
        self.hidden = [layers.Dense(48, activation="silu") for _ in range(2)]
        self.out = layers.Dense(3)

    def call(self, x):
        for layer in self.hidden:
            x = layer(x)
        return self.out(x)

    def train_step(self, data):
        x, price = data
        with tf.GradientTape() as tape:
            error = price - self(x, training=True)
            loss = tf.reduce_mean(tf.maximum(LEVELS * error, (LEVELS - 1) * error))
        gradients = tape.gradient(loss, self.trainable_variables)
        self.optimizer.apply(gradients, self.trainable_variables)
        return {"loss": loss}


model = Quantiles()
model.compile(keras.optimizers.Adam(1e-3))
model.fit(x, y.astype("float32"), batch_size=64, epochs=10, verbose=2)
