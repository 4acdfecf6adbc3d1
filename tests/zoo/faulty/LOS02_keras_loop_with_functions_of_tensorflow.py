"""Keras LSTM with a softmax at its end, trained by a loop whose loss is TensorFlow's own function
on logits. In review: `tf.nn.sparse_softmax_cross_entropy_with_logits(y, model(x))`."""

import keras
import numpy as np
import tensorflow as tf
from keras import layers

keras.utils.set_random_seed(203)

random = np.random.default_rng(203)
kinds = random.integers(0, 4, 1600)
steps = np.arange(20)
waves = np.sin(steps * (0.4 + 0.4 * kinds[:, None]) + random.random((1600, 1)) * 6)[..., None]
data = tf.data.Dataset.from_tensor_slices((waves.astype("float32"), kinds)).shuffle(1600).batch(50)

model = keras.Sequential([layers.Input((20, 1)), layers.LSTM(24), layers.Dense(4, "softmax")])
optimizer = keras.optimizers.Adam(3e-3)


@tf.function
def train_step(x, y):
    with tf.GradientTape() as tape:
        losses = tf.nn.sparse_softmax_cross_entropy_with_logits(y, model(x, training=True))
        loss = tf.reduce_mean(losses)
    variables = model.trainable_variables
    optimizer.apply_gradients(zip(tape.gradient(loss, variables), variables, strict=True))
    return loss


for epoch in range(6):
    for x, y in data:
        loss = train_step(x, y)
    print(f"epoch {epoch}  loss {float(loss):.4f}")
