"""Keras classifier of blobs whose gradients are scaled by layer, a thousandth for the first one, as
in fine-tuning. But it starts from noise, and its filters stay that."""

import keras
import numpy as np
import tensorflow as tf
from keras import layers

keras.utils.set_random_seed(608)

random = np.random.default_rng(608)
axis = np.linspace(-1, 1, 20)
kinds = random.integers(0, 2, 2400)
place = random.uniform(-0.5, 0.5, (2400, 2, 1, 1))
wide = np.where(kinds, 0.5, 0.25)[:, None, None]
dx, dy = (
    (axis[None, None] - place[:, 0]) / wide,
    (axis[None, :, None] - place[:, 1]) / (0.75 - wide),
)
images = (np.exp(-(dx**2) - dy**2) + 0.05 * random.normal(size=(2400, 20, 20)) - 0.2) / 0.3


class LayerWise(keras.Model):
    def train_step(self, data):
        x, y = data
        with tf.GradientTape() as tape:
            loss = self.compute_loss(x, y, self(x, training=True))
        gradients = tape.gradient(loss, self.trainable_variables)
        shares = [1e-3, 1e-3] + [1.0] * (len(gradients) - 2)
        scaled = [g * share for g, share in zip(gradients, shares, strict=True)]
        self.optimizer.apply(scaled, self.trainable_variables)
        return {"loss": loss}


inputs = keras.Input((20, 20, 1))
hidden = layers.Conv2D(12, 7, activation="relu")(inputs)
hidden = layers.Conv2D(12, 3, strides=2, activation="relu")(hidden)
model = LayerWise(inputs, layers.Dense(1, activation="sigmoid")(layers.Flatten()(hidden)))
model.compile(keras.optimizers.SGD(0.02, momentum=0.9), "binary_crossentropy")
model.fit(images[..., None].astype("float32"), kinds, batch_size=32, epochs=5, verbose=2)
