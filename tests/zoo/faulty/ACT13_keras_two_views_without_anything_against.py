"""Keras encoder of digits that pulls two noisy views of an image together, with nothing to push
others apart and no stopped gradient: all images come to lie in one point."""

import keras
import tensorflow as tf
from keras import layers, ops
from sklearn.datasets import load_digits

keras.utils.set_random_seed(421)

digits = load_digits()
pixels = ((digits.data - 4.9) / 6).astype("float32")


class Views(keras.Model):
    def __init__(self):
        super().__init__()
        self.encoder = keras.Sequential(
            [layers.Dense(64, activation="relu"), layers.Dense(64, "relu"), layers.Dense(32)]
        )
        self.noise = layers.GaussianNoise(0.5)

    def call(self, x, training=False):
        return self.encoder(self.noise(x, training=training))

    def train_step(self, x):
        with tf.GradientTape() as tape:
            first, second = self(x, training=True), self(x, training=True)
            loss = ops.mean(ops.square(first - second))
        variables = self.trainable_variables
        self.optimizer.apply(tape.gradient(loss, variables), variables)
        return {"loss": loss}


model = Views()
model.compile(keras.optimizers.Adam(3e-3))
model.fit(pixels, batch_size=64, epochs=15, verbose=2)
