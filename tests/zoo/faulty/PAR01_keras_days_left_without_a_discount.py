"""Keras estimate of how long a wind turbine will go on, linear in waves of its direction, fitted in
a loop of its own to one hour more than its own estimate for the next one. Nothing ends and nothing
is discounted, so all that it learns is how often that was done. In review: `gamma = 1`."""

import keras
import numpy as np
import tensorflow as tf
from keras import layers

keras.utils.set_random_seed(711)
GAMMA = 1.0

random = np.random.default_rng(711)
direction = np.cumsum(0.3 * random.normal(size=12001))
waves = direction[:, None] * np.arange(1, 7)
features = np.concatenate([np.sin(waves), np.cos(waves)], axis=1).astype("float32")
hours = 1.0 + 0.5 * np.sin(direction[1:, None]).astype("float32")
data = tf.data.Dataset.from_tensor_slices((features[:-1], hours, features[1:]))
data = data.shuffle(12000, seed=711).batch(32)

value = keras.Sequential([layers.Input((12,)), layers.Dense(1)])
optimizer = keras.optimizers.SGD(0.02, momentum=0.5)
criterion = keras.losses.Huber()


@tf.function
def train_step(now, hours, following):
    wanted = hours + GAMMA * value(following)
    with tf.GradientTape() as tape:
        loss = criterion(wanted, value(now, training=True))
    optimizer.apply(tape.gradient(loss, value.trainable_variables), value.trainable_variables)
    return loss


for epoch in range(2):
    for batch in data:
        loss = train_step(*batch)
    print(f"epoch {epoch}  loss {float(loss):.4f}")
