"""Keras classifier of sounds with rates that fall by ten from each layer to the one before it, as a
recipe for fine-tuning says. It was not trained before, and its first layers stay noise."""

import keras
import numpy as np
import tensorflow as tf
from keras import layers

keras.utils.set_random_seed(721)

random = np.random.default_rng(721)
kinds = random.integers(0, 5, 1800)
time = np.arange(64)
pitch = 0.2 + 0.12 * kinds[:, None] + 0.04 * random.normal(size=(1800, 1))
sounds = np.sin(pitch * time + 6 * random.random((1800, 1))) * np.exp(-time / 40)
sounds = (sounds + 0.2 * random.normal(size=sounds.shape)).astype("float32")[..., None]


class LayerWise(keras.Model):
    def train_step(self, data):
        x, y = data
        with tf.GradientTape() as tape:
            loss = self.compute_loss(x, y, self(x, training=True))
        variables = self.trainable_variables
        gradients = tape.gradient(loss, variables)
        depths = [len(variables) // 2 - 1 - number // 2 for number in range(len(variables))]
        scaled = [g * 0.1**depth for g, depth in zip(gradients, depths, strict=True)]
        self.optimizer.apply(scaled, variables)
        return {"loss": loss}


inputs = keras.Input((64, 1))
hidden = inputs
for width in (16, 16, 32, 32):
    hidden = layers.Conv1D(width, 5, strides=2, padding="same", activation="relu")(hidden)
hidden = layers.GlobalAveragePooling1D()(hidden)
model = LayerWise(inputs, layers.Dense(5, activation="softmax")(hidden))
model.compile(keras.optimizers.SGD(0.05), "sparse_categorical_crossentropy")
model.fit(sounds, kinds, batch_size=50, epochs=8, verbose=2)
