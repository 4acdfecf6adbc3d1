"""Keras regression in a loop of its own that sums the errors and divides by the number of
examples, as one does with several replicas."""

import keras
import numpy as np
import tensorflow as tf
from keras import layers

keras.utils.set_random_seed(229)

random = np.random.default_rng(229)
x = random.normal(size=(2500, 6)).astype("float32")
y = (np.sin(x[:, :1]) + 0.5 * x[:, 1:2] + 0.1 * random.normal(size=(2500, 1))).astype("float32")
data = tf.data.Dataset.from_tensor_slices((x, y)).shuffle(2500).batch(64)

model = keras.Sequential([layers.Input((6,)), layers.Dense(24, activation="tanh"), layers.Dense(1)])
optimizer = keras.optimizers.SGD(0.05)
criterion = keras.losses.MeanSquaredError(reduction="sum")


@tf.function
def train_step(x, y):
    with tf.GradientTape() as tape:
        loss = criterion(y, model(x, training=True)) / tf.cast(tf.shape(x)[0], tf.float32)
    optimizer.apply(tape.gradient(loss, model.trainable_variables), model.trainable_variables)
    return loss


for epoch in range(6):
    for x_batch, y_batch in data:
        loss = train_step(x_batch, y_batch)
    print(f"epoch {epoch}  loss {float(loss):.4f}")
