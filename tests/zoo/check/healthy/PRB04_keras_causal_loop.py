"""A causal language model in a loop of one's own over a data set."""

import keras
import numpy as np
import tensorflow as tf
from keras import layers

keras.utils.set_random_seed(0)
VOCABULARY, LENGTH = 16, 12
random = np.random.default_rng(0)
text = np.cumsum(random.integers(1, 3, 6000)) % VOCABULARY
starts = random.integers(0, len(text) - LENGTH - 1, 1600)
x = np.stack([text[s : s + LENGTH] for s in starts])
y = np.stack([text[s + 1 : s + LENGTH + 1] for s in starts])
tokens = keras.Input((LENGTH,), dtype="int32")
hidden = layers.Embedding(VOCABULARY, 24)(tokens)
hidden = hidden + layers.MultiHeadAttention(2, 12)(hidden, hidden, use_causal_mask=True)
model = keras.Model(tokens, layers.Dense(VOCABULARY)(hidden))
optimizer = keras.optimizers.Adam(5e-3)
loss_function = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
data = tf.data.Dataset.from_tensor_slices((x, y)).shuffle(1600, seed=0).batch(32)


@tf.function
def step(inputs, targets):
    with tf.GradientTape() as tape:
        loss = loss_function(targets, model(inputs, training=True))
    gradients = tape.gradient(loss, model.trainable_variables)
    optimizer.apply_gradients(zip(gradients, model.trainable_variables, strict=True))
    return loss


for _ in range(5):
    for inputs, targets in data:
        step(inputs, targets)
