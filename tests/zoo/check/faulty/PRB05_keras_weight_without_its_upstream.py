"""The layer's own backward forgets the upstream gradient in that of its weight."""

import keras
import numpy as np
import tensorflow as tf
from keras import layers

keras.utils.set_random_seed(0)


class Scaled(layers.Layer):
    def build(self, shape):
        self.scale = self.add_weight(shape=(shape[-1],), initializer="ones", name="scale")

    def call(self, inputs):
        @tf.custom_gradient
        def scaled(values):
            scale = tf.convert_to_tensor(self.scale)

            def backward(upstream, variables=None):
                return upstream * scale, [tf.reduce_mean(values, axis=0)]

            return values * scale, backward

        return scaled(inputs)


x = np.random.normal(size=(2000, 12)).astype("float32")
y = (x[:, :1] - x[:, 1:2] + 0.1 * np.random.normal(size=(2000, 1))).astype("float32")
model = keras.Sequential([layers.Dense(24, "tanh"), Scaled(), layers.Dense(1)])
model.compile(optimizer=keras.optimizers.Adam(3e-3), loss="mse")
model.fit(x, y, batch_size=40, epochs=8, verbose=0)
