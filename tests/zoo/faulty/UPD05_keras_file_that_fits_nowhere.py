"""Keras sentiment model on word vectors and a recurrent layer of another model, which it freezes.
The file holds other shapes, and `skip_mismatch=True` leaves all of it out."""

import os
import tempfile

import keras
import numpy as np
import tensorflow as tf
from keras import layers

keras.utils.set_random_seed(723)


def language_model(width):
    return keras.Sequential(
        [layers.Input((24,), dtype="int32"), layers.Embedding(500, width), layers.GRU(width)]
    )


random = np.random.default_rng(723)
reviews = random.integers(1, 500, (1600, 24))
positive = ((reviews < 120).sum(axis=1) > 5).astype("float32")[:, None]
data = tf.data.Dataset.from_tensor_slices((reviews, positive)).shuffle(1600, seed=723).batch(32)

with tempfile.TemporaryDirectory() as folder:
    path = os.path.join(folder, "language.weights.h5")
    language_model(48).save_weights(path)
    trunk = language_model(32)
    trunk.load_weights(path, skip_mismatch=True)
trunk.trainable = False
model = keras.Sequential([trunk, layers.Dense(1)])
optimizer = keras.optimizers.Adam(3e-3)
criterion = keras.losses.BinaryCrossentropy(from_logits=True)


@tf.function
def train_step(x, y):
    with tf.GradientTape() as tape:
        loss = criterion(y, model(x, training=True))
    optimizer.apply(tape.gradient(loss, model.trainable_variables), model.trainable_variables)
    return loss


for epoch in range(4):
    for x, y in data:
        loss = train_step(x, y)
    print(f"epoch {epoch}  loss {float(loss):.4f}")
