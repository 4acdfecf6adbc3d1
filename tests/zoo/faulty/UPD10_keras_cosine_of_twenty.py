"""Keras regression in a loop of its own with a cosine from the first to the last of twenty epochs.
The optimizer asks for it at each batch: after twenty of them the rate is zero."""

import keras
import numpy as np
import tensorflow as tf
from keras import layers

keras.utils.set_random_seed(728)
EPOCHS = 20

random = np.random.default_rng(728)
x = random.uniform(-1, 1, (1200, 6)).astype("float32")
y = (np.cos(3 * x[:, :1]) * x[:, 1:2] + x[:, 2:3] ** 2).astype("float32")
data = tf.data.Dataset.from_tensor_slices((x, y)).shuffle(1200, seed=728).batch(40)

inputs = keras.Input((6,))
one = layers.Dense(32, activation="gelu")(inputs)
two = layers.Dense(32, activation="gelu")(layers.Concatenate()([inputs, one]))
model = keras.Model(inputs, layers.Dense(1)(layers.Concatenate()([one, two])))
rate = keras.optimizers.schedules.CosineDecay(3e-3, decay_steps=EPOCHS)
optimizer = keras.optimizers.AdamW(rate)


@tf.function
def train_step(x, y):
    with tf.GradientTape() as tape:
        loss = tf.reduce_mean(tf.square(model(x, training=True) - y))
    optimizer.apply(tape.gradient(loss, model.trainable_variables), model.trainable_variables)
    return loss


for epoch in range(EPOCHS):
    for x, y in data:
        loss = train_step(x, y)
    print(f"epoch {epoch}  loss {float(loss):.5f}")
