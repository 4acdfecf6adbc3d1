"""Keras transformer block in a loop of its own by AdamW with a decay of 0.1, without a call of
`exclude_from_weight_decay`: word vectors, norms and biases are pulled to zero, too."""

import keras
import numpy as np
import tensorflow as tf
from keras import layers

keras.utils.set_random_seed(732)

random = np.random.default_rng(732)
words = random.integers(1, 160, (1600, 14))
answer = (words[:, :7].sum(axis=1) > words[:, 7:].sum(axis=1)).astype("float32")[:, None]
data = tf.data.Dataset.from_tensor_slices((words, answer)).shuffle(1600, seed=732).batch(32)

inputs = keras.Input((14,), dtype="int32")
places = layers.Embedding(14, 24)(keras.ops.arange(14))
hidden = layers.Embedding(160, 24)(inputs) + places
seen = layers.LayerNormalization()(hidden)
hidden = hidden + layers.MultiHeadAttention(num_heads=2, key_dim=12)(seen, seen)
thought = layers.Dense(48, activation="gelu")(layers.LayerNormalization()(hidden))
hidden = hidden + layers.Dense(24)(thought)
model = keras.Model(inputs, layers.Dense(1)(layers.GlobalAveragePooling1D()(hidden)))
optimizer = keras.optimizers.AdamW(2e-3, weight_decay=0.1)
criterion = keras.losses.BinaryCrossentropy(from_logits=True)


@tf.function
def train_step(x, y):
    with tf.GradientTape() as tape:
        loss = criterion(y, model(x, training=True))
    optimizer.apply(tape.gradient(loss, model.trainable_variables), model.trainable_variables)
    return loss


for epoch in range(5):
    for x, y in data:
        loss = train_step(x, y)
    print(f"epoch {epoch}  loss {float(loss):.4f}")
