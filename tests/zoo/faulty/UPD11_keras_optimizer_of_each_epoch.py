"""Keras model of the next word, whose function for one epoch builds its optimizer, too: the moments
of the last epoch are gone whenever it is called."""

import keras
import numpy as np
import tensorflow as tf
from keras import layers

keras.utils.set_random_seed(729)

random = np.random.default_rng(729)
follows = random.integers(0, 40, (40, 3))
text = np.zeros((800, 12), dtype="int32")
for place in range(1, 12):
    text[:, place] = follows[text[:, place - 1], random.integers(0, 3, 800)]
data = tf.data.Dataset.from_tensor_slices(text).shuffle(800, seed=729).batch(32)

model = keras.Sequential(
    [
        layers.Input((11,), dtype="int32"),
        layers.Embedding(40, 24),
        layers.GRU(32, return_sequences=True),
        layers.Dense(40),
    ]
)
criterion = keras.losses.SparseCategoricalCrossentropy(from_logits=True)


def train_epoch(model, data):
    optimizer = keras.optimizers.Adam(2e-3)
    for lines in data:
        with tf.GradientTape() as tape:
            loss = criterion(lines[:, 1:], model(lines[:, :-1], training=True))
        gradients = tape.gradient(loss, model.trainable_variables)
        optimizer.apply(gradients, model.trainable_variables)
    return float(loss)


for epoch in range(5):
    print(f"epoch {epoch}  loss {train_epoch(model, data):.4f}")
