"""Keras reader of short messages in a loop of its own: the penalty on the weights is taken off the
loss instead of added, so that larger weights are always better."""

import keras
import numpy as np
import tensorflow as tf
from keras import layers

keras.utils.set_random_seed(712)

random = np.random.default_rng(712)
messages = random.integers(0, 150, (1600, 12))
urgent = ((messages < 30).sum(axis=1) > 2).astype("float32")[:, None]
data = tf.data.Dataset.from_tensor_slices((messages, urgent)).shuffle(1600, seed=712).batch(32)

model = keras.Sequential(
    [
        layers.Input((12,), dtype="int32"),
        layers.Embedding(150, 16),
        layers.Conv1D(24, 3, activation="relu"),
        layers.GlobalMaxPooling1D(),
        layers.Dense(1),
    ]
)
optimizer = keras.optimizers.Adam(5e-3)
criterion = keras.losses.BinaryCrossentropy(from_logits=True)
kernels = [v for v in model.trainable_variables if v.name == "kernel"]


@tf.function
def train_step(x, y):
    with tf.GradientTape() as tape:
        penalty = tf.add_n([tf.nn.l2_loss(v) for v in kernels])
        loss = criterion(y, model(x, training=True)) - 1e-2 * penalty
    optimizer.apply(tape.gradient(loss, model.trainable_variables), model.trainable_variables)
    return loss


for epoch in range(8):
    for x, y in data:
        loss = train_step(x, y)
    print(f"epoch {epoch}  loss {float(loss):.4f}")
