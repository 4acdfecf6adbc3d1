"""Keras autoencoder of digits as a model with a train_step of its own, which computes the gradients
of all and hands those of the decoder to the optimizer: the code stays random."""

import keras
import tensorflow as tf
from keras import layers
from sklearn.datasets import load_digits

keras.utils.set_random_seed(722)

pixels = (load_digits().data / 16).astype("float32")


class Autoencoder(keras.Model):
    def __init__(self):
        super().__init__()
        self.encoder = keras.Sequential([layers.Dense(32, activation="relu"), layers.Dense(8)])
        self.decoder = keras.Sequential([layers.Dense(32, activation="relu"), layers.Dense(64)])

    def call(self, x):
        return self.decoder(self.encoder(x))

    def train_step(self, x):
        with tf.GradientTape() as tape:
            loss = tf.reduce_mean(tf.square(self(x, training=True) - x))
        coding, decoding = tape.gradient(
            loss, [self.encoder.trainable_variables, self.decoder.trainable_variables]
        )
        self.optimizer.apply(decoding, self.decoder.trainable_variables)
        return {"loss": loss, "size": tf.linalg.global_norm(coding)}


model = Autoencoder()
model.compile(keras.optimizers.Adam(2e-3))
model.fit(pixels, batch_size=48, epochs=6, verbose=2)
