"""Keras reader of sentences in a loop of its own by SGD, whose gradients are divided by the number
of examples as one does with those of a sum. The loss was a mean already, and over all words."""

import keras
import numpy as np
import tensorflow as tf
from keras import layers

keras.utils.set_random_seed(720)
TAGS = 5

random = np.random.default_rng(720)
sentences = random.integers(1, 200, (1920, 16))
tags = (sentences + np.roll(sentences, 1, axis=1)) // 4 % TAGS
data = tf.data.Dataset.from_tensor_slices((sentences, tags)).shuffle(1920, seed=720).batch(32)

model = keras.Sequential(
    [
        layers.Input((16,), dtype="int32"),
        layers.Embedding(200, 24),
        layers.Bidirectional(layers.GRU(16, return_sequences=True)),
        layers.Dense(TAGS),
    ]
)
optimizer = keras.optimizers.SGD(0.01)
criterion = keras.losses.SparseCategoricalCrossentropy(from_logits=True)


@tf.function
def train_step(x, y):
    with tf.GradientTape() as tape:
        loss = criterion(y, model(x, training=True))
    gradients = tape.gradient(loss, model.trainable_variables)
    words = tf.cast(tf.size(y), tf.float32)
    optimizer.apply([g / words for g in gradients], model.trainable_variables)
    return loss


for epoch in range(3):
    for x, y in data:
        loss = train_step(x, y)
    print(f"epoch {epoch}  loss {float(loss):.4f}")
