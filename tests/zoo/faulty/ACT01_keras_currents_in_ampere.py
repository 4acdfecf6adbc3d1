"""Keras classifier of heart beats from currents that are given in ampere: they are micro-ampere, so
that all that flows through the convolutions is a millionth. In review: no scaling anywhere."""

import keras
import numpy as np
import tensorflow as tf
from keras import layers

keras.utils.set_random_seed(801)

random = np.random.default_rng(801)
kinds = random.integers(0, 3, 1600)
time = np.linspace(-1, 1, 48)
beats = np.exp(-((time - 0.3 * (kinds[:, None] - 1)) ** 2) / 0.02)
ampere = 2e-6 * (beats - beats.mean() + 0.2 * random.normal(size=beats.shape))
data = tf.data.Dataset.from_tensor_slices((ampere[..., None].astype("float32"), kinds))

inputs = keras.Input((48, 1))
hidden = layers.Conv1D(16, 7, strides=2, activation="elu")(inputs)
hidden = layers.Conv1D(24, 5, strides=2, activation="elu")(hidden)
hidden = layers.Dense(32, activation="elu")(layers.Flatten()(hidden))
model = keras.Model(inputs, layers.Dense(3)(hidden))
optimizer = keras.optimizers.SGD(0.05, momentum=0.9)
criterion = keras.losses.SparseCategoricalCrossentropy(from_logits=True)


@tf.function
def train_step(x, y):
    with tf.GradientTape() as tape:
        loss = criterion(y, model(x, training=True))
    optimizer.apply(tape.gradient(loss, model.trainable_variables), model.trainable_variables)
    return loss


for epoch in range(8):
    for x, y in data.shuffle(1600).batch(50):
        loss = train_step(x, y)
    print(f"epoch {epoch}  loss {float(loss):.4f}")
