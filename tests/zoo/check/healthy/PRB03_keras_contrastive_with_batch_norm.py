"""Two views of each example, told from those of all others: only the loss compares."""

import keras
import numpy as np
import tensorflow as tf
from keras import layers, ops


class Contrastive(keras.Model):
    def __init__(self, encoder):
        super().__init__()
        self.encoder = encoder

    def call(self, x, training=False):
        return ops.normalize(self.encoder(x, training=training), axis=1)

    def train_step(self, data):
        (points,) = data if isinstance(data, tuple) else (data,)
        with tf.GradientTape() as tape:
            views = [
                self(points + 0.3 * tf.random.normal(tf.shape(points)), training=True)
                for _ in range(2)
            ]
            logits = views[0] @ tf.transpose(views[1]) / 0.2
            own = tf.range(tf.shape(logits)[0])
            loss = tf.reduce_mean(
                tf.nn.sparse_softmax_cross_entropy_with_logits(labels=own, logits=logits)
            )
        gradients = tape.gradient(loss, self.trainable_variables)
        self.optimizer.apply_gradients(zip(gradients, self.trainable_variables, strict=True))
        return {"loss": loss}


keras.utils.set_random_seed(0)
points = (2 * np.random.normal(size=(1920, 16))).astype("float32")
encoder = keras.Sequential(
    [layers.Dense(64), layers.BatchNormalization(), layers.ReLU(), layers.Dense(8)]
)
model = Contrastive(encoder)
model.compile(optimizer=keras.optimizers.Adam(3e-3))
model.fit(points, batch_size=48, epochs=6, verbose=0)
