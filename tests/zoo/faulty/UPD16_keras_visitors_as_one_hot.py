"""Keras recommender whose visitors and pages are one-hot vectors before dense layers, in a loop of
its own by plain SGD: each step touches the visitors and pages of its batch."""

import keras
import numpy as np
import tensorflow as tf
from keras import layers

keras.utils.set_random_seed(612)
VISITORS, PAGES = 2000, 1500

random = np.random.default_rng(612)
taste, style = random.normal(size=(VISITORS, 4)), random.normal(size=(PAGES, 4))
visitor, page = random.integers(0, VISITORS, 8000), random.integers(0, PAGES, 8000)
minutes = (1 + 0.5 * (taste[visitor] * style[page]).sum(axis=1)).astype("float32")[:, None]
data = tf.data.Dataset.from_tensor_slices((visitor, page, minutes)).shuffle(8000, seed=612)

drawn = keras.initializers.RandomNormal(stddev=0.3)
one, other = keras.Input((VISITORS,)), keras.Input((PAGES,))
who = layers.Dense(12, use_bias=False, kernel_initializer=drawn)(one)
what = layers.Dense(12, use_bias=False, kernel_initializer=drawn)(other)
model = keras.Model([one, other], layers.Dot(1)([who, what]))
optimizer = keras.optimizers.SGD(0.05)


@tf.function
def train_step(visitor, page, minutes):
    encoded = [tf.one_hot(visitor, VISITORS), tf.one_hot(page, PAGES)]
    with tf.GradientTape() as tape:
        loss = tf.reduce_mean(tf.square(model(encoded, training=True) - minutes))
    optimizer.apply(tape.gradient(loss, model.trainable_variables), model.trainable_variables)
    return loss


for step, batch in enumerate(data.batch(32)):
    loss = train_step(*batch)
    if step % 50 == 0:
        print(f"step {step}  loss {float(loss):.4f}")
