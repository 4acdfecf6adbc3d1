"""Keras factorisation of a table of shops and goods by gradient descent on all of it, at the edge
of what converges: each step jumps to the other side of the valley."""

import keras
import numpy as np
import tensorflow as tf
from keras import layers

keras.utils.set_random_seed(604)
SHOPS, GOODS, RANK = 50, 80, 4

random = np.random.default_rng(604)
sales = random.normal(size=(SHOPS, RANK)) @ random.normal(size=(RANK, GOODS)) / 2
sales = (sales + 0.3 * random.normal(size=(SHOPS, GOODS))).astype("float32")

inputs = keras.Input((), dtype="int32")
model = keras.Model(inputs, layers.Dense(GOODS)(layers.Embedding(SHOPS, RANK)(inputs)))
optimizer = keras.optimizers.SGD(50.0)
shops = tf.range(SHOPS)


@tf.function
def train_step():
    with tf.GradientTape() as tape:
        loss = tf.reduce_mean(tf.square(model(shops, training=True) - sales))
    gradients = tape.gradient(loss, model.trainable_variables)
    optimizer.apply([tf.convert_to_tensor(g) for g in gradients], model.trainable_variables)
    return loss


for step in range(250):
    loss = train_step()
    if step % 25 == 0:
        print(f"step {step}  loss {float(loss):.4f}")
