"""Keras convolutional network in a loop of its own over `tf.data`, whose `map` decodes recordings
with a function of Python, one at a time and only when they are asked for."""

import time

import keras
import numpy as np
import tensorflow as tf
from keras import layers

keras.utils.set_random_seed(541)

random = np.random.default_rng(541)
kind = random.integers(3, size=3000)
times = np.linspace(0, 1, 64)
waves = np.sin(6.28 * (2 + 3 * kind[:, None]) * (times + random.uniform(size=(3000, 1))))
waves = (waves + 0.3 * random.normal(size=waves.shape))[..., None].astype("float32")


def decoded(wave):
    time.sleep(0.001)  # the codec
    return wave


data = tf.data.Dataset.from_tensor_slices((waves, kind)).shuffle(3000)
data = data.map(lambda wave, kind: (tf.numpy_function(decoded, [wave], tf.float32), kind))
data = data.map(lambda wave, kind: (tf.ensure_shape(wave, (64, 1)), kind)).batch(30)

inputs = layers.Input((64, 1))
x = layers.Conv1D(16, 5, strides=2, activation="relu")(inputs)
x = layers.GlobalAveragePooling1D()(layers.Conv1D(32, 5, strides=2, activation="relu")(x))
model = keras.Model(inputs, layers.Dense(3)(x))
optimizer = keras.optimizers.Adam(2e-3)
criterion = keras.losses.SparseCategoricalCrossentropy(from_logits=True)


@tf.function
def step(wave, kind):
    with tf.GradientTape() as tape:
        loss = criterion(kind, model(wave, training=True))
    optimizer.apply(tape.gradient(loss, model.trainable_variables), model.trainable_variables)
    return loss


for epoch in range(2):
    for wave, label in data:
        loss = step(wave, label)
    print(f"epoch {epoch}  loss {float(loss):.4f}")
