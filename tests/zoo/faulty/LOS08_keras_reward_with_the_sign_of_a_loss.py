"""Keras GRU that sums up sequences, in a loop of its own taken from a policy gradient, where the
gradient of a reward is followed upward: here it is that of an error."""

import keras
import numpy as np
import tensorflow as tf
from keras import layers

keras.utils.set_random_seed(645)

random = np.random.default_rng(645)
numbers = random.normal(size=(2000, 12, 1)).astype("float32")
data = tf.data.Dataset.from_tensor_slices((numbers, numbers.sum(axis=1) / 12**0.5))

model = keras.Sequential([layers.Input((12, 1)), layers.GRU(16), layers.Dense(1)])
optimizer = keras.optimizers.Adam(1e-3)


@tf.function
def train_step(x, y):
    with tf.GradientTape() as tape:
        loss = tf.reduce_mean(tf.square(model(x, training=True) - y))
    upward = [-slope for slope in tape.gradient(loss, model.trainable_variables)]
    optimizer.apply(upward, model.trainable_variables)
    return loss


for epoch in range(4):
    for x, y in data.shuffle(2000).batch(50):
        loss = train_step(x, y)
    print(f"epoch {epoch}  loss {float(loss):.4f}")
