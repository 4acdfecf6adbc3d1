"""Keras digit classifier whose trunk learns at a hundredth of the head's rate, in a loop with two
optimizers."""

import keras
import tensorflow as tf
from keras import layers
from sklearn.datasets import load_digits

keras.utils.set_random_seed(306)

digits = load_digits()
pixels = ((digits.data - 4.9) / 6).astype("float32")
data = tf.data.Dataset.from_tensor_slices((pixels, digits.target)).shuffle(1800).batch(64)

trunk = keras.Sequential([layers.Input((64,)), layers.Dense(64, activation="relu")])
head = keras.Sequential([layers.Input((64,)), layers.Dense(10)])
slow, fast = keras.optimizers.Adam(3e-5), keras.optimizers.Adam(3e-3)
criterion = keras.losses.SparseCategoricalCrossentropy(from_logits=True)


@tf.function
def train_step(x, y):
    with tf.GradientTape() as tape:
        loss = criterion(y, head(trunk(x, training=True), training=True))
    of_trunk, of_head = tape.gradient(loss, [trunk.trainable_variables, head.trainable_variables])
    slow.apply(of_trunk, trunk.trainable_variables)
    fast.apply(of_head, head.trainable_variables)
    return loss


for epoch in range(8):
    for x, y in data:
        loss = train_step(x, y)
    print(f"epoch {epoch}  loss {float(loss):.4f}")
