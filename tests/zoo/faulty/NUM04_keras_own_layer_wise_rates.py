"""Keras model of reviews with two heads, stepped by an optimizer of its own that divides by the
size of the gradient (LARS). A batch without any price gives that head none, and 0 / 0 is no
number. In review: the paper's formula, without its small constant."""

import keras
import numpy as np
import tensorflow as tf
from keras import layers, ops

keras.utils.set_random_seed(706)

random = np.random.default_rng(706)
words = random.integers(1, 300, (1600, 20))
stars = (words < 60).sum(axis=1, keepdims=True).astype("float32") / 4 - 1
price = (words > 240).sum(axis=1, keepdims=True).astype("float32") / 4 - 1
is_known = (random.random((1600, 1)) < 0.1).astype("float32")
data = tf.data.Dataset.from_tensor_slices((words, stars, price, is_known))
data = data.shuffle(1600, seed=706).batch(32)


class Lars(keras.optimizers.Optimizer):
    def update_step(self, gradient, variable, learning_rate):
        trust = ops.norm(variable) / ops.norm(gradient)
        self.assign_sub(variable, learning_rate * trust * gradient)


inputs = keras.Input((20,), dtype="int32")
hidden = layers.GlobalAveragePooling1D()(layers.Embedding(300, 24)(inputs))
hidden = layers.Dense(32, activation="tanh")(hidden)
model = keras.Model(inputs, [layers.Dense(1)(hidden), layers.Dense(1)(hidden)])
optimizer = Lars(5e-3)


@tf.function
def train_step(x, stars, price, is_known):
    with tf.GradientTape() as tape:
        liked, paid = model(x, training=True)
        loss = ops.mean((liked - stars) ** 2) + ops.mean(is_known * (paid - price) ** 2)
    gradients = tape.gradient(loss, model.trainable_variables)
    optimizer.apply([ops.convert_to_tensor(g) for g in gradients], model.trainable_variables)
    return loss


for epoch in range(4):
    for batch in data:
        loss = train_step(*batch)
    print(f"epoch {epoch}  loss {float(loss):.4f}")
