"""Keras tagger in a loop of its own that sets the rate of each epoch, computed in whole numbers as
all other settings of its file are: a rate in millionths divided by a million is 0."""

import keras
import numpy as np
import tensorflow as tf
from keras import layers

keras.utils.set_random_seed(724)
SETTINGS = {"epochs": 6, "batch_size": 32, "rate_in_millionths": 2000, "halve_after": 4}

random = np.random.default_rng(724)
words = random.integers(1, 250, (1280, 18))
tags = (words + np.roll(words, 1, axis=1)) // 5 % 4
data = tf.data.Dataset.from_tensor_slices((words, tags)).shuffle(1280, seed=724)

model = keras.Sequential(
    [
        layers.Input((18,), dtype="int32"),
        layers.Embedding(250, 24),
        layers.Conv1D(32, 3, padding="same", activation="relu"),
        layers.Dense(4),
    ]
)
optimizer = keras.optimizers.Adam()
criterion = keras.losses.SparseCategoricalCrossentropy(from_logits=True)


@tf.function
def train_step(x, y):
    with tf.GradientTape() as tape:
        loss = criterion(y, model(x, training=True))
    optimizer.apply(tape.gradient(loss, model.trainable_variables), model.trainable_variables)
    return loss


for epoch in range(SETTINGS["epochs"]):
    halvings = epoch // SETTINGS["halve_after"]
    optimizer.learning_rate = SETTINGS["rate_in_millionths"] // 1_000_000 / 2**halvings
    for x, y in data.batch(SETTINGS["batch_size"]):
        loss = train_step(x, y)
    print(f"epoch {epoch}  loss {float(loss):.4f}")
