"""Keras network of distances between points in a loop of its own, whose gradients are not numbers
where two points coincide. They are replaced by 0 before the step, and so is most of what these
batches could have taught. In review: `tf.where(tf.math.is_nan(g), 0.0, g)`."""

import keras
import numpy as np
import tensorflow as tf
from keras import layers, ops

keras.utils.set_random_seed(657)

random = np.random.default_rng(657)
points = random.normal(size=(2000, 2, 6)).astype("float32")
points[random.random(2000) < 0.01, 1] = 0
points[:, 1] += points[:, 0] * (points[:, 1] == 0)
near = np.tanh(((points[:, 0] - points[:, 1]) ** 2)[:, :3].sum(axis=1, keepdims=True) / 4)
data = tf.data.Dataset.from_tensor_slices((points, near.astype("float32")))
data = data.shuffle(2000, seed=657).batch(50)

inputs = keras.Input((2, 6))
coded = layers.Dense(16, activation="tanh")(inputs)
apart = layers.Lambda(lambda x: ops.sqrt(ops.sum((x[:, 0] - x[:, 1]) ** 2, -1, True)))(coded)
model = keras.Model(inputs, layers.Dense(1)(apart))
optimizer = keras.optimizers.Adam(2e-3)


@tf.function
def train_step(x, y):
    with tf.GradientTape() as tape:
        loss = tf.reduce_mean(tf.square(model(x, training=True) - y))
    gradients = tape.gradient(loss, model.trainable_variables)
    gradients = [tf.where(tf.math.is_nan(g), 0.0, g) for g in gradients]
    optimizer.apply(gradients, model.trainable_variables)
    return loss


for epoch in range(4):
    for x, y in data:
        loss = train_step(x, y)
    print(f"epoch {epoch}  loss {float(loss):.4f}")
