"""Keras forecast of the power of a solar park by the mean error in percent. In fog there is next to
no power, and an hour of that kind weighs as much as hundreds of others."""

import keras
import numpy as np
import tensorflow as tf
from keras import layers

keras.utils.set_random_seed(823)

random = np.random.default_rng(823)
weather = random.normal(size=(9000, 5)).astype("float32")
power = 1 + 0.5 * np.tanh(weather[:, :1] + weather[:, 1:2]) + 0.1 * random.normal(size=(9000, 1))
power = np.abs(power)
fog = random.random(9000) < 0.002
power[fog] *= random.uniform(0.001, 0.02, (fog.sum(), 1))
data = tf.data.Dataset.from_tensor_slices((weather, power.astype("float32")))

model = keras.Sequential([layers.Input((5,)), layers.Dense(32, activation="gelu")])
model.add(layers.Dense(32, activation="gelu"))
model.add(layers.Dense(1))
optimizer = keras.optimizers.Adam(1e-3)
criterion = keras.losses.MeanAbsolutePercentageError()


@tf.function
def train_step(x, y):
    with tf.GradientTape() as tape:
        loss = criterion(y, model(x, training=True))
    optimizer.apply(tape.gradient(loss, model.trainable_variables), model.trainable_variables)
    return loss


for epoch in range(2):
    for x, y in data.shuffle(9000).batch(30):
        loss = train_step(x, y)
    print(f"epoch {epoch}  loss {float(loss):.2f}")
