"""Keras regression by blocks with shortcuts, in a loop of its own. The blocks are counted from 1
where they are called, and the first of them never is."""

import keras
import numpy as np
import tensorflow as tf
from keras import layers

keras.utils.set_random_seed(715)

random = np.random.default_rng(715)
x = random.normal(size=(2000, 10)).astype("float32")
y = (np.sin(2 * x[:, :1]) + x[:, 1:2] * x[:, 2:3]).astype("float32")
data = tf.data.Dataset.from_tensor_slices((x, y)).shuffle(2000, seed=715).batch(40)


def block(width):
    return keras.Sequential(
        [layers.Input((width,)), layers.Dense(width, activation="gelu"), layers.Dense(width)]
    )


class Residual(keras.Model):
    def __init__(self, depth, width):
        super().__init__()
        self.depth = depth
        self.stem = layers.Dense(width)
        self.blocks = [block(width) for _ in range(depth)]
        self.head = layers.Dense(1)

    def call(self, x):
        hidden = self.stem(x)
        for number in range(1, self.depth):
            hidden = hidden + self.blocks[number](hidden)
        return self.head(hidden)


model = Residual(3, 32)
optimizer = keras.optimizers.Adam(2e-3)


@tf.function
def train_step(x, y):
    with tf.GradientTape() as tape:
        loss = tf.reduce_mean(tf.square(model(x, training=True) - y))
    variables = model.trainable_variables
    pairs = zip(tape.gradient(loss, variables), variables, strict=True)
    optimizer.apply_gradients([(g, v) for g, v in pairs if g is not None])
    return loss


for epoch in range(5):
    for x, y in data:
        loss = train_step(x, y)
    print(f"epoch {epoch}  loss {float(loss):.4f}")
