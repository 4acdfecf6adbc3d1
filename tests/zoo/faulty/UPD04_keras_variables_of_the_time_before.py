"""A layer written for Keras 2: its weights are `tf.Variable`s, which Keras 3 does not track."""

import keras
import tensorflow as tf
from keras import layers
from sklearn.datasets import load_digits


class Linear(layers.Layer):
    def __init__(self, units):
        super().__init__()
        self.units = units

    def build(self, shape):
        start = tf.random.normal((shape[-1], self.units), stddev=0.1, seed=0)
        self.w = tf.Variable(start, trainable=True, name="w")
        self.b = tf.Variable(tf.zeros((self.units,)), trainable=True, name="b")

    def call(self, inputs):
        return tf.matmul(inputs, self.w) + self.b


keras.utils.set_random_seed(0)
digits = load_digits()
model = keras.Sequential([layers.Input((64,)), Linear(64), layers.ReLU(), layers.Dense(10)])
loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
model.compile(keras.optimizers.Adam(1e-3), loss, metrics=["accuracy"])
model.fit(digits.data / 16.0, digits.target, batch_size=32, epochs=6, verbose=2)
