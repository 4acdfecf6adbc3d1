"""Keras model that brings captions and images together, with the temperature of 0.02 that belongs
to vectors of length one. These are never brought to that length, and the first logits are
hundreds."""

import keras
import numpy as np
import tensorflow as tf
from keras import layers

keras.utils.set_random_seed(843)
TEMPERATURE = 0.02

random = np.random.default_rng(843)
topics = random.normal(size=(3000, 8))
images = np.tanh(topics @ random.normal(size=(8, 32))).astype("float32")
captions = (topics @ random.normal(size=(8, 24)) / 3).astype("float32")
data = tf.data.Dataset.from_tensor_slices((images, captions))


def encoder(width):
    return keras.Sequential(
        [layers.Input((width,)), layers.Dense(48, activation="gelu"), layers.Dense(24)]
    )


of_images, of_captions = encoder(32), encoder(24)
variables = of_images.trainable_variables + of_captions.trainable_variables
optimizer = keras.optimizers.Adam(1e-3)
criterion = keras.losses.SparseCategoricalCrossentropy(from_logits=True)


@tf.function
def train_step(image, caption):
    with tf.GradientTape() as tape:
        one, other = of_images(image, training=True), of_captions(caption, training=True)
        logits = tf.matmul(one, other, transpose_b=True) / TEMPERATURE
        loss = criterion(tf.range(tf.shape(logits)[0]), logits)
    optimizer.apply(tape.gradient(loss, variables), variables)
    return loss


for epoch in range(5):
    for image, caption in data.shuffle(3000).batch(50):
        loss = train_step(image, caption)
    print(f"epoch {epoch}  loss {float(loss):.4f}")
