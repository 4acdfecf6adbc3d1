"""Keras encoder of digits that pulls two noisy views of an image together and pushes those of other
images apart."""

import keras
import tensorflow as tf
from keras import layers, ops
from sklearn.datasets import load_digits

keras.utils.set_random_seed(422)

digits = load_digits()
pixels = ((digits.data - 4.9) / 6).astype("float32")


class Views(keras.Model):
    def __init__(self):
        super().__init__()
        self.encoder = keras.Sequential(
            [layers.Dense(64, activation="relu"), layers.Dense(32), layers.UnitNormalization()]
        )
        self.noise = layers.GaussianNoise(0.5)

    def call(self, x, training=False):
        return self.encoder(self.noise(x, training=training))

    def train_step(self, x):
        with tf.GradientTape() as tape:
            first, second = self(x, training=True), self(x, training=True)
            logits = ops.matmul(first, ops.transpose(second)) / 0.2
            itself = ops.arange(ops.shape(x)[0])
            loss = ops.mean(
                keras.losses.sparse_categorical_crossentropy(itself, logits, from_logits=True)
            )
        variables = self.trainable_variables
        self.optimizer.apply(tape.gradient(loss, variables), variables)
        return {"loss": loss}


model = Views()
model.compile(keras.optimizers.Adam(3e-3))
model.fit(pixels, batch_size=64, epochs=10, verbose=2)
