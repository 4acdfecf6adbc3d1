"""Features that shall not tell the domain: the gradient of its classifier is turned around."""

import keras
import numpy as np
import tensorflow as tf
from keras import layers


@tf.custom_gradient
def reversed_gradient(x):
    return tf.identity(x), lambda upstream: -0.1 * upstream


class Reverse(layers.Layer):
    def call(self, x):
        return reversed_gradient(x)


keras.utils.set_random_seed(0)
domain = np.random.randint(0, 2, 2000)
x = np.random.normal(size=(2000, 12)).astype("float32")
y = (x[:, 0] + x[:, 1] > 0).astype("int32")
x[:, 11] += 2 * domain
inputs = keras.Input((12,))
features = layers.Dense(32, "relu")(inputs)
outputs = [layers.Dense(2)(features), layers.Dense(2)(Reverse()(features))]
model = keras.Model(inputs, outputs)
entropy = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
model.compile(optimizer=keras.optimizers.Adam(3e-3), loss=[entropy, entropy])
model.fit(x, [y, domain], batch_size=50, epochs=6, verbose=0)
