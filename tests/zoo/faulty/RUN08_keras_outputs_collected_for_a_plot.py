"""Keras autoencoder in an eager loop that keeps what its first layer gave for every batch, for a
plot at the end: memory grows by megabytes in each step."""

import keras
import numpy as np
import tensorflow as tf
from keras import layers

keras.utils.set_random_seed(517)

random = np.random.default_rng(517)
images = tf.constant(random.normal(size=(640, 32, 32, 1)).astype("float32"))
encoder = layers.Conv2D(24, 3, padding="same", activation="relu")
model = keras.Sequential([layers.Input((32, 32, 1)), encoder, layers.Conv2D(1, 3, padding="same")])
optimizer = keras.optimizers.Adam(1e-3)
kept = []

for step in range(160):
    x = images[32 * (step % 20) : 32 * (step % 20) + 32]
    with tf.GradientTape() as tape:
        features = encoder(x)
        loss = tf.reduce_mean(tf.square(model(x, training=True) - x))
    optimizer.apply(tape.gradient(loss, model.trainable_variables), model.trainable_variables)
    kept.append(features)
print(f"loss {float(loss):.4f} after {len(kept)} steps")
